"""The spectral density by the kernel polynomial method."""

from __future__ import annotations

import math
from typing import Final, get_args

import numpy as np
import torch
from torch import Tensor

from hessbench.estimand import Array, Density, Estimate
from hessbench.method import Footprint, Method
from hessbench.methods.arguments import Bounds, Probe, check_at_least, check_choice
from hessbench.methods.density.damping import Damping, chebyshev_quadrature, damping_factors
from hessbench.methods.density.interval import Interval, find_interval
from hessbench.methods.krylov.vectors import norm
from hessbench.methods.probes import draw_direction, draw_probes
from hessbench.operators import LinearOperator

_SLACK: Final = 1e-3  # a moment may pass 1 by this much: rounding, in float32 too


def kpm(
    op: LinearOperator,
    /,
    *,
    num_matvecs: int,
    generator: torch.Generator,
    bound_steps: int = 8,
    bounds: Bounds = "safe",
    num_probes: int = 1,
    probe: Probe = "normal",
    damping: Damping = "jackson",
    known_low: float = -math.inf,
) -> Estimate:
    """Kernel polynomial method: Chebyshev moments of random probes, damped by a kernel.

    Bounds come first and from the same budget: min(bound_steps, n) Lanczos steps, the extreme Ritz values moved out and
    the interval widened by 1 %. `safe` moves them by the norm of the last residual, which hardly ever fails but may
    widen the interval by a third; `tight` by their own residuals, which resolves finer and misses now and then. What
    remains is shared by the probes, p products each. They give moments 0 to 2p, because T_j x yields moment 2j as
    2 |T_j x|^2 - mu_0 and moment 2j - 1 as 2 <T_j x, T_(j-1) x> - mu_1. What is returned is the Gauss-Chebyshev
    quadrature of the damped series, on twice as many nodes as moments.

    With `jackson` and `lorentz` the series is non-negative. With `lanczos`, which is narrower, it is not: negative
    weights are set to zero, the others scaled to sum to one, and `clipped` says how much that was.

    Where every eigenvalue is known to be at least `known_low`, 0 of a positive semi-definite matrix, the interval ends
    there if it would begin below: no node lies where a function of the matrix may not be defined, and all of them are
    spent where eigenvalues are. Sums of a function f are read from the undamped series (`Estimate.rule`), which is to
    expand f in Chebyshev polynomials on the interval (Han, Malioutov and Shin): damping is for what is not smooth.

    Probes are not told apart, so that nothing read from this density has a standard error. What the damping does to a
    function of the matrix all probes share: over 300 seeds, five probes at 30 products each, intervals of their spread
    at 95 % held a logarithm of the determinant 285 times on a flat spectrum and 272 times beside outliers, and a mass
    102 and 259 times.

    A moment above mu_0 = 1 shows an eigenvalue outside the bounds. The vector that shows it is dominated by that
    eigenvalue, so once the bounds are found again, `safe` ones, by Lanczos steps from there, and the moments restart
    with what remains. A second such moment, or too little left, is reported by NaN.

    Args:
        op: Symmetric operator of dimension n.
        num_matvecs: Most products; fewer than `num_probes` may stay unspent.
        generator: Source of the starts.
        bound_steps: Lanczos steps that bound the spectrum.
        bounds: `safe` or `tight`.
        num_probes: Probes, multiplied as one block.
        probe: Distribution of the probes before normalisation: `normal`, `sphere` or `signs`.
        damping: `jackson`, `lorentz` or `lanczos` (sigma factors).
        known_low: What every eigenvalue is known to be at least, rounding apart; minus infinity where nothing is.

    Returns:
        (nodes, weights), none negative, the weights summing to one. Where the bounds show a multiple of the identity,
        that point. Where the bounds failed, NaN and why in `diagnostics["reason"]`. Other diagnostics: `low`, `high`,
        `moments`; `bounded`, how often bounds were computed; `clipped`, the mass below zero that was cut off.

    Cost:
        min(bound_steps, n) calls of width 1, then calls of width `num_probes`; own work of five passes over the block a
        call. Each call is followed by reading one number from the device, for the check.

    Raises:
        ValueError: If `num_matvecs` is below min(bound_steps, n) + num_probes, or another argument is out of range.

    Source:
        Weisse, Wellein, Alvermann and Fehske, Rev. Mod. Phys. 78 (2006), doi:10.1103/RevModPhys.78.275; bounds: Zhou
        and Li, Linear Algebra Appl. 435 (2011), doi:10.1016/j.laa.2010.06.034; functions: Han, Malioutov and Shin, ICML
        (2015), arXiv:1503.06394.
    """
    check_at_least("bound_steps", bound_steps, 1)
    check_at_least("num_probes", num_probes, 1)
    check_choice("bounds", bounds, get_args(Bounds))
    check_choice("damping", damping, get_args(Damping))
    depth = min(bound_steps, op.dim)
    check_at_least("num_matvecs", num_matvecs, depth + num_probes)
    probes = draw_probes(probe, op.dim, num_probes, op, generator)
    X = probes / norm(probes, dim=0)
    start = draw_direction(op, generator)
    found, exhausted = find_interval(op, start, depth, bounds, generator)
    interval = found.above(known_low, torch.finfo(op.dtype).eps)
    left = num_matvecs - depth
    bounded = 0
    while True:
        bounded += 1
        if not np.isfinite([interval.low, interval.high]).all():
            return _diverged("the products that bound the spectrum are not finite", interval, bounded)
        size = max(abs(interval.low), abs(interval.high))
        if interval.high < interval.floor:
            return _diverged(f"an eigenvalue is below the known lower end {known_low:g}", interval, bounded)
        if exhausted and interval.half <= 32 * torch.finfo(op.dtype).eps * size:
            said = {"low": interval.low, "high": interval.high, "moments": 0, "bounded": bounded}
            said["clipped"] = 0.0
            return Estimate((np.asarray([interval.center]), np.ones(1)), diagnostics=said)
        moments, spent, outlier = chebyshev_moments(op, X, interval, left // num_probes)
        left -= spent
        if outlier is None:
            return _density(moments, interval, bounded, damping, known_low)
        depth = min(depth, left - num_probes)
        if bounded == 2 or depth < 1:
            known = "" if known_low == -math.inf else f", or below the known lower end {known_low:g}"
            why = f"a Chebyshev moment exceeds 1: an eigenvalue is outside the bounds{known}"
            return _diverged(why, interval, bounded)
        found, exhausted = find_interval(op, outlier, depth, "safe", generator)
        interval = interval.hull(found)
        left -= depth


def chebyshev_moments(
    op: LinearOperator, X: Tensor, interval: Interval, degree: int
) -> tuple[Array, int, Tensor | None]:
    """Moments <x, T_k(A') x> of unit columns, averaged, A' being A moved and scaled into [-1, 1].

    Args:
        op: Symmetric operator.
        X: Columns of norm one, shape (n, p).
        interval: Bounds of the spectrum.
        degree: Most products per column.

    Returns:
        Moments 0 to 2 * degree, shape (2 * degree + 1,); the products spent; and None, or the vector T_j(A') x whose
        norm showed an eigenvalue outside the interval, where the recurrence was stopped.

    Cost:
        degree products per column, in calls of width p.
    """
    center, half = interval.center, interval.half
    before, current = X, X
    even, odd = [torch.ones_like(X[0])], []
    for j in range(1, degree + 1):
        product = op.matmat(current).detach()
        image = torch.sub(product, current, alpha=center).div_(half)
        before, current = current, image if j == 1 else image.mul_(2).sub_(before)
        lengths = torch.linalg.vecdot(current, current, dim=0)
        even.append(lengths)
        odd.append(torch.linalg.vecdot(current, before, dim=0))
        # Moment 2j is 2 |T_j x|^2 - 1, so it passes 1 when the length does; the others are bounded by lengths.
        if not bool((lengths <= 1 + _SLACK).all()):
            worst = current[:, int(lengths.nan_to_num(posinf=torch.inf, nan=torch.inf).argmax())]
            return np.full(2 * degree + 1, np.nan), j * X.shape[1], worst
    # By T_j T_k = (T_(j+k) + T_|j-k|) / 2, on the CPU in float64.
    evens = torch.stack(even).cpu().double().numpy()
    odds = torch.stack(odd).cpu().double().numpy()
    moments = np.empty((2 * degree + 1, X.shape[1]))
    moments[0] = 1
    moments[2::2] = 2 * evens[1:] - 1
    moments[1::2] = 2 * odds - odds[0]
    moments[1] = odds[0]
    return moments.mean(axis=1), degree * X.shape[1], None


def _density(moments: Array, interval: Interval, bounded: int, damping: str, known_low: float) -> Estimate:
    """Sum the damped series on Gauss-Chebyshev nodes, where its quadrature is exact, and the series as it is."""
    x, weights = chebyshev_quadrature(moments * damping_factors(damping, moments.size))
    kept = np.maximum(weights, 0.0)
    nodes = np.maximum(interval.center + interval.half * x, known_low)
    said = {"low": interval.low, "high": interval.high, "moments": moments.size, "bounded": bounded}
    return Estimate(
        (nodes, kept / kept.sum()),
        diagnostics={**said, "clipped": float((kept - weights).sum())},
        rule=(nodes, chebyshev_quadrature(moments)[1]),
    )


def _diverged(reason: str, interval: Interval, bounded: int) -> Estimate:
    said = {"reason": reason, "low": interval.low, "high": interval.high, "moments": 0, "bounded": bounded}
    return Estimate((np.full(1, np.nan), np.full(1, np.nan)), converged=False, diagnostics=said)


def _least(dim: int, *, bound_steps: int, num_probes: int, **_: object) -> int:
    return min(bound_steps, dim) + num_probes


def _widths(num_matvecs: int, *, num_probes: int, **_: object) -> tuple[int, ...]:
    del num_matvecs
    return (1, num_probes) if num_probes > 1 else (1,)


def _footprint(dim: int, num_matvecs: int, *, bound_steps: int, num_probes: int, **_: object) -> Footprint:
    depth = min(bound_steps, dim)
    products = max(0, num_matvecs - depth)
    return Footprint(
        vectors=max(depth + 2.0, 5.0 * num_probes), passes=depth * (depth + 1) + 14.0 * depth + 14.0 * products
    )


KPM = Method(
    name="kpm",
    run=kpm,
    estimands=(Density,),
    citation=(
        "Weisse, Wellein, Alvermann and Fehske, The kernel polynomial method, Rev. Mod. Phys. 78 (2006) 275-306, "
        "doi:10.1103/RevModPhys.78.275; functions of a matrix: Han, Malioutov and Shin, Large-scale log-determinant "
        "computation through stochastic Chebyshev expansions, ICML (2015), arXiv:1503.06394"
    ),
    version="2",
    min_matvecs=_least,
    block_widths=_widths,
    footprint=_footprint,
    presets=("kpm", "kpm[bounds=tight]", "kpm[damping=lorentz]", "kpm[damping=lanczos]"),
)
