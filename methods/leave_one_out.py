"""What a column adds to the range of a block: leaving one out costs no factorisation anew."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from hessbench.estimand import Array

CITATION: Final = (
    "Epperly, Tropp and Webber, XTrace: Making the most of every sample in stochastic trace estimation, SIAM J. "
    "Matrix Anal. Appl. 45 (2024) 1-23, arXiv:2301.07825"
)

_TINY: Final = 1e-300


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
    U, sizes, Vt = np.linalg.svd(R)
    inverse = U @ (Vt / np.maximum(sizes, max(eps * sizes[0], _TINY))[:, None] * max(sizes[0], _TINY))
    S = inverse / np.linalg.norm(inverse, axis=0)
    return LeftOut(S, (S * R).sum(axis=0))
