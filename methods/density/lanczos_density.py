"""The spectral density by the recipe of Papyan: normalised bounds, Lanczos as it is, and a Gaussian for every node."""

from __future__ import annotations

import math
from typing import Literal, TypeAlias, get_args

import numpy as np
import torch
from torch import Tensor

from hessbench.estimand import Array, Density, Estimate
from hessbench.method import Footprint, Method
from hessbench.methods.arguments import check_at_least, check_choice
from hessbench.methods.density.deflation import (
    DeflatedBy,
    check_share,
    deflate,
    deflation_footprint,
    draw_outside,
    no_deflation,
    outside_operator,
)
from hessbench.methods.krylov.guards import Window
from hessbench.methods.krylov.lockstep import lanczos_lockstep
from hessbench.methods.krylov.recurrence import Recurrence
from hessbench.methods.krylov.ritz import ritz_vectors
from hessbench.methods.krylov.tridiagonal import first_block, quadrature, solve_tridiagonal
from hessbench.methods.krylov.vectors import norm
from hessbench.methods.small_dense import to_device, to_host
from hessbench.operators import LinearOperator

Margins: TypeAlias = Literal["recurrence", "explicit"]
Normalised: TypeAlias = Literal["rest", "whole"]


def lanczos_density(
    op: LinearOperator,
    /,
    *,
    num_matvecs: int,
    generator: torch.Generator,
    margins: Margins = "recurrence",
    margin: float = 0.05,
    points: int = 1024,
    num_probes: int = 1,
    width: float = 1.0,
    deflation: int = 0,
    by: DeflatedBy = "lanczos",
    share: float = 0.5,
    normalised: Normalised = "rest",
) -> Estimate:
    """Normalise, run Lanczos without reorthogonalisation, and lay a Gaussian over every Ritz value on a grid.

    A fifth of the budget, the document's 64 of 320 products, bounds the spectrum: extreme Ritz values, moved out by
    their residuals and then by `margin` of the width. The rest is shared by the probes, M steps each. In [-1, 1] the
    Gaussians have sigma = 2 / ((M - 1) sqrt(8 log 1.25)) times `width`. Each is normalised on the grid, so that it
    carries its Ritz value's whole weight, one at the border or beyond it too; the document divides by nothing.

    With `deflation` C, `share` of the budget first takes the C eigenpairs of largest magnitude out of the operator (see
    `deflate`), and what is left of it does all this on (I - Y Y^T) A and the complement of their vectors Y. The C
    values, Rayleigh quotients in place of the document's norms, stay points of mass 1/n; the Gaussians share the other
    (n - C)/n. The document bounds the `whole` operator before it deflates: its grid and its Gaussians are then as wide
    as the outliers ask for, where nothing is left, and may be further off than without deflation.

    Args:
        op: Symmetric operator of dimension n.
        num_matvecs: Most products; fewer than `num_probes` may stay unspent.
        generator: Source of the starts.
        margins: Residual of an extreme Ritz pair: `explicit`, ||(A - theta I) y|| by two more products and a basis; or
            `recurrence`, |beta_m s_m|, which costs neither and is the same while the basis is orthogonal.
        margin: The document's kappa, 0 or more.
        points: Grid points K, at least 2.
        num_probes: Probes in lock-step.
        width: In units of the document's sigma, above 0.
        deflation: Number C of eigenpairs, as far as n holds them; the document takes the number of classes, or none.
        by: How they are found, `lanczos` or `simultaneous`.
        share: Part of the budget that may be spent on that, above 0 and below 1; at least C products are, and what the
            rest needs at least is left.
        normalised: Whose bounds the grid and the Gaussians take: the `rest`, what is left of the operator; or `whole`.

    Returns:
        (nodes, weights), the C values and the K points in the operator's own units, the weights summing to one; one
        point in place of K where the bounds show a multiple of the identity; NaN where products were. Functions of the
        matrix are read from the Ritz values as they are (`Estimate.rule`). Diagnostics: `low`, `high`, `sigma` in the
        operator's units; with `deflation` also `residual`, the largest ||A y - theta y||.

    Cost:
        With `deflation` first what `deflate` costs, and then 4 n C multiplications a column more. A fifth of the budget
        that is left in calls of width 1, for `explicit` one of width 2, then calls of width `num_probes`; 7 vectors a
        probe, and for `explicit` a fifth of the budget.

    Raises:
        ValueError: If `num_matvecs` is below min(C, n) + 4 + 2 num_probes (n where C is no less), or another argument
            is out of range.

    Source:
        Papyan, The full spectrum of deep net Hessians at scale (2018), arXiv:1811.07062, algorithms 2 to 5; Lin, Saad
        and Yang, SIAM Rev. 58 (2016), doi:10.1137/130934283.
    """
    check_choice("margins", margins, get_args(Margins))
    check_at_least("points", points, 2)
    check_at_least("num_probes", num_probes, 1)
    check_at_least("deflation", deflation, 0)
    check_choice("by", by, get_args(DeflatedBy))
    check_choice("normalised", normalised, get_args(Normalised))
    check_share(share)
    _check_number("margin", margin, "at least 0", accepted=margin >= 0)
    _check_number("width", width, "above 0", accepted=width > 0)
    check_at_least("num_matvecs", num_matvecs, _least(op.dim, num_probes=num_probes, deflation=deflation))
    found = no_deflation(op)
    if deflation:
        products = _deflating(op.dim, num_matvecs, num_probes=num_probes, deflation=deflation, share=share)
        found = deflate(op, by, deflation, products, generator)
    values, room = found.values, op.dim - found.values.size
    said = {"residual": found.residual} if deflation else {}
    if not room:
        return Estimate((values, np.full(op.dim, 1 / op.dim)), diagnostics=said)
    inner, scale = outside_operator(op, found.vectors), float(np.abs(values).max(initial=0.0))
    left = num_matvecs - found.spent
    bounded = found if normalised == "rest" else no_deflation(op)
    bounding = min(_bounding(left), op.dim - bounded.values.size)
    start = draw_outside(op, bounded.vectors, 1, generator)[:, 0]
    outer = outside_operator(op, bounded.vectors)
    low, high = residual_bounds(outer, bounding, start, explicit=margins == "explicit", scale=scale)
    low, high = low - margin * (high - low), high + margin * (high - low)
    center, half = (low + high) / 2, (high - low) / 2
    said |= {"low": low, "high": high, "sigma": 0.0}
    if not math.isfinite(half):
        return Estimate((np.full(1, np.nan), np.full(1, np.nan)), converged=False, diagnostics=said)
    if half <= 32 * torch.finfo(op.dtype).eps * max(abs(low), abs(high), scale):
        return Estimate(_beside(values, op.dim, np.asarray([center]), np.ones(1)), diagnostics=said)
    steps = (left - bounding - 2 * (margins == "explicit")) // num_probes
    depth = min(steps, room)
    starts = draw_outside(op, found.vectors, num_probes, generator)
    rules = [quadrature(*T) for T in lanczos_lockstep(inner, starts, depth, reorth="none", scale=scale)]
    ritz = np.concatenate([nodes for nodes, _ in rules])
    mass = np.concatenate([weights for _, weights in rules]) / num_probes
    sigma = width * gaussian_width(depth)
    grid = np.linspace(-1.0, 1.0, points)
    said["sigma"] = sigma * half
    shown = smoothed((ritz - center) / half, mass, grid, sigma)
    return Estimate(
        _beside(values, op.dim, center + half * grid, shown),
        diagnostics=said,
        rule=_beside(values, op.dim, ritz, mass),
    )


