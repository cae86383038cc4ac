"""The density of the eigenvalues: its reference, and distances between discrete measures on the line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final, cast, final

import numpy as np
from typing_extensions import override

from hessbench.estimand.base import (
    EPS,
    Array,
    Arrays,
    ErrorDefinition,
    Estimand,
    Reference,
    Source,
    real_vector,
    spectral_norm,
)
from hessbench.specs import Value

_NONE: Final = 1e-9
"""Part of a mass that is rounding."""


@final
@dataclass(frozen=True)
class Density(Estimand):
    """The distribution of the eigenvalues, a measure of mass one given by nodes and weights.

    Primary error: Wasserstein-1 over mean |lambda - mean|. Beside it the Kolmogorov-Smirnov distance, with the
    reference's bound as slack in position, and the difference in the mass within `delta` times the norm of zero. Where
    a few outliers rule the first, Wasserstein-1 of the bulk tells more: the `outliers` largest magnitudes of the truth
    and as much mass of largest magnitude of the estimate are taken away. Beside each stands what one point at the mean
    has.
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
        "bulk_wasserstein1": ErrorDefinition(
            "Wasserstein-1 of the bulk / its spread",
            "Wasserstein-1 distance without the `outliers` largest magnitudes of the truth, and without as much mass "
            "of largest magnitude of the estimate, over the mean distance of what is left of the truth from its mean.",
        ),
        "zero_mass": ErrorDefinition(
            "error of the mass near zero",
            "Difference in the mass of eigenvalues within `delta` times the norm of zero.",
        ),
    }
    side_by_side: ClassVar[tuple[str, ...]] = ("wasserstein1", "bulk_wasserstein1", "ks", "zero_mass")
    trivial_answer: ClassVar[str] = "one point at the mean"
    asks: ClassVar[Mapping[str, Value]] = {"spectrum": True}
    delta: float = 1e-3
    outliers: int = 10

    def __post_init__(self) -> None:
        outliers = cast("object", self.outliers)
        if not isinstance(outliers, int) or isinstance(outliers, bool) or outliers < 0:
            raise ValueError(f"density: outliers must be an integer of at least 0, got {outliers!r}")
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
        moved = _mean_bound(reference, dtype)
        spread = max(spread_of(truth, mass), moved)
        near = max(self.delta * reference.norm, bound)
        gap = wasserstein1(nodes, weights, truth, mass)
        found = {
            "wasserstein1": _over(gap, spread),
            "ks": kolmogorov_smirnov(nodes, weights, truth, mass, slack=bound),
            "zero_mass": abs(float(weights[np.abs(nodes) <= near].sum() - mass[np.abs(truth) <= near].sum())),
            "mass": abs(float(weights.sum()) - 1.0),
            **self._of_mean(truth, mass, bound, moved, near),
        }
        if self.outliers < reference.dim:
            share = self.outliers / reference.dim
            bulk = bulk_of(truth, mass, share)
            scale = max(spread_of(*bulk), moved)
            found["bulk_wasserstein1"] = _over(wasserstein1(*bulk_of(nodes, weights, share), *bulk), scale)
            mean = np.asarray([truth @ mass])
            found["bulk_wasserstein1_of_mean"] = _over(wasserstein1(mean, np.ones(1), *bulk), scale)
        if "law_nodes" in reference.arrays:
            law, law_mass = reference.arrays["law_nodes"], reference.arrays["law_weights"]
            found["wasserstein1_to_law"] = wasserstein1(nodes, weights, law, law_mass) / spread
        return found

    def _of_mean(self, truth: Array, mass: Array, bound: float, moved: float, near: float) -> dict[str, float]:
        """The errors of one point at the mean, but for that of the bulk."""
        mean = np.asarray([truth @ mass])
        spread = spread_of(truth, mass)
        held = float(mass[np.abs(truth) <= near].sum())
        return {
            "wasserstein1_of_mean": _over(spread, max(spread, moved)),
            "ks_of_mean": kolmogorov_smirnov(mean, np.ones(1), truth, mass, slack=bound),
            "zero_mass_of_mean": abs(float(np.abs(mean[0]) <= near) - held),
        }

    @override
    @classmethod
    def trivial_error(cls, name: str, errors: Mapping[str, float | None]) -> float | None:
        """That of one point at the mean; in rows written before it was, the primary one is 1."""
        return errors.get(f"{name}_of_mean", 1.0 if name == cls.primary else None)

    @override
    def floor(self, reference: Reference, dtype: str) -> float:
        bound = _mean_bound(reference, dtype)
        spread = spread_of(reference.arrays["nodes"], reference.arrays["weights"])
        return bound / max(spread, bound) if bound else 0.0


def _mean_bound(reference: Reference, dtype: str) -> float:
    """How far the eigenvalues are off in the mean, the rounding of the operator in `dtype` included.

    Each by the operator's rounding c eps |A|. Of a semi-definite A = B^T B with B rounded so, a singular value moves by
    no more than u |B| with u = c eps / 2 (Weyl), so that an eigenvalue x moves by 2 u (|A| x)^1/2 + u^2 |A|: what is
    zero hardly moves.
    """
    if not reference.semidefinite:
        return reference.bound_in(dtype)
    unit = reference.rounding * EPS[dtype] / 2
    nodes, mass = np.maximum(reference.arrays["nodes"], 0.0), reference.arrays["weights"]
    moved = 2 * unit * float(np.sqrt(reference.norm * nodes) @ mass) + unit**2 * reference.norm
    return min(reference.bound + moved, reference.bound_in(dtype))


def density_reference(eigenvalues: Array, source: Source, bound: float = 0.0) -> Reference:
    """The reference of a `Density` from the whole spectrum, equal eigenvalues put together."""
    nodes, counts = np.unique(eigenvalues, return_counts=True)
    arrays = {"nodes": nodes.astype(np.float64), "weights": counts / eigenvalues.size}
    return Reference(arrays, source, spectral_norm(eigenvalues), bound, dim=eigenvalues.size)


def bulk_of(nodes: Array, weights: Array, share: float) -> tuple[Array, Array]:
    """A measure without a share of its mass, that of largest magnitude, and renormalised.

    Nodes of one magnitude lose their mass in the same proportion, so that +x and -x are treated alike.

    Args:
        nodes: Nodes, ascending, shape (m,).
        weights: Their weights, shape (m,), none negative.
        share: Part of the whole mass that is taken away, at least 0 and below 1.

    Returns:
        Nodes and weights, of mass one.
    """
    sizes, group = np.unique(np.abs(nodes), return_inverse=True)
    held = np.bincount(group, weights=weights, minlength=sizes.size)
    left = np.clip(np.cumsum(held[::-1])[::-1] - share * held.sum(), 0.0, held)
    # What rounding leaves of a magnitude that is taken away whole is none of it.
    part = np.divide(left, held, out=np.zeros_like(held), where=left > _NONE * np.abs(held))
    kept = weights * part[group]
    total = float(kept.sum())
    return nodes, kept / total if total else kept


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


def _over(gap: float, scale: float) -> float:
    """Gap / scale with 0 / 0 = 0."""
    if gap == 0:
        return 0.0
    return gap / scale if scale else float("inf")


def spread_of(nodes: Array, weights: Array) -> float:
    """Mean |lambda - mean|."""
    return float(np.abs(nodes - nodes @ weights) @ weights)
