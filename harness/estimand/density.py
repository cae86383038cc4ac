"""The density of the eigenvalues: its reference, and distances between discrete measures on the line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, cast, final

import numpy as np
from typing_extensions import override

from hessbench.estimand.base import (
    Array,
    Arrays,
    ErrorDefinition,
    Estimand,
    Reference,
    Source,
    real_vector,
    spectral_norm,
)


@final
@dataclass(frozen=True)
class Density(Estimand):
    """The distribution of the eigenvalues, a measure of mass one given by nodes and weights.

    Primary error: Wasserstein-1 over mean |lambda - mean|. Beside it the Kolmogorov-Smirnov distance, with the
    reference's bound as slack in position, and the difference in the mass within `delta` times the norm of zero.
    Reference arrays: `nodes` (m,), `weights` (m,); and `law_nodes`, `law_weights` of a limit law where there is one.
    """

    key: ClassVar[str] = "density"
    primary: ClassVar[str] = "wasserstein1"
    definitions: ClassVar[Mapping[str, ErrorDefinition]] = {
        "wasserstein1": ErrorDefinition(
            "Wasserstein-1 / mean |\N{GREEK SMALL LETTER LAMDA} - mean|",
            "Wasserstein-1 distance to the true density, over the mean distance of the eigenvalues from their mean: "
            "one point at the mean scores 1.",
        ),
        "ks": ErrorDefinition(
            "Kolmogorov-Smirnov distance",
            "Largest difference of the two distribution functions, a shift by the reference's bound being free.",
        ),
        "zero_mass": ErrorDefinition(
            "error of the mass near zero",
            "Difference in the mass of eigenvalues within `delta` times the norm of zero.",
        ),
    }
    trivial_answer: ClassVar[str] = "one point at the mean"
    delta: float = 1e-3

    def __post_init__(self) -> None:
        if not 0 < self.delta < 1:
            raise ValueError(f"density: delta must be above 0 and below 1, as a fraction of the norm, got {self.delta}")

    @override
    def to_arrays(self, value: Any, dim: int) -> Arrays:
        if not isinstance(value, tuple) or len(cast("tuple[Any, ...]", value)) != 2:
            raise ValueError("a density is a pair (nodes, weights)")
        nodes, weights = (real_vector(part, "density nodes and weights") for part in cast("tuple[Any, Any]", value))
        if nodes.shape != weights.shape or nodes.size < 1:
            raise ValueError(f"nodes and weights of a density must match, got {nodes.shape} and {weights.shape}")
        order = np.argsort(nodes, kind="stable")
        return {"nodes": nodes[order], "weights": weights[order]}

    @override
    def errors(self, arrays: Arrays, reference: Reference, dtype: str) -> dict[str, float]:
        nodes, weights = arrays["nodes"], arrays["weights"]
        truth, mass = reference.arrays["nodes"], reference.arrays["weights"]
        bound = reference.bound_in(dtype)
        spread = max(spread_of(truth, mass), bound)
        near = max(self.delta * reference.norm, bound)
        gap = wasserstein1(nodes, weights, truth, mass)
        found = {
            "wasserstein1": gap / spread if gap else 0.0,
            "ks": kolmogorov_smirnov(nodes, weights, truth, mass, slack=bound),
            "zero_mass": abs(float(weights[np.abs(nodes) <= near].sum() - mass[np.abs(truth) <= near].sum())),
            "mass": abs(float(weights.sum()) - 1.0),
        }
        if "law_nodes" in reference.arrays:
            law, law_mass = reference.arrays["law_nodes"], reference.arrays["law_weights"]
            found["wasserstein1_to_law"] = wasserstein1(nodes, weights, law, law_mass) / spread
        return found

    @override
    def floor(self, reference: Reference, dtype: str) -> float:
        bound = reference.bound_in(dtype)
        spread = spread_of(reference.arrays["nodes"], reference.arrays["weights"])
        return bound / max(spread, bound) if bound else 0.0


def density_reference(eigenvalues: Array, source: Source, bound: float = 0.0) -> Reference:
    """The reference of a `Density` from the whole spectrum, equal eigenvalues put together."""
    nodes, counts = np.unique(eigenvalues, return_counts=True)
    arrays = {"nodes": nodes.astype(np.float64), "weights": counts / eigenvalues.size}
    return Reference(arrays, source, spectral_norm(eigenvalues), bound)


def wasserstein1(x: Array, p: Array, y: Array, q: Array) -> float:
    """Integral of |F - G| for the distribution functions of two discrete measures.

    Args:
        x: Nodes of the first, ascending, shape (m,).
        p: Their weights, shape (m,).
        y: Nodes of the second, ascending, shape (l,).
        q: Their weights, shape (l,).
    """
    grid = np.concatenate([x, y])
    steps = np.concatenate([p, -q])
    order = np.argsort(grid, kind="stable")
    heights = np.cumsum(steps[order])[:-1]
    return float(np.abs(heights) @ np.diff(grid[order]))


def kolmogorov_smirnov(x: Array, p: Array, y: Array, q: Array, slack: float = 0.0) -> float:
    """Largest difference of two distribution functions, a shift of `slack` in position being free.

    The larger of sup F(t - slack) - G(t) and sup G(t - slack) - F(t); 0 when negative.

    Args:
        x: Nodes of the first, ascending, shape (m,).
        p: Their weights, shape (m,).
        y: Nodes of the second, ascending, shape (l,).
        q: Their weights, shape (l,).
        slack: Shift in position that costs nothing.
    """
    F, G = np.concatenate([[0.0], np.cumsum(p)]), np.concatenate([[0.0], np.cumsum(q)])
    ahead = F[1:] - G[np.searchsorted(y, x + slack, side="right")]
    behind = G[1:] - F[np.searchsorted(x, y + slack, side="right")]
    return float(max(ahead.max(), behind.max(), 0.0))


def spread_of(nodes: Array, weights: Array) -> float:
    """Mean |lambda - mean|."""
    return float(np.abs(nodes - nodes @ weights) @ weights)