def _beside(values: Array, dim: int, nodes: Array, weights: Array) -> tuple[Array, Array]:
    """Deflated values with mass 1/n each, and a density of mass one for all others."""
    rest = (dim - values.size) / dim
    return np.concatenate([values, nodes]), np.concatenate([np.full(values.size, 1 / dim), weights * rest])


def gaussian_width(steps: int) -> float:
    """The document's sigma in [-1, 1] for M Lanczos steps; that of two for a single one."""
    return 2 / (max(steps - 1, 1) * math.sqrt(8 * math.log(1.25)))


def smoothed(values: Array, weights: Array, grid: Array, sigma: float) -> Array:
    """Sum of Gaussians on a grid, each normalised there: weights (K,) with the sum of those handed in.

    Args:
        values: Centres, shape (m,).
        weights: Their weights, shape (m,).
        grid: Points, shape (K,), K at least 2.
        sigma: Width, above 0, in the unit of the grid.

    Raises:
        ValueError: If sigma is not above 0 and finite, or the grid has fewer than 2 points.
    """
    _check_number("sigma", sigma, "above 0", accepted=sigma > 0)
    check_at_least("points", grid.size, 2)
    exponents = -0.5 * ((grid[:, None] - values) / sigma) ** 2
    bells = np.exp(exponents - exponents.max(axis=0))  # a value between two points or beyond the last loses nothing
    return (bells / bells.sum(axis=0)) @ weights


