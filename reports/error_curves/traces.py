"""What is drawn of a series: dots with what they say, and the lines of its repeats, thinned to what can be seen."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from hessbench.reports.error_curves.curves import Series
from hessbench.reports.error_curves.medians import Median
from hessbench.reports.error_curves.points import CurvePoint

Cost: TypeAlias = Literal["matvecs", "seconds"]
Place: TypeAlias = tuple[float, float]

_MANY: Final = 40
MOST_REPEATS: Final = 20
"""Repeats of a series that are drawn one by one; their median and band are of all."""


@dataclass(frozen=True)
class Dot:
    """A marker: one answer, or the median over the repeats at a budget.

    Attributes:
        x: Cost.
        y: Error shown, 0 where it is exactly that.
        low: Lower end of the band.
        high: Upper end of the band.
        at_floor: Whether it stands for something at or below the bound.
        budget: Products allowed.
        matvecs: Products spent.
        seconds: The method's own.
        build: Seconds of the build.
        cells: Ids of what it stands for.
    """

    x: float
    y: float
    low: float
    high: float
    at_floor: bool
    budget: int
    matvecs: float
    seconds: float | None
    build: float | None
    cells: tuple[str, ...]


@dataclass(frozen=True)
class SeriesTrace:
    """A series as it is drawn against one cost.

    Attributes:
        series: What it is of.
        is_median: Whether the dots are medians over the repeats.
        lines: Dots to join by a line: the medians, or each repeat.
        repeats: Repeats drawn faintly behind the medians.
        left_out: Answers without a cost above 0.
        undrawn: Repeats beyond those drawn one by one.
    """

    series: Series
    is_median: bool
    lines: tuple[tuple[Dot, ...], ...]
    repeats: tuple[tuple[Place, ...], ...]
    left_out: int
    undrawn: int

    @property
    def dots(self) -> tuple[Dot, ...]:
        """Those of all lines."""
        return tuple(dot for line in self.lines for dot in line)

    @property
    def build(self) -> float | None:
        """Seconds of the build, the middle one where they differ."""
        known = sorted(dot.build for dot in self.dots if dot.build is not None and dot.build > 0)
        return known[len(known) // 2] if known else None


def trace(series: Series, cost: Cost) -> SeriesTrace:
    """What is drawn of a series against a cost; without lines where no point has that cost."""
    left_out = sum(_positive(_cost(point, cost)) is None for point in series.points)
    repeats = [_places(points, cost) for points in series.repeats.values()]
    repeats = [places for places in repeats if places]
    if series.medians:
        line = tuple(dot for median in series.medians if (dot := _middle(median, cost)) is not None)
        lines = [line] if line else []
        faint = [places for places in repeats if len(places) > 1][:MOST_REPEATS]
        undrawn = len(repeats) - len(faint) if len(repeats) > MOST_REPEATS else 0
        return SeriesTrace(series, True, tuple(lines), tuple(faint), left_out, undrawn)
    alone = [tuple(_single(point, cost) for point in points) for points in series.repeats.values()]
    kept = [tuple(sorted((dot for dot in dots if dot), key=lambda dot: (dot.x, dot.budget))) for dots in alone]
    return SeriesTrace(series, False, tuple(dots for dots in kept if dots), (), left_out, 0)


def thinned(places: Sequence[Place], gap: float) -> list[int]:
    """Which of the places, in pixels, to keep so that neighbours are at least `gap` apart; the ends always are.

    Of many places these are apart along the axis of the cost: a noisy curve would keep all of them.
    """
    upright = 1.0 if len(places) <= _MANY else 0.1
    kept: list[int] = []
    for at, (x, y) in enumerate(places):
        if not kept or math.hypot(x - places[kept[-1]][0], upright * (y - places[kept[-1]][1])) >= gap:
            kept.append(at)
    if kept and kept[-1] != len(places) - 1:
        kept = [*(kept[:-1] if len(kept) > 1 else kept), len(places) - 1]
    return kept


def _middle(median: Median, cost: Cost) -> Dot | None:
    x = _positive(median.matvecs if cost == "matvecs" else median.seconds)
    if x is None:
        return None
    return Dot(
        x, median.error, median.low, median.high, median.at_floor, median.budget, median.matvecs, median.seconds,
        median.build, tuple(point.cell for point in median.points),
    )  # fmt: skip


def _single(point: CurvePoint, cost: Cost) -> Dot | None:
    x = _positive(_cost(point, cost))
    if x is None:
        return None
    return Dot(
        x, point.height, point.height, point.height, point.error <= point.floor, point.budget, point.matvecs,
        point.seconds, point.build, (point.cell,),
    )  # fmt: skip


def _places(points: Sequence[CurvePoint], cost: Cost) -> tuple[Place, ...]:
    return tuple(sorted((x, point.height) for point in points if (x := _positive(_cost(point, cost))) is not None))


def _cost(point: CurvePoint, cost: Cost) -> float | None:
    return point.matvecs if cost == "matvecs" else point.seconds


def _positive(cost: float | None) -> float | None:
    """The cost of a point where a log axis can show it."""
    return float(cost) if cost is not None and 0 < cost < math.inf else None
