"""The trace: its reference, and how far an estimate is from it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, final

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
    real_array,
    spectral_norm,
)


@final
@dataclass(frozen=True)
class Trace(Estimand):
    """The sum of the eigenvalues.

    Primary error: |t - trace| / sum |lambda|. Beside it the error relative to |trace|, the one that is shown where the
    trace is not near zero; the absolute error; and |trace| / sum |lambda|, by which the two differ.
    Reference arrays: `trace` (1,), and `abs_sum` (1,) where it is known.
    """

    key: ClassVar[str] = "trace"
    primary: ClassVar[str] = "relative_to_abs_sum"
    definitions: ClassVar[Mapping[str, ErrorDefinition]] = {
        "relative_to_abs_sum": ErrorDefinition(
            "error / sum |\N{GREEK SMALL LETTER LAMDA}|",
            "Difference to the true trace, over the sum of the absolute eigenvalues; what is shown where the trace "
            "is below 1 % of that sum.",
        ),
        "relative": ErrorDefinition(
            "error / |trace|", "Difference to the true trace, over its magnitude: zero scores 1."
        ),
    }

    @override
    def to_arrays(self, value: Any, dim: int) -> Arrays:
        values = np.atleast_1d(real_array(value))
        if values.shape != (1,):
            raise ValueError(f"a trace is one number, got shape {values.shape}")
        return {"trace": values}

    @override
    @classmethod
    def trivial_error(cls, name: str, errors: Mapping[str, float | None]) -> float | None:
        return 1.0 if name == "relative" else errors.get("trace_share") if name == cls.primary else None

    @override
    def errors(self, arrays: Arrays, reference: Reference, dtype: str) -> dict[str, float]:
        truth = float(reference.arrays["trace"][0])
        gap = abs(float(arrays["trace"][0]) - truth)
        bound = self._bound(reference, dtype)
        relative = gap / max(abs(truth), bound) if gap else 0.0
        scale = self._scale(reference)
        return {
            "relative_to_abs_sum": gap / max(scale, bound) if gap else 0.0,
            "relative": relative,
            "absolute": gap,
            "trace_share": min(1.0, abs(truth) / scale) if scale else 0.0,
        }

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


def trace_reference(eigenvalues: Array, source: Source, bound: float = 0.0) -> Reference:
    """The reference of a `Trace` from the whole spectrum, the sum rounded once."""
    trace = math.fsum(eigenvalues)
    arrays = {"trace": np.asarray([trace]), "abs_sum": np.asarray([np.abs(eigenvalues).sum()])}
    return Reference(arrays, source, spectral_norm(eigenvalues), bound * eigenvalues.size + 2.0**-53 * abs(trace))
