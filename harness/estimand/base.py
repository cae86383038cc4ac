"""What is estimated, what an estimate is, what the truth is, and how wrong the one is against the other.

Errors are pure functions of stored arrays, so that a ledger can be scored again without computing anything.
"""

from __future__ import annotations

import dataclasses
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, ClassVar, Final, Literal, TypeAlias, TypeVar, cast, final, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from typing_extensions import override

from hessbench.estimand.distances import kolmogorov_smirnov, spread_of, wasserstein1
from hessbench.estimand.subspaces import lost_to_rounding, orthonormal_span, subspace_errors
from hessbench.specs import REQUIRED, Required, Spec, Value, canonical, parse_one, suggest

Array: TypeAlias = NDArray[np.float64]
Arrays: TypeAlias = dict[str, Array]
Which: TypeAlias = Literal["magnitude", "algebraic", "smallest"]
"""Orders of eigenvalues."""
Numbers = TypeVar("Numbers", Array, Tensor)
EPS: Final[dict[str, float]] = {"float32": 2.0**-23, "float64": 2.0**-52}


class Source(StrEnum):
    """Where a reference comes from."""

    ANALYTIC = "ANALYTIC"
    DENSE = "DENSE"
    GRAM = "GRAM"
    CERTIFIED = "CERTIFIED"
    STATISTICAL = "STATISTICAL"


@dataclass(frozen=True)
class Reference:
    """The truth about one estimand of one problem.

    Attributes:
        arrays: What the estimand's `errors` compares with; see each estimand.
        source: How it was obtained.
        norm: Spectral norm of the operator.
        bound: Error bound of the eigenvalues (or trace, or diagonal entries) themselves, absolute, before rounding.
        rounding: Constant c in the operator's own rounding, c eps(dtype) norm.
        note: What a reader of the report must know.
    """

    arrays: Arrays
    source: Source
    norm: float
    bound: float = 0.0
    rounding: float = 10.0
    note: str = ""

    def bound_in(self, dtype: str) -> float:
        """The absolute bound, the rounding of the operator in `dtype` included."""
        return self.bound + self.rounding * EPS[dtype] * self.norm


@dataclass(frozen=True)
class Estimate:
    """What a method hands back; what it cost is observed, never said.

    Attributes:
        value: Eigenvalues (k,), a trace, a diagonal (n,), (nodes, weights) of a density, or a basis (n, k); or a
            function of no arguments that returns one of these, or a whole `Estimate`. A function must hold all it
            needs: it is called when spending reaches a budget, which may be after the generator has moved on.
        vectors: Eigenvectors (n, k), where there are any.
        stderr: Standard error the method claims for its value.
        converged: Whether the method says it has converged.
        diagnostics: Small numbers and texts worth keeping.
        also: Answers to other estimands from the same run.
    """

    value: Any
    vectors: Tensor | None = None
    stderr: float | None = None
    converged: bool | None = None
    diagnostics: Mapping[str, Any] = field(default_factory=dict[str, Any])
    also: Mapping[type[Estimand], Estimate] = field(default_factory=dict[Any, Any])

    def resolve(self, wanted: Callable[[type[Estimand]], bool] | None = None) -> Estimate:
        """Call a lazy value, here and in `also`.

        Args:
            wanted: Which answers in `also` are kept; the others are left out before they cost anything.
        """
        estimate = self
        if callable(self.value):
            value = cast("Callable[[], Any]", self.value)()
            estimate = value.resolve(wanted) if isinstance(value, Estimate) else dataclasses.replace(self, value=value)
        if not estimate.also:
            return estimate
        kept = {kind: inner.resolve() for kind, inner in estimate.also.items() if wanted is None or wanted(kind)}
        return dataclasses.replace(estimate, also=kept)


