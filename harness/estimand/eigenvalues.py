"""The first eigenvalues in an order: their reference, and how far the values found are from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final, final

import numpy as np
from numpy.typing import NDArray
from typing_extensions import override

from hessbench.estimand.base import (
    Array,
    Arrays,
    ErrorDefinition,
    Estimand,
    Numbers,
    Reference,
    Source,
    Which,
    real_vector,
    sort_key,
    spectral_norm,
)
from hessbench.estimand.numbers import check_fits, check_leading
from hessbench.specs import Value

WITHIN: Final[Mapping[str, float]] = {
    "values_within_10pct": 0.1,
    "values_within_1pct": 0.01,
    "values_within_0.1pct": 0.001,
}
"""Errors that count how many of the k values are within a tolerance, and which."""


@final
@dataclass(frozen=True)
class TopEigenvalues(Estimand):
    """The first k eigenvalues by magnitude, from the top, or from the bottom.

    Primary error: max over i of | |theta_i| - |lambda_i| | / max(|lambda_i|, bound); a missing value scores 1.
    For the signed orders the difference is signed too. Beside it, how many of the k are within 10, 1 and 0.1 %.
    Where the method claims an interval for each, how many miss, and the largest half width, relative.
    Reference arrays: `eigenvalues`, at least k, in order.
    """

    key: ClassVar[str] = "top-eigenvalues"
    primary: ClassVar[str] = "max_relative"
    definitions: ClassVar[Mapping[str, ErrorDefinition]] = {
        "max_relative": ErrorDefinition(
            "largest relative error of the k values",
            "Largest of the k relative errors |theta_i - lambda_i| / |lambda_i|, of magnitudes where the order is that "
            "of magnitudes: a missing value scores 1.",
        ),
        "median_relative": ErrorDefinition(
            "median relative error of the k values", "Median of the k relative errors: a missing value scores 1."
        ),
        "top_relative": ErrorDefinition(
            "relative error of the first value", "Relative error of the first of the k values."
        ),
    }
    asks: ClassVar[Mapping[str, Value]] = {"spectrum": True}
    k: int
    which: Which = "magnitude"

    def __post_init__(self) -> None:
        check_leading(self.key, self.k, self.which)

    @override
    def check(self, dim: int) -> None:
        check_fits(self.key, self.k, dim)

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
        values = real_vector(value, "eigenvalues")
        if values.size > dim:
            raise ValueError(f"at most {dim} eigenvalues are accepted, got {values.size}")
        return {"eigenvalues": self.rank(values)[: self.k]}

    @override
    def claimed(self, interval: tuple[Any, Any], value: Any, dim: int) -> Arrays:
        lower, upper = (real_vector(bound, "interval") for bound in interval)
        count = self.to_arrays(value, dim)["eigenvalues"].size
        if lower.size != count or upper.size != count:
            raise ValueError(f"interval takes a lower and an upper bound of each of {count} eigenvalues, "
                             f"got {lower.size} and {upper.size}")  # fmt: skip
        return {"lower": lower, "upper": upper}

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
            **{name: float((gaps <= tolerance).sum()) for name, tolerance in WITHIN.items()},
            **(self._interval_errors(arrays, truth[:here], bound) if "lower" in arrays else {}),
        }

    def _interval_errors(self, arrays: Arrays, truth: Array, bound: float) -> dict[str, float]:
        """How many values lie outside of their intervals, beyond the reference's bound, and how wide these are."""
        lower, upper = arrays["lower"][: truth.size], arrays["upper"][: truth.size]
        held = np.abs(truth) if self.which == "magnitude" else truth
        outside = (held < lower - bound) | (held > upper + bound)
        half = _quotient((upper - lower) / 2, np.maximum(np.abs(truth), bound))
        return {"interval_misses": float(outside.sum()), "interval_half_width": float(half.max(initial=0.0))}

    @override
    def floor(self, reference: Reference, dtype: str) -> float:
        bound = reference.bound_in(dtype)
        truth = np.abs(reference.arrays["eigenvalues"][: self.k])
        return float(_quotient(np.asarray([bound]), np.maximum(truth.min(), bound))[0])


def top_reference(eigenvalues: Array, estimand: TopEigenvalues, source: Source, bound: float = 0.0) -> Reference:
    """The reference of a `TopEigenvalues` from the whole spectrum.

    Args:
        eigenvalues: All of them, shape (n,), in any order.
        estimand: What is asked.
        source: Where they come from.
        bound: Error bound of each, absolute.
    """
    ranked = estimand.rank(np.asarray(eigenvalues, dtype=np.float64))[: estimand.k]
    return Reference({"eigenvalues": ranked}, source, spectral_norm(eigenvalues), bound)


def _quotient(gap: Array, size: Array | float) -> Array:
    """Gap / size with 0 / 0 = 0."""
    scale = np.broadcast_to(np.asarray(size, dtype=np.float64), gap.shape)
    return np.divide(gap, scale, out=np.where(gap == 0, 0.0, np.inf), where=scale > 0)
