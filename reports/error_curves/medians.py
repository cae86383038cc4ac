"""Medians over the repeats at each budget, with the band that is drawn around them."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from hessbench.reports.error_curves.points import CurvePoint

BAND_FROM: Final = 3
"""Repeats from which the median and a band are drawn; below it the repeats alone say more."""

QUARTILES_FROM: Final = 8
"""Repeats from which the band is the middle half of them; below it the band goes from the least to the largest."""


@dataclass(frozen=True)
class Median:
    """The repeats at one budget.

    Attributes:
        budget: Products allowed.
        matvecs: Median of the products spent.
        seconds: Median of the method's own seconds; None where none were measured.
        build: Median of the seconds of the build; None where none were measured.
        low: Lower end of the band.
        error: Median error, a floor in place of what is below.
        high: Upper end of the band.
        at_floor: Whether the median is at or below the bound of the reference.
        points: What it is the median of.
    """

    budget: int
    matvecs: float
    seconds: float | None
    build: float | None
    low: float
    error: float
    high: float
    at_floor: bool
    points: tuple[CurvePoint, ...]

    @property
    def has_quartiles(self) -> bool:
        """Whether the band is the middle half of the repeats."""
        return len(self.points) >= QUARTILES_FROM


def medians(repeats: Mapping[int, Sequence[CurvePoint]]) -> tuple[Median, ...]:
    """Median of every budget, where at least `BAND_FROM` repeats reached some budget; empty otherwise.

    A budget that one or two repeats reached is there too, its band from the one to the other.
    """
    budgets: dict[int, list[CurvePoint]] = defaultdict(list)
    for points in repeats.values():
        for point in points:
            budgets[point.budget].append(point)
    if all(len(points) < BAND_FROM for points in budgets.values()):
        return ()
    return tuple(_median(budget, points) for budget, points in sorted(budgets.items()))


def _median(budget: int, points: Sequence[CurvePoint]) -> Median:
    heights = sorted(point.height for point in points)
    low, high = heights[0], heights[-1]
    if len(heights) >= QUARTILES_FROM:
        low, _, high = statistics.quantiles(heights, n=4, method="inclusive")
    return Median(
        budget=budget,
        matvecs=statistics.median(point.matvecs for point in points),
        seconds=_middle([point.seconds for point in points]),
        build=_middle([point.build for point in points]),
        low=low,
        error=statistics.median(heights),
        high=high,
        at_floor=2 * sum(point.error <= point.floor for point in points) > len(points),
        points=tuple(points),
    )


def _middle(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.median(known) if known else None
