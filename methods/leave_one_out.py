"""What a column adds to the range of a block: leaving one out costs no factorisation anew."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from hessbench.estimand import Array
from hessbench.methods.small_dense import singular_triples_of

CITATION: Final = (
    "Epperly, Tropp and Webber, XTrace: Making the most of every sample in stochastic trace estimation, SIAM J. "
    "Matrix Anal. Appl. 45 (2024) 1-23, arXiv:2301.07825"
)

_TINY: Final = 1e-300
_DEPENDENT: Final = 1e-10  # a sine squared below this says that two directions left out are one


class LeftOut(NamedTuple):
    """Directions S (k, k), unit columns, and couplings s_i^T r_i, (k,).

    Where Y = Q R, the range of Y without its column i is that of Q (I - s_i s_i^T).
    """

    S: Array
    couplings: Array


def half_widths(num_matvecs: int, **_: object) -> tuple[int, ...]:
    """Block widths of a method that multiplies half of its budget as probes, and their range after that."""
    return (num_matvecs // 2,)


def left_out(R: Array, eps: float) -> LeftOut:
    """The direction of each column of R, (k, k), that the other columns do not have: s_i is R^-T e_i, normalised.

    Singular values are held above eps times the largest, so that a block of lower rank has directions too: any that its
    other columns reach by rounding alone.

    Args:
        R: Triangular factor of a block, finite.
        eps: Rounding unit of its dtype.

    Source:
        Epperly, Tropp and Webber, SIAM J. Matrix Anal. Appl. 45 (2024), arXiv:2301.07825, section 2.1.
    """
    U, sizes, Vt = singular_triples_of(R)
    inverse = U @ (Vt / np.maximum(sizes, max(eps * sizes[0], _TINY))[:, None] * max(sizes[0], _TINY))
    S = inverse / np.linalg.norm(inverse, axis=0)
    return LeftOut(S, (S * R).sum(axis=0))


def sines(G: Array) -> Array:
    """Squared sines (k, k) of the angles between directions with the positive inner products G; 1 on the diagonal."""
    squares = 1 - G * G / np.outer(np.diagonal(G), np.diagonal(G))
    np.fill_diagonal(squares, 1.0)
    return squares


def are_dependent(squares: Array) -> bool:
    """Whether two directions are one to rounding, by squared sines: a second probe cannot be left out of the range."""
    return not squares.min() > _DEPENDENT


def without_two_weights(G: Array, squares: Array) -> tuple[Array, Array]:
    """Entries 1 / sine^2 and cosine / sine^2 of the angles between directions, zero on the diagonal.

    The projector on two of them is the sum over both of s s^T / sine^2, less (s_i s_j^T + s_j s_i^T) cosine / sine^2.

    Args:
        G: Inner products (k, k) of unit directions.
        squares: Squared sines, from `sines`.
    """
    M = 1 / squares
    np.fill_diagonal(M, 0.0)
    return M, M * G


def jackknife(pairs: Array, squares: Array, estimates: Array) -> float | None:
    """Standard error of a mean over k estimates, each with its own probe left out, by leaving out a second one.

    The estimates share all probes but two, so that their spread misses what they have in common. The estimator itself
    without probe i is the mean over j of the estimates without i and j, and the jackknife of these k values is too
    large in the mean, if anything.

    Args:
        pairs: Entry (i, j): the estimate of probe j without i and j; its diagonal is not read.
        squares: Squared sines between the two directions that a pair leaves out.
        estimates: The k estimates. Where two directions are one to rounding, the range has been exhausted, a second
            probe cannot be left out of what was computed, and their spread is returned.

    Returns:
        The standard error; None for k = 1.

    Source:
        Efron and Stein, The jackknife estimate of variance, Ann. Stat. 9 (1981), doi:10.1214/aos/1176345462.
    """
    k = estimates.size
    if k < 2:
        return None
    if are_dependent(squares):
        return float(estimates.std(ddof=1)) / k**0.5
    others = pairs.copy()
    np.fill_diagonal(others, 0.0)
    return float(others.sum(axis=1).std() / (k - 1)) * (k - 1) ** 0.5
