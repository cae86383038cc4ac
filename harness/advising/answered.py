"""What came of a recommendation that was run."""

from __future__ import annotations

from dataclasses import dataclass

from hessbench.advising.observed import PilotPoint
from hessbench.advising.question import CONFIDENCE
from hessbench.ledger.shown_errors import ShownError


@dataclass(frozen=True)
class AnswerLook:
    """One answer.

    Attributes:
        budget: Products, or rows, that it was allowed.
        point: What it said; None where it came to nothing.
        claimed: Half of what it claims to be known to, relative, at the confidence of this look; None where nothing.
        confidence: That of this look.
        is_within: Whether the claim is within the tolerance; None where there is none.
        error: Its true error, where there is a truth; its value is None elsewhere.
        source: Where the truth comes from.
        failure: Why it came to nothing.
    """

    budget: int
    point: PilotPoint | None
    claimed: float | None = None
    confidence: float = CONFIDENCE
    is_within: bool | None = None
    error: ShownError | None = None
    source: str = ""
    failure: str = ""


@dataclass(frozen=True)
class CarriedOut:
    """What came of the recommendation.

    Attributes:
        looks: Every answer, each with a larger budget than the one before.
        more_s: Seconds that the next larger budget would take, where there was no time for it; None elsewhere.
    """

    looks: tuple[AnswerLook, ...]
    more_s: float | None = None

    @property
    def last(self) -> AnswerLook:
        """The answer."""
        return self.looks[-1]
