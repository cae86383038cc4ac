"""The diagonal, and how far an estimate of it is from the truth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, final

import numpy as np
from typing_extensions import override

from hessbench.estimand.base import EPS, Arrays, ErrorDefinition, Estimand, Reference, real_vector


@final
@dataclass(frozen=True)
class Diagonal(Estimand):
    """The n diagonal entries.

    Primary error: relative 2-norm. Beside it the largest error over the largest entry, and the 2-norm itself,
    `absolute`, the unit of a claimed standard error. Reference arrays: `diagonal` (n,).
    """

    key: ClassVar[str] = "diagonal"
    primary: ClassVar[str] = "relative_norm"
    definitions: ClassVar[Mapping[str, ErrorDefinition]] = {
        "relative_norm": ErrorDefinition(
            "relative 2-norm of the error",
            "2-norm of the difference to the true diagonal, over the 2-norm of the true diagonal: zero scores 1.",
        ),
        "max_relative": ErrorDefinition(
            "largest error / largest entry",
            "Largest difference of an entry, over the largest magnitude of a true entry.",
        ),
    }

    @override
    def to_arrays(self, value: Any, dim: int) -> Arrays:
        values = real_vector(value, "a diagonal")
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
        norm = float(np.linalg.norm(gap))
        return {
            "relative_norm": norm / size if gap.any() else 0.0,
            "max_relative": float(np.abs(gap).max()) / largest if gap.any() else 0.0,
            "absolute": norm,
        }

    @override
    def floor(self, reference: Reference, dtype: str) -> float:
        truth = reference.arrays["diagonal"]
        bound = reference.bound * truth.size**0.5 + _rounding(reference, dtype)
        size = float(np.linalg.norm(truth))
        return min(1.0, bound / size) if size else float(bound > 0)


def _rounding(reference: Reference, dtype: str) -> float:
    """What the operator's own rounding E, |E| <= c eps |A|, moves the diagonal by, in the 2-norm.

    Each of n entries by |E|, as a rotated operator spreads its rounding over all of them. Of a semi-definite A = B^T B
    with B rounded so, entry i moves by no more than c eps |B| |B e_i| = c eps sqrt(|A| a_ii).
    """
    truth = reference.arrays["diagonal"]
    unit = reference.rounding * EPS[dtype]
    if reference.semidefinite:
        return unit * float(reference.norm * np.maximum(truth, 0.0).sum()) ** 0.5
    return unit * reference.norm * truth.size**0.5
