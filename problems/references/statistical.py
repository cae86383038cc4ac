"""Traces and densities where nothing exact is affordable: seeded estimates in float64, each with a 99 % interval."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import scipy.special
import torch
from torch import Tensor

from hessbench.estimand import Array, Density, Reference, Source, Trace
from hessbench.estimand.from_dense import References
from hessbench.estimand.work import OwnWork, advance, part
from hessbench.operators import LinearOperator
from hessbench.problems.references.trace_interval import LEVEL, Effort, random_signs, trace_interval
from hessbench.seeding import derive_seed, make_generator

_RESAMPLES: Final = 2000
_GAP_POINTS: Final = 200


@dataclass(frozen=True)
class Quadrature:
    """A probe's Gauss quadrature, and how far from its measure it can be.

    Attributes:
        nodes: Ritz values (k,), ascending.
        weights: Their weights (k,), which add up to 1.
        resolution: Largest Wasserstein-1 distance of any measure with the same moments.
    """

    nodes: Array
    weights: Array
    resolution: float


def statistical_references(
    build: Callable[[], LinearOperator],
    rounding: float,
    name: str = "",
    *,
    psd: bool = False,
    effort: Effort | None = None,
) -> References:
    """References of the trace and the density.

    The scale of a trace's error, sum |lambda|, is the trace itself for a positive semi-definite operator; else it comes
    from a small density of its own, to a few per cent, which the note says.

    Args:
        build: Makes the operator, in float64.
        rounding: Constant c in the rounding c eps ||A|| of the operator that is compared with these references.
        name: Problem the probes are seeded from.
        psd: Whether the operator is positive semi-definite.
        effort: How many products are spent.
    """
    effort = effort or Effort()

    def trace(_: Trace) -> Reference:
        return statistical_trace(build(), rounding, name, psd=psd, effort=effort)

    def density(_: Density) -> Reference:
        return statistical_density(build(), rounding, name, effort)

    return {Trace: OwnWork(trace), Density: OwnWork(density)}


def statistical_trace(
    op: LinearOperator, rounding: float, name: str = "", *, psd: bool = False, effort: Effort | None = None
) -> Reference:
    """Trace with its interval as the bound; see `statistical_references` and `trace_interval`.

    To the half width is added the rounding of the part that is exact: c eps ||A|| for each column of the sketch.

    Args:
        op: The operator, in float64.
        rounding: Constant c in the rounding c eps ||A|| of the operator that is compared with this reference.
        name: Problem the probes are seeded from.
        psd: Whether the operator is positive semi-definite.
        effort: How many products are spent.
    """
    effort = effort or Effort()
    small = replace(effort, probes=4, steps=30)
    share = 1.0 if psd else effort.trace_products / (effort.trace_products + small.density_products)
    with part(0.0, share):
        found = trace_interval(op, make_generator(derive_seed("statistical", name, "trace")), effort)
    size = abs(found.value)
    note = f"99 % interval {found.value:.6g} +- {found.half_width:.2g} of {effort.trace_products} products"
    if not psd:
        with part(share, 1.0):
            spectrum = statistical_density(op, rounding, f"{name} scale", small).arrays
        size = max(size, op.dim * float(np.abs(spectrum["nodes"]) @ spectrum["weights"]))
        note += f"; its scale sum |lambda|, about {size:.3g}, is estimated from {small.density_products} more"
    arrays = {"trace": np.asarray([found.value]), "abs_sum": np.asarray([size])}
    bound = found.half_width + min(effort.sketch, op.dim) * rounding * 2.0**-52 * found.norm
    return Reference(arrays, Source.STATISTICAL, found.norm, bound, rounding, note)


def statistical_density(op: LinearOperator, rounding: float, name: str = "", effort: Effort | None = None) -> Reference:
    """Density by stochastic Lanczos quadrature, with a bound of its Wasserstein-1 distance to the truth.

    The bound is the sum of two. What the choice of probes does: the 99 % quantile of the distance between the mean of
    resampled probes and the mean of all, scaled for their small number. What the number of steps does: each probe's
    `Quadrature.resolution`, which holds for every measure that the steps cannot tell from the quadrature.

    Args:
        op: The operator, in float64.
        rounding: Constant c in the rounding c eps ||A|| of the operator that is compared with this reference.
        name: Problem the probes are seeded from.
        effort: How many products are spent.

    Cost: probes x steps products.

    Raises:
        ValueError: If fewer than two probes are asked for.
    """
    effort = effort or Effort()
    if effort.probes < 2 or effort.steps < 1:
        raise ValueError(f"two probes of one step are needed at least, got {effort.probes} of {effort.steps}")
    generator = make_generator(derive_seed("statistical", name, "density"))
    quadratures: list[Quadrature] = []
    for probe in range(effort.probes):
        with part(probe / effort.probes, (probe + 1) / effort.probes):
            quadratures.append(gauss_quadrature(*lanczos(op, random_signs(op.dim, 1, generator)[:, 0], effort)))
    nodes = np.concatenate([quadrature.nodes for quadrature in quadratures])
    weights = np.concatenate([quadrature.weights for quadrature in quadratures]) / effort.probes
    order = np.argsort(nodes, kind="stable")
    spread = probe_spread(quadratures, np.random.default_rng(derive_seed("statistical", name, "resamples")))
    resolution = float(np.mean([quadrature.resolution for quadrature in quadratures]))
    note = (
        f"{effort.probes} probes of {effort.steps} Lanczos steps; bound in Wasserstein-1: {spread:.2g} at 99 % from "
        f"the spread of the probes, {resolution:.2g} from the quadrature"
    )
    if not _fits(op.dim, effort):
        note += "; without reorthogonalisation, for which the vectors do not fit"
    arrays = {"nodes": nodes[order], "weights": weights[order]}
    norm = float(np.abs(nodes).max())
    return Reference(arrays, Source.STATISTICAL, norm, spread + resolution, rounding, note, op.dim)


def probe_spread(quadratures: list[Quadrature], generator: np.random.Generator) -> float:
    """Bootstrap bound, at 99 %, of the Wasserstein-1 distance between the mean over probes and its expectation.

    The distance is an L1 norm of distribution functions, all steps of one grid, so that a resample is a product with
    the counts of its probes. Scaled by sqrt(m / (m - 1)), which the bootstrap lacks, and by the ratio of the quantiles
    of Student's t and the normal distribution.
    """
    m = len(quadratures)
    nodes = np.concatenate([quadrature.nodes for quadrature in quadratures])
    order = np.argsort(nodes, kind="stable")
    jumps = np.zeros((m, nodes.size))
    start = 0
    for row, quadrature in zip(jumps, quadratures, strict=True):
        row[start : start + quadrature.nodes.size] = quadrature.weights
        start += quadrature.nodes.size
    heights = np.cumsum(jumps[:, order], axis=1)[:, :-1]
    counts = generator.multinomial(m, np.full(m, 1 / m), size=_RESAMPLES) / m
    distances = np.abs((counts - 1 / m) @ heights) @ np.diff(nodes[order])
    tail = (1 + LEVEL) / 2
    factor = float(scipy.special.stdtrit(m - 1, tail) / scipy.special.ndtri(tail)) * (m / (m - 1)) ** 0.5
    return factor * float(np.quantile(distances, LEVEL))


def lanczos(op: LinearOperator, start: Tensor, effort: Effort) -> tuple[Array, Array]:
    """Lanczos from one vector, reorthogonalised against all before it where they fit into memory.

    Returns:
        Diagonal (k,) and off-diagonal (k - 1,) of the tridiagonal matrix; k below `steps` where the space closes.

    Raises:
        ValueError: If a product is not finite.
    """
    steps = min(effort.steps, op.dim)
    Q = torch.empty(steps if _fits(op.dim, effort) else 2, op.dim, dtype=torch.float64)
    alphas, betas = np.zeros(steps), np.zeros(steps)
    q, norm = start / start.norm(), 0.0
    for j in range(steps):
        Q[j % Q.shape[0]] = q
        advance(j, steps)
        w = op.matmat(q[:, None])[:, 0]
        alphas[j] = float(q @ w)
        norm = max(norm, float(w.norm()))
        if Q.shape[0] == steps:
            for _ in range(2):
                w = w - Q[: j + 1].T @ (Q[: j + 1] @ w)
        else:
            w = w - alphas[j] * q - (betas[j - 1] * Q[(j - 1) % 2] if j else 0)
        betas[j] = float(w.norm())
        if not math.isfinite(betas[j]):
            raise ValueError("the operator returned values that are not finite")
        if betas[j] <= 100 * 2.0**-52 * norm:
            return alphas[: j + 1], betas[:j]
        q = w / betas[j]
    return alphas, betas[:-1]


def gauss_quadrature(alphas: Array, betas: Array) -> Quadrature:
    """Gauss quadrature of a tridiagonal matrix, and how far from its measure it can be.

    Nodes and weights as in Golub and Welsch 1969, https://doi.org/10.2307/2004418. At a point x the distribution
    functions of all measures with the same moments lie in an interval of length 1 / K(x), K(x) = sum_{i < k} p_i(x)^2
    with p_i the orthonormal polynomials (Chebyshev, Markov and Stieltjes; Akhiezer, The Classical Moment Problem,
    section 2.5, https://doi.org/10.1137/1.9781611976397). The Wasserstein-1 distance of the quadrature to the measure
    is thus at most the integral of 1 / K, taken here from the first to the last node.
    """
    nodes, vectors = np.linalg.eigh(np.diag(alphas) + np.diag(betas, 1) + np.diag(betas, -1))
    if nodes.size == 1:
        return Quadrature(nodes, np.ones(1), 0.0)
    # Points crowd towards the nodes, where 1 / K has peaks as narrow as the polynomials are steep.
    half = np.concatenate([[0.0], np.logspace(-12, math.log10(0.5), _GAP_POINTS // 2)])
    fractions = np.concatenate([half, 1 - half[-2::-1]])
    points = (nodes[:-1, None] + np.diff(nodes)[:, None] * fractions).ravel()
    heights = 1 / kernel(alphas, betas, points)
    weights = vectors[0] ** 2
    return Quadrature(nodes, weights / weights.sum(), float(np.trapezoid(heights, points)))


def kernel(alphas: Array, betas: Array, points: Array) -> Array:
    """K(x), the sum of the squares of the k orthonormal polynomials of a tridiagonal matrix, at each point."""
    before, here = np.zeros_like(points), np.ones_like(points)
    total = np.ones_like(points)
    with np.errstate(over="ignore"):
        for j, beta in enumerate(betas):
            before, here = here, ((points - alphas[j]) * here - (betas[j - 1] * before if j else 0.0)) / beta
            total += here * here
            # Only the reciprocal is wanted: what is beyond the range of floats is infinite for good.
            np.nan_to_num(here, copy=False, nan=0.0, posinf=1e150, neginf=-1e150)
    return total


def _fits(dim: int, effort: Effort) -> bool:
    return 8 * dim * min(effort.steps, dim) <= effort.memory