def residual_bounds(
    op: LinearOperator, steps: int, start: Tensor, *, explicit: bool, scale: float = 0.0
) -> tuple[float, float]:
    """Extreme Ritz values of Lanczos without reorthogonalisation, each moved out by its residual.

    Args:
        op: Symmetric operator of dimension n.
        steps: Lanczos steps.
        start: First direction, shape (n,).
        explicit: Measure the residuals by two more products.
        scale: Size by which products round, where it is known to be more than the operator shows.

    Returns:
        The bounds; NaN where a product was.
    """
    rows = steps if explicit else min(steps, 2)
    Q = torch.empty(rows, op.dim, dtype=op.dtype, device=op.device)
    run = Recurrence(op, start, Q, Window(op, on_host=True, passes=0, scale=scale))
    for _ in range(steps):
        run.advance()
        if run.ended:
            break
    alphas, betas = first_block(*run.matrix().read())
    ritz = solve_tridiagonal(alphas, betas)
    ends = [0, ritz.values.size - 1]
    residuals = betas[-1] * np.abs(ritz.last[ends])
    if explicit:
        Y = ritz_vectors(Q[: alphas.size], ritz.vectors[:, ends]).contiguous()
        Y.div_(norm(Y, dim=0))
        residuals = to_host(norm(op.matmat(Y).detach() - Y * to_device(ritz.values[ends], Y), dim=0))
    return float(ritz.values[0] - residuals[0]), float(ritz.values[-1] + residuals[1])


def _check_number(name: str, value: float, accepted_range: str, *, accepted: bool) -> None:
    if not (accepted and math.isfinite(value)):
        raise ValueError(f"{name} must be {accepted_range} and finite, got {value}")


def _bounding(num_matvecs: int) -> int:
    return max(2, num_matvecs // 5)


def _deflating(dim: int, num_matvecs: int, *, num_probes: int, deflation: int, share: float) -> int:
    """Products that the deflation may spend."""
    count = min(deflation, dim)
    least = _least(dim, num_probes=num_probes, deflation=deflation) - count
    return max(count, min(int(share * num_matvecs), num_matvecs - least))


def _least(dim: int, *, num_probes: int, deflation: int, **_: object) -> int:
    count = min(deflation, dim)
    return count + (4 + 2 * num_probes if count < dim else 0)


def _widths(
    num_matvecs: int, *, margins: str, num_probes: int, deflation: int, by: str, **_: object
) -> tuple[int, ...]:
    blocks = {min(deflation, num_matvecs)} if deflation and by == "simultaneous" else set[int]()
    return tuple(sorted({1, num_probes, *([2] if margins == "explicit" else []), *blocks}))


def _footprint(
    dim: int, num_matvecs: int, *, margins: str, num_probes: int, deflation: int, by: str, share: float, **_: object
) -> Footprint:
    before = Footprint(0.0, 0.0)
    if deflation:
        spent = _deflating(dim, num_matvecs, num_probes=num_probes, deflation=deflation, share=share)
        before = deflation_footprint(dim, by, deflation, spent)
        num_matvecs -= spent
    bounding = min(_bounding(num_matvecs), dim) if margins == "explicit" else 0
    taken = min(deflation, dim)
    return Footprint(
        vectors=max(before.vectors, taken + max(bounding + 8.0, 7.0 * num_probes)),
        passes=before.passes + (18.0 + 2 * taken) * num_matvecs + 4.0 * bounding,
    )


LANCZOS_DENSITY = Method(
    name="lanczos-density",
    run=lanczos_density,
    estimands=(Density,),
    citation=(
        "Papyan, The full spectrum of deep net Hessians at scale: dynamics with sample size (2018), arXiv:1811.07062; "
        "Lin, Saad and Yang, Approximating spectral densities of large matrices, SIAM Rev. 58 (2016) 34-65, "
        "doi:10.1137/130934283"
    ),
    version="1",
    min_matvecs=_least,
    block_widths=_widths,
    footprint=_footprint,
    presets=("lanczos-density", "lanczos-density[margins=explicit]", "lanczos-density[deflation=10]"),
)
