"""Medians of repeats with their range, and of paired ratios with an interval from eight repeats on."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from math import comb
from typing import Final

INTERVAL_FROM: Final = 8
"""Repeats from which an interval is given; below it the repeats alone say more."""


@dataclass(frozen=True)
class Spread:
    """Median, least and most of the repeats that have a value, and how many do."""

    median: float
    low: float
    high: float
    number: int


@dataclass(frozen=True)
class Ratio:
    """Ratios paired by repeat: their median and range, and from eight on an interval that covers the median.

    Attributes:
        spread: Over the repeats that both have.
        interval: Order statistics that cover the median with at least 95 %, whatever the distribution.
    """

    spread: Spread
    interval: tuple[float, float] | None = None

    @property
    def is_level(self) -> bool:
        """Whether 1 lies inside what is known: the interval where there is one, else the range of several repeats."""
        low, high = self.interval or (self.spread.low, self.spread.high)
        return low <= 1.0 <= high


def median(values: Iterable[float | None]) -> float | None:
    """Median of the values that are there; None when none is."""
    known = [value for value in values if value is not None]
    return statistics.median(known) if known else None


def spread(values: Iterable[float | None]) -> Spread | None:
    """Median and range of the values that are there; None when none is."""
    known = [value for value in values if value is not None]
    return Spread(statistics.median(known), min(known), max(known), len(known)) if known else None


def paired_ratio(above: Mapping[int, float], below: Mapping[int, float]) -> Ratio | None:
    """Ratios of two costs, repeat by repeat; None where they share no repeat, or a cost to divide by is zero.

    Args:
        above: A cost by repeat.
        below: What it is compared with, by repeat.
    """
    shared = sorted(above.keys() & below.keys())
    if not shared or any(below[repeat] <= 0 for repeat in shared):
        return None
    ratios = sorted(above[repeat] / below[repeat] for repeat in shared)
    found = spread(ratios)
    if found is None or len(ratios) < INTERVAL_FROM:
        return None if found is None else Ratio(found)
    place = _place(len(ratios))
    return Ratio(found, (ratios[place], ratios[-1 - place]))


@lru_cache(maxsize=256)
def _place(number: int, level: float = 0.95) -> int:
    """The innermost order statistic, from 0, that with its mirror image covers the median with at least `level`."""
    outside = 0.0
    place = -1
    while outside + comb(number, place + 1) / 2**number <= (1 - level) / 2:
        outside += comb(number, place + 1) / 2**number
        place += 1
    return max(place, 0)
