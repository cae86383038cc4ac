"""How an answer is judged: by its errors, and by the interval that it claims."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np

from hessbench.estimand import Estimate
from hessbench.estimand.base import Estimand, Reference
from hessbench.reports.few_gradients.results import INTERVAL

DTYPE: Final = "float32"
"""Of every run."""

CONFIDENCE: Final = 0.99
"""Of the interval of a trace; those of eigenvalues have their method's."""

Scores: TypeAlias = Mapping[str, float]


@dataclass(frozen=True, eq=False)
class AnswerScoring:
    """How an answer is judged: by the errors of the estimand, and by the interval that it claims."""

    estimand: Estimand
    error: str
    reference: Reference
    dim: int

    def scores(self, answer: Estimate) -> tuple[Scores, float, bool | None]:
        """Every error by name, half the width of the interval, and whether that held; NaN and None where there is none.

        By `INTERVAL` an answer is as wrong as it is or may be: the larger of its error and half its interval's width.
        """
        estimand, reference = self.estimand, self.reference
        arrays = estimand.to_arrays(answer.value, self.dim)
        if answer.interval is not None:
            arrays |= estimand.claimed(answer.interval, answer.value, self.dim)
        errors = estimand.errors(arrays, reference, DTYPE)
        width, held = np.nan, None
        if "interval_half_width" in errors:
            width, held = errors["interval_half_width"], not errors["interval_misses"]
        elif "trace" in reference.arrays and (half := answer.half_width(CONFIDENCE)) is not None:
            # An exact answer claims no width; it is off by the rounding that its reference allows.
            width = half / abs(float(reference.arrays["trace"][0]))
            held = errors[self.error] <= max(width, estimand.floor(reference, DTYPE))
        certain = max(errors[self.error], width) if np.isfinite(width) else np.inf
        return {**errors, INTERVAL: certain}, width, held


@dataclass(frozen=True)
class ScoredAnswer:
    """What came of a run at a budget: its costs, seconds among them, and how it was judged."""

    matvecs: int
    gradient_equivalents: float
    seconds: float
    scores: Scores
    half_width: float
    held: bool | None
