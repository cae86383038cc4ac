"""Both ends of a spectrum from a Lanczos run, with a stated probability over its random start.

A Ritz value never passes the end it approaches, and its residual only says that some eigenvalue is near: a start that
is orthogonal to the last eigenvector shows nothing of it. What can be said is how unlikely such a start is.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

import numpy as np
import torch
from scipy.special import erfinv
from torch import Tensor

from hessbench.estimand.base import Array
from hessbench.methods.arguments import check_at_least, check_inside
from hessbench.methods.krylov.recurrence import lanczos_steps
from hessbench.methods.krylov.tridiagonal import first_block, tridiagonal_values
from hessbench.methods.krylov.vectors import norm, outside_of
from hessbench.methods.probes import draw_direction
from hessbench.operators import FunctionOperator, LinearOperator

_CLOSE: Final = 1e-13
"""Relative to its distance from the last Ritz value, how closely an end is found."""

_DOUBLED: Final = math.log(2.0)
"""Step away from the last Ritz value in search of a place where K is large enough, in the log of the distance."""

_NEARER: Final = math.log(64.0)
"""Step towards it where K is too large."""

_LARGEST: Final = math.log(float(np.finfo(np.float64).max))

_HUGE: Final = 1e300
"""For an infinite K."""


class Ends(NamedTuple):
    """An interval that holds a whole spectrum."""

    low: float
    high: float


class Bounded(NamedTuple):
    """What a run knows of a spectrum: an interval that holds it, and the one of its Ritz values, which it holds."""

    ends: Ends
    seen: Ends


def end_steps(
    op: LinearOperator, level: float, generator: torch.Generator, *, num_steps: int, basis: Tensor | None = None
) -> Iterator[Bounded]:
    """Bound the spectrum of A, or of P A P on the range of P = I - Q Q^T, by Lanczos from a fresh normal start.

    Args:
        op: Operator A of dimension n, fixed before the generator is drawn from; so is the basis.
        level: Probability that the spectrum leaves an interval that is yielded, any of them; see `spectrum_ends`.
        generator: Source of the start.
        num_steps: Most products; as many as the range of P has dimensions suffice.
        basis: Rows of Q^T, orthonormal, shape (m, n), m below n.

    Yields:
        After each product what is known.

    Cost:
        One product in one call per step, `num_steps` + 2 vectors, and 2 (m + j) vectors read at step j.
    """
    check_at_least("num_steps", num_steps, 1)
    start, inner, most = draw_direction(op, generator), op, op.dim
    if basis is not None:
        Q = basis
        start = outside_of(Q, outside_of(Q, start[:, None])[0])[0][:, 0]
        inner = FunctionOperator(lambda block: outside_of(Q, op.matmat(block))[0], op.dim, op.dtype, op.device)
        most -= Q.shape[0]
    size = float(norm(start))
    for T in lanczos_steps(inner, start, reorth="full", num_steps=min(num_steps, most), generator=generator):
        alphas, betas = first_block(*T.read())
        values = tridiagonal_values(alphas, betas)
        yield Bounded(spectrum_ends(alphas, betas, size, level), Ends(float(values[0]), float(values[-1])))


def spectrum_ends(alphas: Array, betas: Array, size: float, level: float) -> Ends:
    """An interval that holds the whole spectrum of A but with probability `level`, from Lanczos with a normal start v.

    Let p_0, ..., p_j be the orthonormal polynomials of the run: p_i(A) v / ||v|| = q_(i+1), the Lanczos vectors, which
    three-term recurrence with the alphas and betas gives. Let u be a unit eigenvector of the largest eigenvalue x and
    g = <u, v>. For every polynomial p = sum c_i p_i of degree at most j, c of norm 1,

        |p(x) g| = |<u, p(A) v>| <= ||p(A) v|| = ||v||.

    The best c is along (p_0(x), ..., p_j(x)), and so K(x) = sum_i p_i(x)^2 <= ||v||^2 / g^2: 1 / K is the Christoffel
    function, above which no atom of the start's measure weighs. A is fixed before v is drawn, so that g is standard
    normal, and |g| < c with probability erf(c / sqrt(2)) = level / 2. Otherwise K(x) <= ||v||^2 / c^2, and since K
    grows beyond the last Ritz value, x is at most the root of K = ||v||^2 / c^2. The same with -A for the other end.

    Only g is random: on the same event the bound holds after every number of steps, so that a run may stop by it. Since
    K is at least the square of any polynomial over its norm, no bound by one of these is narrower: not that by p_j
    alone, nor that by Chebyshev's, which a priori fails with probability of the form sqrt(n) exp(-(2 j - 1) sqrt(e)),
    e the distance as a share of the spectrum's width.

    Args:
        alphas: Diagonal of T, shape (j,).
        betas: Off-diagonal (j,), the last of which is the norm of the residual; zero where the space was exhausted.
        size: ||v||, v standard normal in the space that A acts on, drawn after A was fixed.
        level: Probability that an eigenvalue lies outside, in (0, 1).

    Returns:
        Least and largest eigenvalue at most, in exact arithmetic; infinite or NaN where the run is.

    Raises:
        ValueError: If `level` is out of range.

    Source:
        Kuczynski and Wozniakowski, SIAM J. Matrix Anal. Appl. 13 (1992), doi:10.1137/0613066, a priori; van
        Dorsselaer, Hochstenbach and van der Vorst (1999), https://ir.cwi.nl/pub/4505, by p_j.
    """
    check_inside("level", level, 0, 1)
    alphas, betas = first_block(alphas, betas)
    if not (np.isfinite(alphas).all() and np.isfinite(betas).all() and math.isfinite(size)):
        return Ends(-math.inf, math.inf)
    limit = 2 * math.log(size / (math.sqrt(2) * float(erfinv(level / 2))))
    values = tridiagonal_values(alphas, betas)
    return Ends(-_upper(-float(values[0]), -alphas, betas, limit), _upper(float(values[-1]), alphas, betas, limit))


def _upper(low: float, alphas: Array, betas: Array, limit: float) -> float:
    """The root of log K = limit beyond `low`, the last Ritz value, from above.

    Sought in t = log(x - last Ritz value), of which log K is a line but for bends.
    """
    least = max(abs(low) * 2.0**-52, float(np.finfo(np.float64).tiny))

    def excess(t: float) -> float:
        return min(_log_christoffel(low + math.exp(t), alphas, betas) - limit, _HUGE)

    far, near, below = math.log(max(float(betas[-1]), least)), -math.inf, -math.inf
    while (above := excess(far)) <= 0:
        near, below = far, above
        far += _DOUBLED
        if far > _LARGEST:
            return math.inf
    while near == -math.inf:
        if far < math.log(least):
            return low + math.exp(far)
        nearer = far - _NEARER
        if (value := excess(nearer)) > 0:
            far, above = nearer, value
        else:
            near, below = nearer, value
    return low + math.exp(_root_from_above(excess, (near, below), (far, above)))


def _root_from_above(f: Callable[[float], float], below: tuple[float, float], above: tuple[float, float]) -> float:
    """The root of a rising function to `_CLOSE`, no less than it, from (t, f(t)) on either side.

    Source: Chandrupatla, Adv. Eng. Softw. 28 (1997), doi:10.1016/S0965-9978(96)00051-8; scipy.optimize, which has it
    too, takes long to import.
    """
    (x1, f1), (x2, f2), share = above, below, 0.5
    while True:
        x = x1 + share * (x2 - x1)
        value = f(x)
        if (value > 0) == (f1 > 0):
            x3, f3 = x1, f1
        else:
            (x3, f3), (x2, f2) = (x2, f2), (x1, f1)
        x1, f1 = x, value
        least = _CLOSE / abs(x2 - x1)
        if least > 0.5:
            return x1 if f1 > 0 else x2
        xi, phi = (x1 - x2) / (x3 - x2), (f1 - f2) / (f3 - f2)
        share = 0.5
        if 1 - math.sqrt(1 - xi) < phi < math.sqrt(xi):  # then a parabola through the three is one to one
            share = f1 / (f2 - f1) * f3 / (f2 - f3) + (x3 - x1) / (x2 - x1) * f1 / (f3 - f1) * f2 / (f3 - f2)
        share = min(max(share, least), 1 - least)


def _log_christoffel(x: float, alphas: Array, betas: Array) -> float:
    """Log of K(x) = sum_i p_i(x)^2, x beyond the last Ritz value, by the ratios p_(i+1) / p_i, which are positive."""
    logs = [0.0]
    ratio, before = math.inf, 0.0
    for alpha, beta in zip(alphas.tolist(), betas.tolist(), strict=True):
        pivot = x - alpha - before / ratio
        if pivot <= 0:  # x is the last Ritz value, to rounding
            return float(np.logaddexp.reduce(2 * np.asarray(logs)))
        if beta == 0:
            return math.inf
        ratio, before = pivot / beta, beta
        logs.append(logs[-1] + math.log(ratio))
    return float(np.logaddexp.reduce(2 * np.asarray(logs)))
