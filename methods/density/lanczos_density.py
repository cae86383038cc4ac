"""The spectral density by the recipe of Papyan: normalised bounds, Lanczos as it is, and a Gaussian for every node."""

from __future__ import annotations

import math
from typing import Literal, TypeAlias, get_args

import numpy as np
import torch

from hessbench.estimand import Array, Density, Estimate
from hessbench.method import Footprint, Method
from hessbench.methods.arguments import check_at_least, check_choice
from hessbench.methods.krylov.guards import Window
from hessbench.methods.krylov.lockstep import lanczos_lockstep
from hessbench.methods.krylov.recurrence import Recurrence
from hessbench.methods.krylov.ritz import ritz_vectors
from hessbench.methods.krylov.tridiagonal import first_block, quadrature, solve_tridiagonal
from hessbench.methods.krylov.vectors import norm
from hessbench.methods.probes import draw_direction, draw_normal
from hessbench.methods.small_dense import to_device, to_host
from hessbench.operators import LinearOperator

Margins: TypeAlias = Literal["recurrence", "explicit"]


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
) -> Estimate:
    """Normalise, run Lanczos without reorthogonalisation, and lay a Gaussian over every Ritz value on a grid.

    A fifth of the budget, the document's 64 of 320 products, bounds the spectrum: extreme Ritz values, moved out by
    their residuals and then by `margin` of the width. The rest is shared by the probes, M steps each. In [-1, 1] the
    Gaussians have sigma = 2 / ((M - 1) sqrt(8 log 1.25)) times `width`. Each is normalised on the grid, so that it
    carries its Ritz value's whole weight, one at the border or beyond it too; the document divides by nothing.

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

    Returns:
        (nodes, weights) on the K points in the operator's own units, the weights summing to one; one point where the
        bounds show a multiple of the identity; NaN where products were. Diagnostics: `low`, `high`, `sigma` in the
        operator's units.

    Cost:
        A fifth of the budget in calls of width 1, for `explicit` one of width 2, then calls of width `num_probes`; 7
        vectors a probe, and for `explicit` a fifth of the budget.

    Raises:
        ValueError: If `num_matvecs` is below 4 + 2 num_probes, or another argument is out of range.

    Source:
        Papyan, The full spectrum of deep net Hessians at scale (2018), arXiv:1811.07062, algorithms 2 to 4; Lin, Saad
        and Yang, SIAM Rev. 58 (2016), doi:10.1137/130934283.
    """
    check_choice("margins", margins, get_args(Margins))
    check_at_least("points", points, 2)
    check_at_least("num_probes", num_probes, 1)
    _check_number("margin", margin, "at least 0", accepted=margin >= 0)
    _check_number("width", width, "above 0", accepted=width > 0)
    check_at_least("num_matvecs", num_matvecs, _least(op.dim, num_probes=num_probes))
    bounding = min(_bounding(num_matvecs), op.dim)
    low, high = residual_bounds(op, bounding, generator, explicit=margins == "explicit")
    low, high = low - margin * (high - low), high + margin * (high - low)
    center, half = (low + high) / 2, (high - low) / 2
    said = {"low": low, "high": high, "sigma": 0.0}
    if not math.isfinite(half):
        return Estimate((np.full(1, np.nan), np.full(1, np.nan)), converged=False, diagnostics=said)
    if half <= 32 * torch.finfo(op.dtype).eps * max(abs(low), abs(high)):
        return Estimate((np.asarray([center]), np.ones(1)), diagnostics=said)
    left = num_matvecs - bounding - 2 * (margins == "explicit")
    steps = left // num_probes
    depth = min(steps, op.dim)
    rules = lanczos_lockstep(op, draw_normal(op.dim, num_probes, op, generator), depth, reorth="none")
    found = [quadrature(alphas, betas) for alphas, betas in rules]
    values = (np.concatenate([nodes for nodes, _ in found]) - center) / half
    weights = np.concatenate([mass for _, mass in found]) / num_probes
    sigma = width * gaussian_width(depth)
    grid = np.linspace(-1.0, 1.0, points)
    said["sigma"] = sigma * half
    return Estimate((center + half * grid, smoothed(values, weights, grid, sigma)), diagnostics=said)


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
    op: LinearOperator, steps: int, generator: torch.Generator, *, explicit: bool
) -> tuple[float, float]:
    """Extreme Ritz values of Lanczos without reorthogonalisation, each moved out by its residual.

    Args:
        op: Symmetric operator of dimension n.
        steps: Lanczos steps.
        generator: Source of the start.
        explicit: Measure the residuals by two more products.

    Returns:
        The bounds; NaN where a product was.
    """
    rows = steps if explicit else min(steps, 2)
    Q = torch.empty(rows, op.dim, dtype=op.dtype, device=op.device)
    run = Recurrence(op, draw_direction(op, generator), Q, Window(op, on_host=True, passes=0))
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


def _least(dim: int, *, num_probes: int, **_: object) -> int:
    del dim
    return 4 + 2 * num_probes


def _widths(num_matvecs: int, *, margins: str, num_probes: int, **_: object) -> tuple[int, ...]:
    del num_matvecs
    return tuple(sorted({1, num_probes, *([2] if margins == "explicit" else [])}))


def _footprint(dim: int, num_matvecs: int, *, margins: str, num_probes: int, **_: object) -> Footprint:
    bounding = min(_bounding(num_matvecs), dim) if margins == "explicit" else 0
    return Footprint(vectors=max(bounding + 8.0, 7.0 * num_probes), passes=18.0 * num_matvecs + 4.0 * bounding)


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
    presets=("lanczos-density", "lanczos-density[margins=explicit]"),
)
