"""How much of a study is run, where, and from which random numbers."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Scale(StrEnum):
    """How much of a study is run."""

    SMALL = "small"
    """Within twelve minutes on two quiet cores."""

    MEDIUM = "medium"
    """For an accelerator, in calls of at most eight minutes."""


@dataclass(frozen=True)
class StudySetting:
    """What a study is asked for.

    Attributes:
        scale: How much of it.
        device: Where it runs, as torch names it.
        seed: Which of the disjoint sets of trainings and starts; 0 is the first.

    Raises:
        ValueError: If the seed is below 0.
    """

    scale: Scale = Scale.SMALL
    device: str = "cpu"
    seed: int = 0

    def __post_init__(self) -> None:
        if self.seed < 0:
            raise ValueError(f"seed must be at least 0, got {self.seed}")

    def runs(self, number: int) -> range:
        """Numbers of `number` trainings or starts, none of which another seed has: `run=` of a problem's spec."""
        return range(self.seed * number, (self.seed + 1) * number)