@dataclass(frozen=True)
class Estimand(ABC):
    """A quantity of an operator. It owns its errors; `primary` names the one that ranks, lower is better."""

    key: ClassVar[str]
    primary: ClassVar[str]
    asks: ClassVar[Mapping[str, Value]] = {}
    """Keywords beside the fields that a method which declares them is handed, such as one that costs memory."""

    @property
    def spec(self) -> str:
        """Canonical text."""
        return str(canonical(Spec(self.key, tuple(sorted(self.fields.items()))), defaults_of(type(self))))

    @property
    def fields(self) -> dict[str, Value]:
        """The parameters, as they are handed to a method that declares them."""
        return {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}

    def check(self, dim: int) -> None:  # noqa: B027 -- most estimands fit every dimension
        """Refuse a dimension the estimand does not fit.

        Raises:
            ValueError: Naming the accepted range.
        """

    @abstractmethod
    def to_arrays(self, value: Any, dim: int) -> Arrays:
        """Turn an estimate's value into float64 arrays.

        Raises:
            ValueError: If it has the wrong shape.
        """

    @abstractmethod
    def errors(self, arrays: Arrays, reference: Reference, dtype: str) -> dict[str, float]:
        """Compare an estimate with the truth.

        Args:
            arrays: From `to_arrays`.
            reference: The truth.
            dtype: Name of the dtype the operator computed in.

        Returns:
            Every error by name, `primary` among them.
        """

    @abstractmethod
    def floor(self, reference: Reference, dtype: str) -> float:
        """The reference's bound in the unit of the primary error; no accuracy is claimed below it."""


def sort_key(eigenvalues: Numbers, which: Which) -> Numbers:
    """Numbers that ascend in an order: the one place that knows what each word means."""
    key = {"magnitude": -abs(eigenvalues), "algebraic": -eigenvalues, "smallest": eigenvalues}[which]
    return cast("Numbers", key)


@final
@dataclass(frozen=True)
class TopEigenvalues(Estimand):
    """The first k eigenvalues by magnitude, from the top, or from the bottom.

    Primary error: max over i of | |theta_i| - |lambda_i| | / max(|lambda_i|, bound); a missing value scores 1.
    For the signed orders the difference is signed too. Reference arrays: `eigenvalues`, at least k, in order.
    """

    key: ClassVar[str] = "top-eigenvalues"
    primary: ClassVar[str] = "max_relative"
    k: int
    which: Which = "magnitude"

    def __post_init__(self) -> None:
        if self.k < 1:
            raise ValueError(f"top-eigenvalues: k must be at least 1, got {self.k}")
        if self.which not in get_args(Which):
            raise ValueError(f"top-eigenvalues: which must be magnitude, algebraic or smallest, got {self.which!r}")

    @override
    def check(self, dim: int) -> None:
        if self.k > dim:
            raise ValueError(f"top-eigenvalues: k must be between 1 and the dimension {dim}, got {self.k}")

    def sort_key(self, eigenvalues: Numbers) -> Numbers:
        """Numbers that ascend in the order asked for."""
        return sort_key(eigenvalues, self.which)

    def places(self, eigenvalues: Array) -> NDArray[np.intp]:
        """Places of the eigenvalues in the order asked for; equal ones keep the order they stand in."""
        return np.argsort(self.sort_key(eigenvalues), kind="stable")

    def rank(self, eigenvalues: Array) -> Array:
        """Put eigenvalues in the order asked for."""
        return eigenvalues[self.places(eigenvalues)]

    @override
    def to_arrays(self, value: Any, dim: int) -> Arrays:
        values = _vector(value, "eigenvalues")
        if values.size > dim:
            raise ValueError(f"at most {dim} eigenvalues are accepted, got {values.size}")
        return {"eigenvalues": self.rank(values)[: self.k]}

    @override
    def errors(self, arrays: Arrays, reference: Reference, dtype: str) -> dict[str, float]:
        truth = reference.arrays["eigenvalues"][: self.k]
        bound = reference.bound_in(dtype)
        found = arrays["eigenvalues"]
        size = np.maximum(np.abs(truth), bound)
        gaps = np.ones(truth.size)
        here = min(found.size, truth.size)
        if self.which == "magnitude":
            difference = np.abs(np.abs(found[:here]) - np.abs(truth[:here]))
        else:
            difference = np.abs(found[:here] - truth[:here])
        gaps[:here] = _quotient(difference, size[:here])
        visible = np.abs(truth[:here]) > bound
        agree = np.sign(found[:here][visible]) == np.sign(truth[:here][visible])
        return {
            "max_relative": float(gaps.max()),
            "median_relative": float(np.median(gaps)),
            "top_relative": float(gaps[0]),
            "sign_agreement": float(agree.mean()) if agree.size else 1.0,
            "missing": float(truth.size - here),
        }

    @override
    def floor(self, reference: Reference, dtype: str) -> float:
        bound = reference.bound_in(dtype)
        truth = np.abs(reference.arrays["eigenvalues"][: self.k])
        return float(_quotient(np.asarray([bound]), np.maximum(truth.min(), bound))[0])


