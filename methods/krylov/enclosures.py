"""Intervals for the first eigenvalues in an order, from a Krylov space and the ends of what lies outside of it."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from hessbench.estimand import Array, TopEigenvalues
from hessbench.methods.krylov.random_start_bound import Ends
from hessbench.methods.krylov.tridiagonal import solve_tridiagonal

NOTHING: Final = Ends(0.0, 0.0)
"""The ends of a matrix of zeros."""


class Enclosure(NamedTuple):
    """Bounds (k,) of the first k eigenvalues in an order; of their magnitudes where the order is by magnitude."""

    lower: Array
    upper: Array


def enclosure(
    order: TopEigenvalues, alphas: Array, betas: Array, dim: int, outside: Ends, added: Ends = NOTHING
) -> Enclosure:
    """Enclose the first eigenvalues of A + E, where A Q = Q T + b q e^T and little is known of the rest.

    With P = I - Q Q^T and low I <= P A P <= high I on the range of P, A lies between the two matrices that have T with
    one row more, [[T, b e], [b e^T, c]], in the coordinates of [Q, q], and c on all that is orthogonal to these, with c
    = low and c = high; by Weyl's monotonicity, so does each eigenvalue. This is never wider than by residuals: T itself
    is a leading block of the lower matrix, and an eigenvalue of T with residual rho at distance d from `high` moves by
    about rho^2 / d. E moves each eigenvalue by one of its own at most.

    Args:
        order: k and the order.
        alphas: Diagonal of T, shape (m,).
        betas: Off-diagonal (m,), the last of which is b.
        dim: Dimension n of A.
        outside: Ends of P A P on the range of P; not read where m = n.
        added: Ends of E.

    Returns:
        Lower and upper bounds, as many as k.

    Source:
        Weyl, Math. Ann. 71 (1912), doi:10.1007/BF01456804; the interlacing of T with a row more: Parlett, The Symmetric
        Eigenvalue Problem (1998), doi:10.1137/1.9781611971163, section 10.1.
    """
    low = _completed(alphas, betas, dim, outside.low, order.k) + added.low
    high = _completed(alphas, betas, dim, outside.high, order.k) + added.high
    k = order.k
    if order.which == "smallest":
        return Enclosure(low[:k], high[:k])
    if order.which == "algebraic":
        return Enclosure(low[::-1][:k], high[::-1][:k])
    # Each from its own side: the i-th largest magnitude is among the i largest of both.
    least = np.concatenate([low[::-1][:k], -high[:k]])
    most = np.concatenate([high[::-1][:k], -low[:k]])
    return Enclosure(np.maximum(np.sort(least)[::-1][:k], 0.0), np.maximum(np.sort(most)[::-1][:k], 0.0))


def _completed(alphas: Array, betas: Array, dim: int, end: float, k: int) -> Array:
    """Eigenvalues, ascending, of T with a row for what is outside, and `end` as often as the first k may hold it."""
    if alphas.size >= dim:
        return solve_tridiagonal(alphas, betas).values
    values = solve_tridiagonal(np.append(alphas, end), np.append(betas, 0.0)).values
    return np.sort(np.concatenate([values, np.full(min(k, dim - alphas.size - 1), end)]))
