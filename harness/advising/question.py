"""The question that advice is asked for: what of what, how near, and within which budget."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from hessbench.estimand import Density, Diagonal, Estimand, TopEigenvalues, Trace, parse_estimand

CONFIDENCE: Final = 0.99
"""Of every promise, over all looks at an answer together."""

ANSWERED: Final[tuple[type[Estimand], ...]] = (Trace, TopEigenvalues, Diagonal, Density)
"""Estimands that advice is given for."""

PROMISED: Final[tuple[type[Estimand], ...]] = (Trace, TopEigenvalues)
"""Of these, the ones with methods that can know their own error."""


@dataclass(frozen=True)
class AdviceQuestion:
    """What is asked.

    Attributes:
        problem: Spec of the problem.
        dim: Its dimension n.
        estimand: What of it.
        within: Largest relative error accepted.
        budget_s: Seconds for everything.
        memory_bytes: Memory that a run may take.
        pilot_share: Part of the budget for the pilot.
    """

    problem: str
    dim: int
    estimand: Estimand
    within: float
    budget_s: float
    memory_bytes: int
    pilot_share: float = 0.1

    @property
    def pilot_s(self) -> float:
        """Seconds for the pilot."""
        return self.pilot_share * self.budget_s

    @property
    def may_be_promised(self) -> bool:
        """Whether there are methods that can know their own error."""
        return isinstance(self.estimand, PROMISED)


def asked_estimand(text: str, dim: int) -> Estimand:
    """Read an estimand that advice is given for, and hold it against a dimension.

    Raises:
        ValueError: If it is another, or does not fit.
    """
    estimand = parse_estimand(text)
    if not isinstance(estimand, ANSWERED):
        known = ", ".join(kind.key for kind in ANSWERED)
        raise ValueError(f"estimand must be one that advice is given for, {known}, got {estimand.key}")
    estimand.check(dim)
    return estimand
