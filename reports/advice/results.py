"""What the study of advice found: one recommendation a line, and whether it held."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class AdviceTrial:
    """A question whose answer is known, and what came of the recommendation.

    Attributes:
        problem: Spec of the problem.
        dim: Its dimension.
        estimand: Spec of what was asked.
        within: Largest relative error accepted.
        method: What was recommended; empty where nothing was.
        budget: With how many products, or rows, it answered in the end.
        looks: Answers until then.
        predicted_s: Seconds that were predicted; NaN where nothing was recommended.
        taken_s: Seconds that the answers took.
        pilot_s: Seconds that the pilot took.
        promised: Whether the error was promised.
        kept: Whether the answer's own claim was within the tolerance; None where it claims nothing.
        error: True relative error; NaN where there is none.
        bound: What the truth itself is known to, on the same scale.
        failure: Why it came to no answer.
    """

    problem: str
    dim: int
    estimand: str
    within: float
    method: str = ""
    budget: int = 0
    looks: int = 0
    predicted_s: float = float("nan")
    taken_s: float = float("nan")
    pilot_s: float = 0.0
    promised: bool = False
    kept: bool | None = None
    error: float = float("nan")
    bound: float = 0.0
    failure: str = ""

    @property
    def is_right(self) -> bool:
        """Whether the answer is within the tolerance."""
        return self.error <= max(self.within, self.bound)

    @property
    def holds(self) -> bool:
        """Whether the recommendation did what it was for: an answer within, and said so where that was promised."""
        return bool(self.method) and self.is_right and (self.kept is True or not self.promised)

    @property
    def promise_was_right(self) -> bool:
        """Whether no answer was said to be within that is not; so also where nothing was promised."""
        return not self.promised or self.kept is not True or self.is_right

    @property
    def verdict(self) -> str:
        """In a few words."""
        if not self.method:
            return "refused" if self.failure else "nothing recommended"
        if self.failure:
            return "no answer"
        if not self.promise_was_right:
            return "broken promise"
        if self.promised and self.kept is not True:
            return "missed, and said so"
        return "holds" if self.holds else "not within"


@dataclass(frozen=True)
class AdviceStudyResults:
    """All trials, and the budget of each."""

    trials: tuple[AdviceTrial, ...]
    budget_s: float
