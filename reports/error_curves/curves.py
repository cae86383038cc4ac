"""What the figures show: error against cost, each repeat a curve of its own."""

from __future__ import annotations

import math
import statistics
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import pandas as pd

from hessbench.estimand import ESTIMANDS
from hessbench.ledger.grouping import Answer, Key, timed_or_all
from hessbench.ledger.record import Record
from hessbench.reports.costs.shown_names import namer
from hessbench.reports.writing.median_intervals import median_interval

BAND_FROM: Final = 8
"""Repeats from which an interval is drawn; below it the repeats alone say more."""


@dataclass(frozen=True)
class CurvePoint:
    """One answer: what it cost, how wrong it was, and below what error its reference cannot tell."""

    budget: int
    matvecs: int
    seconds: float | None
    error: float
    floor: float
    cell: str

    @property
    def height(self) -> float:
        """The error, or the floor where it is below."""
        return max(self.error, self.floor)


@dataclass(frozen=True)
class Band:
    """Interval of the median error over the repeats at one budget."""

    matvecs: float
    seconds: float | None
    low: float
    median: float
    high: float


@dataclass(frozen=True)
class Series:
    """One method in one figure: a curve per repeat.

    Attributes:
        label: Name to show.
        method: Spec of the method, which chooses the colour.
        variant: Which of several series of one method this is.
        repeats: Points by repeat, in the order of the budgets.
        bands: Intervals by budget; empty below `BAND_FROM` repeats.
    """

    label: str
    method: str
    variant: int
    repeats: Mapping[int, tuple[CurvePoint, ...]]
    bands: tuple[Band, ...] = ()


@dataclass(frozen=True)
class Chart:
    """All that the figures of one problem and one estimand show.

    Attributes:
        problem: Name to show.
        problem_hash: Which variant of the problem.
        estimand: Spec.
        series: Curves by method.
        floors: Reference bounds with the text that labels each.
        unscored: Answers without an error, which are not drawn.
        answers: All answers, for the CSV beside the figures.
    """

    problem: str
    problem_hash: str
    estimand: str
    series: tuple[Series, ...]
    floors: Mapping[float, str]
    unscored: int
    answers: tuple[Answer, ...]

    @property
    def cells(self) -> tuple[str, ...]:
        """Ids of the cells drawn."""
        return tuple(sorted({answer.row.cell for answer in self.answers}))

    @property
    def primary(self) -> str:
        """Name of the error that is drawn."""
        known = ESTIMANDS.get(self.estimand.partition("[")[0])
        return "primary" if known is None else known.primary


def charts(records: Sequence[Record]) -> tuple[Chart, ...]:
    """One chart per problem and estimand that has a scored answer; variants of a problem are charts of their own."""
    groups = timed_or_all(records)
    name = namer(groups)
    places: dict[tuple[str, str, str], list[Key]] = defaultdict(list)
    for key in groups:
        places[key.problem, key.problem_hash, key.estimand].append(key)
    found: list[Chart] = []
    for (_, problem_hash, estimand), keys in sorted(places.items()):
        condition = _conditions(keys)
        numbers: dict[str, int] = defaultdict(int)
        series: list[Series] = []
        for key in sorted(keys, key=lambda it: (it.method, name(it)[1], it)):
            curves = _repeats(groups[key])
            if curves:
                label = name(key)[1] + condition(key)
                series.append(Series(label, key.method, numbers[key.method], curves, bands(curves)))
                numbers[key.method] += 1
        answers = tuple(answer for key in keys for answer in groups[key])
        unscored = sum(answer.error is None for answer in answers)
        if series:
            problem = name(keys[0])[0]
            found.append(Chart(problem, problem_hash, estimand, tuple(series), _floors(answers), unscored, answers))
    return tuple(found)


def bands(repeats: Mapping[int, Sequence[CurvePoint]]) -> tuple[Band, ...]:
    """Interval of the median at every budget that at least `BAND_FROM` repeats reached.

    The ends are order statistics that cover the median with at least 95 %, whatever the distribution.
    """
    budgets: dict[int, list[CurvePoint]] = defaultdict(list)
    for points in repeats.values():
        for point in points:
            budgets[point.budget].append(point)
    found: list[Band] = []
    for _, points in sorted(budgets.items()):
        if len(points) < BAND_FROM:
            continue
        error = median_interval([point.height for point in points])
        seconds = [point.seconds for point in points if point.seconds is not None]
        found.append(
            Band(
                matvecs=statistics.median(point.matvecs for point in points),
                seconds=statistics.median(seconds) if seconds else None,
                low=error.low,
                median=error.median,
                high=error.high,
            )
        )
    return tuple(found)


def chart_frame(chart: Chart) -> pd.DataFrame:
    """The numbers behind the figures: one row per answer, with its cell."""
    return pd.DataFrame(
        [
            {
                "problem": answer.key.problem,
                "problem_hash": answer.key.problem_hash,
                "estimand": answer.key.estimand,
                "method": answer.key.method,
                "method_hash": answer.key.method_hash,
                "library_version": answer.key.library_version,
                "run_estimand": answer.key.source,
                "device": answer.key.device,
                "dtype": answer.key.dtype,
                "threads": answer.key.threads,
                "repeat": answer.row.repeat,
                "budget": answer.row.budget,
                "matvecs": answer.row.matvecs,
                "build_s": answer.build_s,
                "wall_s": answer.row.wall_s,
                "build_and_wall_s": answer.seconds,
                "error": answer.error,
                "reference_bound": answer.row.reference_bound,
                "status": answer.terminal.status.value,
                "cell": answer.row.cell,
            }
            for answer in chart.answers
        ]
    )


def _repeats(group: Iterable[Answer]) -> dict[int, tuple[CurvePoint, ...]]:
    """Scored points of each repeat, whether its budgets come from one cell or from one cell each."""
    found: dict[int, list[CurvePoint]] = defaultdict(list)
    for answer in group:
        error = answer.error
        if error is not None and math.isfinite(error):
            row = answer.row
            found[row.repeat].append(
                CurvePoint(row.budget, row.matvecs, answer.seconds, error, row.reference_bound or 0.0, row.cell)
            )
    return {
        repeat: tuple(sorted(points, key=lambda point: (point.budget, point.cell)))
        for repeat, points in sorted(found.items())
    }


def _conditions(keys: Sequence[Key]) -> Callable[[Key], str]:
    """What must be added to a label: device, dtype and threads where they differ within a chart."""
    names = [name for name in ("device", "dtype", "threads") if len({getattr(key, name) for key in keys}) > 1]

    def text(key: Key) -> str:
        values = [f"{key.threads} threads" if name == "threads" else str(getattr(key, name)) for name in names]
        return f", {', '.join(values)}" if values else ""

    return text


def _floors(answers: Sequence[Answer]) -> dict[float, str]:
    """Positive bounds of the references, each with the dtypes it holds for where there are several bounds."""
    dtypes: dict[float, set[str]] = defaultdict(set)
    for answer in answers:
        bound = answer.row.reference_bound
        if bound is not None and bound > 0:
            dtypes[bound].add(answer.key.dtype)
    if len(dtypes) == 1:
        return dict.fromkeys(dtypes, "reference bound")
    return {bound: f"bound, {', '.join(sorted(names))}" for bound, names in sorted(dtypes.items())}