@final
@dataclass(frozen=True)
class Trace(Estimand):
    """The sum of the eigenvalues.

    Primary error: |t - trace| / sum |lambda|. Reference arrays: `trace` (1,), and `abs_sum` (1,) where it is known.
    """

    key: ClassVar[str] = "trace"
    primary: ClassVar[str] = "relative_to_abs_sum"

    @override
    def to_arrays(self, value: Any, dim: int) -> Arrays:
        values = np.atleast_1d(_to_numpy(value))
        if values.shape != (1,):
            raise ValueError(f"a trace is one number, got shape {values.shape}")
        return {"trace": values}

    @override
    def errors(self, arrays: Arrays, reference: Reference, dtype: str) -> dict[str, float]:
        truth = float(reference.arrays["trace"][0])
        gap = abs(float(arrays["trace"][0]) - truth)
        bound = self._bound(reference, dtype)
        relative = gap / max(abs(truth), bound) if gap else 0.0
        scale = self._scale(reference)
        return {"relative_to_abs_sum": gap / max(scale, bound) if gap else 0.0, "relative": relative}

    @override
    def floor(self, reference: Reference, dtype: str) -> float:
        bound = self._bound(reference, dtype)
        return bound / max(self._scale(reference), bound) if bound else 0.0

    @staticmethod
    def _scale(reference: Reference) -> float:
        """Sum |lambda|, or |trace| where only that is known."""
        known = reference.arrays.get("abs_sum")
        return float(known[0]) if known is not None else abs(float(reference.arrays["trace"][0]))

    @classmethod
    def _bound(cls, reference: Reference, dtype: str) -> float:
        return reference.bound + reference.rounding * EPS[dtype] * max(cls._scale(reference), reference.norm)


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
    delta: float = 1e-3

    def __post_init__(self) -> None:
        if not 0 < self.delta < 1:
            raise ValueError(f"density: delta must be above 0 and below 1, as a fraction of the norm, got {self.delta}")

    @override
    def to_arrays(self, value: Any, dim: int) -> Arrays:
        if not isinstance(value, tuple) or len(cast("tuple[Any, ...]", value)) != 2:
            raise ValueError("a density is a pair (nodes, weights)")
        nodes, weights = (_vector(part, "density nodes and weights") for part in cast("tuple[Any, Any]", value))
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


@final
@dataclass(frozen=True)
class Diagonal(Estimand):
    """The n diagonal entries.

    Primary error: relative 2-norm. Reference arrays: `diagonal` (n,).
    """

    key: ClassVar[str] = "diagonal"
    primary: ClassVar[str] = "relative_norm"

    @override
    def to_arrays(self, value: Any, dim: int) -> Arrays:
        values = _vector(value, "a diagonal")
        if values.shape != (dim,):
            raise ValueError(f"a diagonal of shape ({dim},) is accepted, got {values.shape}")
        return {"diagonal": values}

    @override
    def errors(self, arrays: Arrays, reference: Reference, dtype: str) -> dict[str, float]:
        truth = reference.arrays["diagonal"]
        gap = arrays["diagonal"] - truth
        bound = reference.bound_in(dtype)
        size = max(float(np.linalg.norm(truth)), bound)
        largest = max(float(np.abs(truth).max()), bound)
        return {
            "relative_norm": float(np.linalg.norm(gap)) / size if gap.any() else 0.0,
            "max_relative": float(np.abs(gap).max()) / largest if gap.any() else 0.0,
        }

    @override
    def floor(self, reference: Reference, dtype: str) -> float:
        # A rotated or network operator spreads its rounding over the entries: norm * eps bounds each of them.
        truth = reference.arrays["diagonal"]
        bound = reference.bound_in(dtype)
        size = float(np.linalg.norm(truth))
        return min(1.0, bound * truth.size**0.5 / size) if size else float(bound > 0)


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
    asks: ClassVar[Mapping[str, Value]] = {"vectors": True}
    k: int
    which: Which = "magnitude"

    def __post_init__(self) -> None:
        if self.k < 1:
            raise ValueError(f"top-eigenspace: k must be at least 1, got {self.k}")
        if self.which not in get_args(Which):
            raise ValueError(f"top-eigenspace: which must be magnitude, algebraic or smallest, got {self.which!r}")

    @override
    def check(self, dim: int) -> None:
        if self.k > dim:
            raise ValueError(f"top-eigenspace: k must be between 1 and the dimension {dim}, got {self.k}")

    @override
    def to_arrays(self, value: Any, dim: int) -> Arrays:
        basis = _to_numpy(value)
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


