"""The space of the first eigenvectors: its reference, and distances where ties at its edge leave it a choice."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Final, final

import numpy as np
from numpy.typing import NDArray
from typing_extensions import override

from hessbench.estimand.base import (
    EPS,
    Array,
    Arrays,
    ErrorDefinition,
    Estimand,
    Reference,
    Source,
    Which,
    real_array,
    sort_key,
    spectral_norm,
)
from hessbench.estimand.numbers import check_fits, check_leading
from hessbench.specs import Value

BASIS_LIMIT: Final = 125_000
"""Most numbers in the bases of one reference: 1 MB in float64, what a ledger keeps of an estimate."""

_LOST: Final = 1e-3  # singular values below this share of the largest are copies of directions that are there already


@final
@dataclass(frozen=True)
class TopEigenspace(Estimand):
    """The space of the eigenvectors of the first k eigenvalues, given by a basis (n, k).

    Primary error: 1 - overlap, the overlap of V with the truth U being (1/k) ||U^T V||_F^2. That is the mean squared
    sine of the k principal angles: 0 is reached by the space alone, no single vector decides it, and a random space has
    the overlap k/n, which stands beside it. Only the span of the columns counts; a missing direction is a sine of 1.

    Where eigenvalues equal in rank lie on both sides of place k, the space is not unique: those before them must be
    there, and the rest may be any part of their eigenspace. The floor says what the gaps leave undecided in the
    operator's own rounding. Reference arrays: `keys`, the ranks' keys down to the first behind that group; `within`, a
    basis down to the group's end, or `beyond`, one of all behind it; and `core`, one of those before the group.
    """

    key: ClassVar[str] = "top-eigenspace"
    primary: ClassVar[str] = "lost_overlap"
    definitions: ClassVar[Mapping[str, ErrorDefinition]] = {
        "lost_overlap": ErrorDefinition(
            "1 - overlap of the spaces",
            "Mean squared sine of the k angles between the space found and the true one, 1 minus their overlap: "
            "a missing direction scores 1.",
        ),
        "largest_sine": ErrorDefinition(
            "sine of the largest angle", "Sine of the largest angle between the space found and the true one."
        ),
    }
    trivial_answer: ClassVar[str] = "a random space"
    asks: ClassVar[Mapping[str, Value]] = {"vectors": True, "spectrum": True}
    k: int
    which: Which = "magnitude"

    def __post_init__(self) -> None:
        check_leading(self.key, self.k, self.which)

    @override
    def check(self, dim: int) -> None:
        check_fits(self.key, self.k, dim)

    @override
    @classmethod
    def trivial_error(cls, name: str, errors: Mapping[str, float | None]) -> float | None:
        overlap = errors.get("random_overlap")
        return None if overlap is None or name != cls.primary else 1.0 - overlap

    @override
    def to_arrays(self, value: Any, dim: int) -> Arrays:
        basis = real_array(value)
        if basis.ndim != 2 or basis.shape[0] != dim or basis.shape[1] > self.k:
            raise ValueError(f"a basis of shape ({dim}, {self.k}) or of fewer columns is accepted, got {basis.shape}")
        return {"basis": orthonormal_span(basis)}

    @override
    def errors(self, arrays: Arrays, reference: Reference, dtype: str) -> dict[str, float]:
        return subspace_errors(arrays["basis"], self.k, reference.arrays, _tie(reference))

    @override
    def floor(self, reference: Reference, dtype: str) -> float:
        moved = lost_to_rounding(reference.arrays["keys"], self.k, reference.bound_in(dtype), _tie(reference))
        # The basis itself is rounded to the operator's dtype.
        return min(1.0, moved + (10 * EPS[dtype]) ** 2)


def eigenspace_reference(
    eigenvalues: Array,
    vectors: Callable[[NDArray[np.intp]], Array],
    estimand: TopEigenspace,
    source: Source,
    bound: float = 0.0,
) -> Reference:
    """The reference of a `TopEigenspace` from the whole spectrum.

    Args:
        eigenvalues: All of them, shape (n,), in any order.
        vectors: Gives the orthonormal eigenvectors (n, p) of p places in `eigenvalues`.
        estimand: What is asked.
        source: Where the eigenvectors come from.
        bound: Error bound of the eigenvalues, absolute.

    Raises:
        ValueError: If the bases would hold more than 125,000 numbers.
    """
    n = eigenvalues.size
    ascending = sort_key(eigenvalues, estimand.which)
    order = np.argsort(ascending, kind="stable")
    keys = -ascending[order]
    empty = Reference({}, source, spectral_norm(eigenvalues), bound)
    c, f = tied(keys, estimand.k, empty.bound_in("float64"))
    by_complement = n - f < f
    side = slice(f, None) if by_complement else slice(f)
    columns = (n - f if by_complement else f) + (c if c < f else 0)
    if columns * n > BASIS_LIMIT:
        raise ValueError(
            f"{estimand.spec}: bases of {columns} vectors of length {n} are more than the {BASIS_LIMIT} numbers kept"
        )
    arrays = {"keys": keys[: f + 1], "beyond" if by_complement else "within": vectors(order[side])}
    if c < f:
        arrays["core"] = vectors(order[:c])
    return replace(empty, arrays=arrays)


def orthonormal_span(V: Array) -> Array:
    """An orthonormal basis (n, r) of the columns (n, m) of V, as it is where one is not finite.

    Directions with a singular value below 1e-3 of the largest are dropped: a copy of a vector is no new direction. By
    the m x m Gram matrix, whose rounding is far below that.
    """
    if not np.isfinite(V).all() or V.shape[1] == 0:
        return V
    norms = np.linalg.norm(V, axis=0)
    units = V[:, norms > 0] / norms[norms > 0]
    if units.shape[1] == 0:
        return units
    squares, W = np.linalg.eigh(units.T @ units)
    kept = squares > _LOST**2 * squares[-1]
    return (units @ W[:, kept][:, ::-1]) / np.sqrt(squares[kept][::-1])


def sines_between(U: Array, V: Array) -> Array:
    """Sines of the angles from each principal direction of U (n, c) to the span of V (n, m), in descending order.

    Both have orthonormal columns. From the residual U - V V^T U, so that small angles keep their digits.
    """
    if U.shape[1] == 0:
        return np.zeros(0)
    residual = U - V @ (V.T @ U)
    return np.minimum(np.linalg.svd(residual, compute_uv=False), 1.0)


def subspace_errors(V: Array, k: int, truth: Mapping[str, Array], tolerance: float) -> dict[str, float]:
    """Errors of a space against the leading eigenspace, as `TopEigenspace` states them.

    With c eigenvectors before the tied group and f down to its end, the overlap is
    (1/k) (||U_c^T V||_F^2 + min(k - c, ||U_group^T V||_F^2)): without ties c = f = k and it is (1/k) ||U^T V||_F^2.
    One minus it is the larger of what is missing of the first c and what lies outside of the first f, over k.

    Args:
        V: Orthonormal columns (n, m), m at most k.
        k: Size of the space.
        truth: Arrays of the reference.
        tolerance: As in `tied`.
    """
    if not np.isfinite(V).all():
        return dict.fromkeys(("lost_overlap", "overlap", "largest_sine", "median_sine"), float("nan"))
    n, m = V.shape
    c, f = tied(truth["keys"], k, tolerance)
    if "beyond" in truth:
        strayed = np.linalg.svd(truth["beyond"].T @ V, compute_uv=False)[:m]
    else:
        strayed = sines_between(V, truth["within"])
    strayed = np.concatenate([np.ones(k - m), strayed])
    needed = sines_between(truth["core"], V) if c < f else strayed
    lost = min(1.0, max(float(needed @ needed), float(strayed @ strayed)) / k)
    sines = strayed if c == f else np.concatenate([needed, strayed[: k - c]])
    return {
        "lost_overlap": lost,
        "overlap": 1.0 - lost,
        "random_overlap": (c * k / n + min(k - c, (f - c) * k / n)) / k,
        "largest_sine": float(sines.max(initial=0.0)),
        "median_sine": float(np.median(sines)) if sines.size else 0.0,
        "missing": float(k - m),
    }


def tied(keys: Array, k: int, tolerance: float) -> tuple[int, int]:
    """The group of equal keys across place k.

    Args:
        keys: Numbers in descending order.
        k: Size of the leading set, at most their number.
        tolerance: Keys no further apart than this are equal.

    Returns:
        Number c <= k of keys above the group and number f >= k of keys down to its end; both k where there is none.
    """
    if k == keys.size or keys[k - 1] - keys[k] > tolerance:
        return k, k
    edge = keys[k - 1]
    return int((keys > edge + tolerance).sum()), int((keys >= edge - tolerance).sum())


def lost_to_rounding(keys: Array, k: int, bound: float, tolerance: float) -> float:
    """Largest mean squared sine between the leading k-space of A and that of a perturbation of norm `bound`.

    By Davis and Kahan the first j directions move by at most bound / (gap_j - bound) as a sine, for every j: the best
    j is taken, the k - j directions behind it being given up.

    Args:
        keys: Ranks' keys of A in descending order; those down to the first below the group tied with place k.
        k: Size of the leading set.
        bound: Norm of the perturbation.
        tolerance: As in `tied`.

    Source:
        Davis and Kahan, SIAM J. Numer. Anal. 7 (1970), doi:10.1137/0707001.
    """
    core, full = tied(keys, k, tolerance)

    def squared(j: int) -> float:
        gap = np.inf if j == 0 or j >= keys.size else float(keys[j - 1] - keys[j])
        return 1.0 if gap <= 2 * bound else (bound / (gap - bound)) ** 2

    ways = [max(core * squared(core), k * squared(full)), *(j * squared(j) + k - j for j in range(core))]
    return min(1.0, min(ways) / k)


def _tie(reference: Reference) -> float:
    """Eigenvalues this close are the same as far as the reference can tell."""
    return reference.bound_in("float64")
