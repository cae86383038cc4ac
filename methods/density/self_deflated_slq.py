"""The spectral density by one Lanczos run whose converged Ritz values are deflated from its own quadrature."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Final

import numpy as np
import scipy.special  # scipy.stats would cost every process of a run a quarter of a second
import torch
from numpy.typing import NDArray

from hessbench.estimand import Array, Density, Estimate
from hessbench.method import Footprint, Method
from hessbench.methods.arguments import check_at_least
from hessbench.methods.krylov.recurrence import lanczos_steps
from hessbench.methods.krylov.tridiagonal import Tridiagonal, first_block, solve_tridiagonal, tridiagonal_values
from hessbench.methods.probes import draw_direction, single_columns
from hessbench.operators import LinearOperator

_LEVEL: Final = 1e-3  # at which a weight, or the sum of them, is too large for simple eigenvalues
_PART_LEVEL: Final = 0.05  # at which the sum of the largest is, where that of all is too large


def self_deflated_slq(
    op: LinearOperator, /, *, num_matvecs: int, generator: torch.Generator, tolerance: float = 0.05
) -> Iterator[Estimate]:
    """One Lanczos run; what of it has converged enters with mass 1/n, the rest of its quadrature shares what is left.

    Lanczos quadrature of one start gives a converged eigenvalue the weight tau^2, the squared component of the start
    along its vector, n tau^2 being distributed as chi-square of one degree: right in the mean, off by its own size. Its
    mass is known to be 1/n. Put there, the converged nodes are those of a low-rank deflation, and the others, their
    weights scaled to (n - C)/n, the quadrature of the deflated operator from the deflated start, which the same run
    has made: no product is spent twice.

    A value of multiplicity g has mass g/n and n tau^2 of g degrees. So a node is deflated only where its residual is
    within `tolerance` of its own magnitude, which a value beside zero never is before the space is exhausted; where n
    tau^2 is possible for a simple one at the level 0.001. Where the sum of those is not, as when nodes of a bulk stand
    for several values each, only as many of the largest magnitudes are as have a sum that is possible at the level
    0.05: of double values some five, of simple ones above such a bulk most. A multiplicity that passes costs (g - 1)/n,
    about what the weight would have been off by, sqrt(2 g)/n. Where the space is exhausted and no node is too heavy,
    copies that the run cannot see must be somewhere, and nothing is deflated; where the basis spans the whole space,
    every Ritz value counts 1/n and the density is exact.

    Args:
        op: Symmetric operator of dimension n.
        num_matvecs: Most products; at most n are spent.
        generator: Source of the start.
        tolerance: Residual of a converged value over its magnitude, above 0 and below 1.

    Yields:
        After each product (nodes, weights), the weights summing to one, and which nodes are from the start: all but
        those deflated. Diagnostics: `deflated`, C.

    Cost:
        One product in one call a step; own work and memory as in `lanczos_steps` with `full`.

    Raises:
        ValueError: If an argument is out of range.

    Source:
        The deflation: Papyan (2018), arXiv:1811.07062, algorithm 5; that one Krylov space serves it and the quadrature:
        Chen and Hallman (2022), arXiv:2205.01736. The reuse of the start's own quadrature is this package's.
    """
    check_at_least("num_matvecs", num_matvecs, 1)
    if not 0 < tolerance < 1:
        raise ValueError(f"tolerance must be above 0 and below 1, got {tolerance}")
    start = draw_direction(op, generator)
    for T in lanczos_steps(op, start, reorth="full", num_steps=num_matvecs, generator=generator):
        yield Estimate(partial(_answer, T.without_basis(), op.dim, tolerance))


def _answer(T: Tridiagonal, dim: int, tolerance: float) -> Estimate:
    """Read T and weigh its Ritz values."""
    alphas, betas = T.read()
    if T.size == dim:
        values = tridiagonal_values(alphas, betas)
        exact = np.full(dim, -1)
        return Estimate((values, np.full(dim, 1 / dim)), diagnostics={"deflated": dim}, starts=exact)
    alphas, betas = first_block(alphas, betas)
    ritz = solve_tridiagonal(alphas, betas)
    weights = ritz.first**2
    converged = betas[-1] * np.abs(ritz.last) <= tolerance * np.abs(ritz.values)
    taken = simple_nodes(ritz.values, weights, converged, dim, exhausted=bool(betas[-1] == 0))
    count = int(taken.sum())
    rest = float(weights[~taken].sum())
    if count and rest > 0:
        weights = np.where(taken, 1 / dim, weights * ((dim - count) / dim / rest))
    else:  # nothing left to carry the rest: the quadrature as it is
        count = 0
    starts = np.where(taken & (count > 0), -1, 0)
    return Estimate((ritz.values, weights), diagnostics={"deflated": count}, starts=starts)


def simple_nodes(
    values: Array, weights: Array, converged: NDArray[np.bool_], dim: int, *, exhausted: bool
) -> NDArray[np.bool_]:
    """Which converged nodes may be taken for simple eigenvalues, by their weights; see `self_deflated_slq`.

    Args:
        values: The nodes, shape (m,).
        weights: Squared components of a uniform start, shape (m,).
        converged: Which nodes count.
        dim: The dimension n.
        exhausted: Whether the nodes are all eigenvalues that the start sees.
    """
    sizes = dim * weights
    light = converged & (sizes <= float(scipy.special.chdtri(1, _LEVEL)))
    count = int(light.sum())
    copies_unseen = exhausted and weights.size < dim and bool(light.all())
    if not count or copies_unseen:
        return np.zeros_like(light)
    if sizes[light].sum() <= float(scipy.special.chdtri(count, _LEVEL)):
        return light
    largest = np.flatnonzero(light)[np.argsort(-np.abs(values[light]), kind="stable")]
    possible = np.cumsum(sizes[largest]) <= scipy.special.chdtri(np.arange(1, count + 1), _PART_LEVEL)
    taken = np.zeros_like(light)
    taken[largest[: int(np.flatnonzero(possible)[-1]) + 1 if possible.any() else 0]] = True
    return taken


def _footprint(dim: int, num_matvecs: int, **_: object) -> Footprint:
    steps = min(num_matvecs, dim)
    return Footprint(vectors=steps + 4, passes=steps * (steps + 1) + 18.0 * steps)


SELF_DEFLATED_SLQ = Method(
    name="self-deflated-slq",
    run=self_deflated_slq,
    estimands=(Density,),
    citation=(
        "Papyan, The full spectrum of deep net Hessians at scale: dynamics with sample size (2018), arXiv:1811.07062; "
        "Chen and Hallman, Krylov-aware stochastic trace estimation, SIAM J. Matrix Anal. Appl. 44 (2023), "
        "arXiv:2205.01736"
    ),
    version="2",
    min_matvecs=1,
    block_widths=single_columns,
    footprint=_footprint,
)
