"""Intervals for the first eigenvalues in an order, from a Krylov space and the ends of what lies outside of it."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final, NamedTuple

import numpy as np

from hessbench.estimand import Array, TopEigenvalues
from hessbench.methods.krylov.random_start_bound import Ends
from hessbench.methods.krylov.tridiagonal import tridiagonal_values

NOTHING: Final = Ends(0.0, 0.0)
"""The ends of a matrix of zeros."""


class EigenvalueBounds(NamedTuple):
    """Bounds (k,) of the first k eigenvalues in an order; of their magnitudes where the order is by magnitude."""

    lower: Array
    upper: Array


@dataclass(frozen=True)
class Space:
    """A Krylov space Q with A Q = Q T + b q e^T.

    Attributes:
        alphas: Diagonal of T, shape (m,).
        betas: Off-diagonal (m,), the last of which is b.
        dim: Dimension n of A.
        deflated: The number d of first vectors of Q that `outside` is orthogonal to, 1 to m.
    """

    alphas: Array
    betas: Array
    dim: int
    deflated: int

    @cached_property
    def values(self) -> Array:
        """Ritz values, ascending, solved once for all ends that are tried."""
        return tridiagonal_values(self.alphas, self.betas)


def enclosure(order: TopEigenvalues, space: Space, outside: Ends, added: Ends = NOTHING) -> EigenvalueBounds:
    """Enclose the first eigenvalues of A + E, where A is known on a Krylov space, and of the rest the ends only.

    Let P = I - Q_d Q_d^T and low I <= P A P <= high I on the range of P. For x > high, x I - A has as many negative
    eigenvalues as its Schur complement x I - T_d - f(x) b_d^2 e e^T, f(x) = q^T (x I - P A P)^(-1) q with q the vector
    d + 1 of the run. By the rule of Gauss and Radau with a node at `high`, f(x) is at most the same with P A P replaced
    by the rest of T and one row more, [[T', b e], [b e^T, c]], c such that its largest eigenvalue is `high`. So the
    i-th eigenvalue of A is at most that of T with this row, or `high`. It is at least that of T (Cauchy). Both hold for
    -A, and E moves each by one of its own eigenvalues at most (Weyl).

    An eigenvalue of T with residual rho at distance t from `high` is known to about rho^2 / t. With d = m the row ends
    in `high` itself, and the vector that it stands for comes out as an eigenvector far above: d should be a few less.

    Args:
        order: k and the order.
        space: T and what it belongs to.
        outside: Ends of P A P on the range of P; not read where m = n.
        added: Ends of E.

    Returns:
        Lower and upper bounds, as many as k.

    Source:
        Golub and Meurant, Matrices, Moments and Quadrature (2010), doi:10.1515/9781400833887, chapters 3 and 6; Weyl,
        Math. Ann. 71 (1912), doi:10.1007/BF01456804.
    """
    seen = _Seen.of(space, outside)
    top, mirrored = seen.from_the_top(order.k), seen.mirrored().from_the_top(order.k)
    first = EigenvalueBounds(top.lower + added.low, top.upper + added.high)
    last = EigenvalueBounds(mirrored.lower - added.high, mirrored.upper - added.low)
    if order.which == "algebraic":
        return first
    if order.which == "smallest":
        return EigenvalueBounds(-last.upper, -last.lower)
    # The i-th largest magnitude is the i-th largest of the first from above and, mirrored, of those from below.
    lower, upper = (np.sort(np.concatenate(ends))[::-1][: order.k] for ends in zip(first, last, strict=True))
    return EigenvalueBounds(np.maximum(lower, 0.0), np.maximum(upper, 0.0))


class _Seen(NamedTuple):
    """What bounds the eigenvalues of A: those of T, and of T with a row for what follows it, all descending.

    Attributes:
        dim: Dimension n of A.
        outside: Ends of P A P.
        inner: Eigenvalues of T, shape (m,).
        above: Of T with a row whose rest reaches up to `outside.high`, shape (m + 1,).
        below: Of T with one whose rest reaches down to `outside.low`.
    """

    dim: int
    outside: Ends
    inner: Array
    above: Array
    below: Array

    @staticmethod
    def of(space: Space, outside: Ends) -> _Seen:
        inner = space.values[::-1]
        if inner.size >= space.dim:
            return _Seen(space.dim, outside, inner, inner, inner)
        below = -_with_row(replace(space, alphas=-space.alphas), -outside.low)[::-1]
        return _Seen(space.dim, outside, inner, _with_row(space, outside.high), below)

    def mirrored(self) -> _Seen:
        """The same of -A."""
        turned = (-values[::-1] for values in (self.inner, self.below, self.above))
        return _Seen(self.dim, Ends(-self.outside.high, -self.outside.low), *turned)

    def from_the_top(self, k: int) -> EigenvalueBounds:
        """Bounds of the k largest eigenvalues of A, in descending order."""
        n, m, outside, inner = self.dim, self.inner.size, self.outside, self.inner
        if m >= n:
            return EigenvalueBounds(inner[:k], inner[:k])
        lower, upper = np.full(k, outside.low), np.full(k, outside.high)
        held = min(k, m)
        lower[:held] = inner[:held]
        upper[: m + 1] = np.maximum(self.above[:k], outside.high)
        # Of the last m places, T is a bound from the other side.
        for place in range(n - m - 1, k):
            lower[place] = max(lower[place] if place < m else -math.inf, min(self.below[place - n], outside.low))
            if place >= n - m:
                upper[place] = min(upper[place], inner[place - n])
        return EigenvalueBounds(lower, upper)


def _with_row(space: Space, high: float) -> Array:
    """Eigenvalues, descending, of T with the row that gives what follows d the largest eigenvalue `high`."""
    alphas, betas, d = space.alphas, space.betas, space.deflated
    if not math.isfinite(high):
        return np.full(alphas.size + 1, high)
    end, before = high, math.inf
    for j in range(d, alphas.size):
        pivot = high - float(alphas[j]) - (float(betas[j - 1]) ** 2 / before if j > d else 0.0)
        if not pivot > 0:  # T' holds the whole of what is outside, to rounding
            return np.append(space.values[::-1], -math.inf)
        end, before = high - float(betas[j]) ** 2 / pivot, pivot
    return tridiagonal_values(np.append(alphas, end), np.append(betas, 0.0))[::-1]