ESTIMANDS: Final[dict[str, type[Estimand]]] = {
    kind.key: kind for kind in (TopEigenvalues, Trace, Density, Diagonal, TopEigenspace)
}


def defaults_of(kind: type[Estimand]) -> dict[str, Value | Required]:
    """Parameters of an estimand with their defaults."""
    return {
        f.name: REQUIRED if f.default is dataclasses.MISSING else cast("Value", f.default)
        for f in dataclasses.fields(kind)
    }


def parse_estimand(text: str) -> Estimand:
    """Read an estimand such as `top-eigenvalues[k=10]`.

    Raises:
        ValueError: If the name or a parameter is not accepted.
    """
    spec = parse_one(text)
    if spec.name not in ESTIMANDS:
        raise ValueError(
            f"unknown estimand {spec.name!r}{suggest(spec.name, ESTIMANDS)}; accepted: {', '.join(ESTIMANDS)}"
        )
    kind = ESTIMANDS[spec.name]
    defaults = defaults_of(kind)
    filled = canonical(spec, defaults).as_dict
    for name, value in filled.items():
        if name == "k" and (not isinstance(value, int) or isinstance(value, bool)):
            raise ValueError(f"{spec.name}: k takes an integer, got {value!r}")
    return cast("Callable[..., Estimand]", kind)(**filled)


def top_reference(eigenvalues: Array, estimand: TopEigenvalues, source: Source, bound: float = 0.0) -> Reference:
    """The reference of a `TopEigenvalues` from the whole spectrum."""
    ranked = estimand.rank(np.asarray(eigenvalues, dtype=np.float64))[: estimand.k]
    return Reference({"eigenvalues": ranked}, source, _norm(eigenvalues), bound)


def trace_reference(eigenvalues: Array, source: Source, bound: float = 0.0) -> Reference:
    """The reference of a `Trace` from the whole spectrum, the sum rounded once."""
    trace = math.fsum(eigenvalues)
    arrays = {"trace": np.asarray([trace]), "abs_sum": np.asarray([np.abs(eigenvalues).sum()])}
    return Reference(arrays, source, _norm(eigenvalues), bound * eigenvalues.size + 2.0**-53 * abs(trace))


def density_reference(eigenvalues: Array, source: Source, bound: float = 0.0) -> Reference:
    """The reference of a `Density` from the whole spectrum, equal eigenvalues put together."""
    nodes, counts = np.unique(eigenvalues, return_counts=True)
    arrays = {"nodes": nodes.astype(np.float64), "weights": counts / eigenvalues.size}
    return Reference(arrays, source, _norm(eigenvalues), bound)


def _quotient(gap: Array, size: Array | float) -> Array:
    """Gap / size with 0 / 0 = 0."""
    scale = np.broadcast_to(np.asarray(size, dtype=np.float64), gap.shape)
    return np.divide(gap, scale, out=np.where(gap == 0, 0.0, np.inf), where=scale > 0)


def _tie(reference: Reference) -> float:
    """Eigenvalues this close are the same as far as the reference can tell."""
    return reference.bound_in("float64")


def _norm(eigenvalues: Array) -> float:
    return float(np.abs(eigenvalues).max())


def _to_numpy(value: Any) -> Array:
    if isinstance(value, Tensor):
        if value.dtype.is_complex:
            raise ValueError(f"a real value is accepted, got {value.dtype}")
        return value.detach().to("cpu", torch.float64).numpy()
    try:
        found = np.asarray(value)
    except (TypeError, ValueError):
        found = np.empty(0, dtype=object)
    # Asked for float64 at once, NumPy would make NaN of None and drop an imaginary part.
    if found.dtype.kind not in "biuf":
        raise ValueError(f"a tensor or real numbers are accepted, got {type(value).__name__}")
    return found.astype(np.float64)


def _vector(value: Any, what: str) -> Array:
    values = _to_numpy(value)
    if values.ndim != 1:
        raise ValueError(f"{what} must be one-dimensional, got shape {values.shape}")
    return values
