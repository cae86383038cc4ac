"""What the figures show: error against cost, each repeat a curve of its own and the median over them."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import pandas as pd

from hessbench.ledger.grouping import Answer, Key, telling_conditions, timed_or_all
from hessbench.ledger.record import Record
from hessbench.reports.costs.shown_names import asked, namer
from hessbench.reports.error_curves.medians import Median, medians
from hessbench.reports.error_curves.points import CurvePoint, ShownAs, shown_as

REFERENCE_METHOD: Final = "dense"
"""The method that has the whole matrix: what it costs is a line that others are to stay left of, no curve."""


@dataclass(frozen=True)
class Series:
    """One method in one figure: a curve per repeat.

    Attributes:
        label: Name to show.
        method: Spec of the method.
        variant: Which of several series of one method this is.
        repeats: Points by repeat, in the order of the budgets.
        medians: Median over the repeats and its band by budget; empty below `BAND_FROM` repeats.
    """

    label: str
    method: str
    variant: int
    repeats: Mapping[int, tuple[CurvePoint, ...]]
    medians: tuple[Median, ...] = ()

    @property
    def is_reference(self) -> bool:
        """Whether it is the method that has the whole matrix."""
        return self.method.partition("[")[0] == REFERENCE_METHOD

    @property
    def points(self) -> tuple[CurvePoint, ...]:
        """Those of all repeats."""
        return tuple(point for repeat in self.repeats.values() for point in repeat)

    @property
    def name(self) -> str:
        """What tells it from every other series of a page, and chooses its look."""
        return f"{self.method} ({self.variant + 1})" if self.variant else self.method


@dataclass(frozen=True)
class Chart:
    """All that the figures of one problem and one estimand show.

    Attributes:
        problem: Name to show.
        problem_hash: Which variant of the problem.
        estimand: Spec.
        series: Curves by method, those first that reached the least error.
        floors: Reference bounds with the text that labels each.
        unscored: Answers without an error, which are not drawn.
        answers: All answers, for the CSV beside the figures.
        shown: Which error is drawn.
    """

    problem: str
    problem_hash: str
    estimand: str
    series: tuple[Series, ...]
    floors: Mapping[float, str]
    unscored: int
    answers: tuple[Answer, ...]
    shown: ShownAs

    @property
    def cells(self) -> tuple[str, ...]:
        """Ids of the cells drawn."""
        return tuple(sorted({answer.row.cell for answer in self.answers}))

    @property
    def primary(self) -> str:
        """Name of the error that is drawn."""
        return self.shown.name


def charts(records: Sequence[Record]) -> tuple[Chart, ...]:
    """One chart per problem and estimand that has a scored answer; variants of a problem are charts of their own."""
    groups = timed_or_all(records)
    name = namer(groups)
    places: dict[tuple[str, str, str], list[Key]] = defaultdict(list)
    for key in groups:
        places[key.problem, key.problem_hash, key.estimand].append(key)
    found: list[Chart] = []
    for (_, problem_hash, estimand), keys in sorted(places.items()):
        answers = tuple(answer for key in keys for answer in groups[key])
        shown = shown_as(estimand, answers)
        condition = telling_conditions(keys)
        numbers: dict[str, int] = defaultdict(int)
        series: list[Series] = []
        for key in sorted(keys, key=lambda it: (it.method, name(it)[1], it)):
            curves = _repeats(groups[key], shown)
            if curves:
                label = name(key)[1] + condition(key)
                series.append(Series(label, key.method, numbers[key.method], curves, medians(curves)))
                numbers[key.method] += 1
        if series:
            problem = name(keys[0])[0]
            unscored = len(answers) - sum(len(one.points) for one in series)
            series.sort(key=_best_first)
            floors = _floors(answers, shown)
            found.append(Chart(problem, problem_hash, estimand, tuple(series), floors, unscored, answers, shown))
    return tuple(found)


def chart_frame(chart: Chart) -> pd.DataFrame:
    """The numbers behind the figures: one row per answer, with its cell."""
    return pd.DataFrame(
        [
            {
                "problem": answer.key.problem,
                "problem_hash": answer.key.problem_hash,
                **asked(answer.key),
                "repeat": answer.row.repeat,
                "budget": answer.row.budget,
                "matvecs": answer.row.matvecs,
                "build_s": answer.build_s,
                "wall_s": answer.row.wall_s,
                "build_and_wall_s": answer.seconds,
                "error": answer.error,
                "shown_error": chart.shown.error(answer.row),
                "reference_bound": answer.row.reference_bound,
                "status": answer.terminal.status.value,
                "cell": answer.row.cell,
            }
            for answer in chart.answers
        ]
    )


def _repeats(group: Iterable[Answer], shown: ShownAs) -> dict[int, tuple[CurvePoint, ...]]:
    """Scored points of each repeat, whether its budgets come from one cell or from one cell each."""
    found: dict[int, list[CurvePoint]] = defaultdict(list)
    for answer in group:
        row = answer.row
        error = shown.error(row)
        if error is not None and math.isfinite(error) and error >= 0:
            floor = shown.floor(row) or 0.0
            found[row.repeat].append(
                CurvePoint(row.budget, row.matvecs, row.wall_s, answer.build_s, error, floor, row.cell)
            )
    return {
        repeat: tuple(sorted(points, key=lambda point: (point.budget, point.cell)))
        for repeat, points in sorted(found.items())
    }


def _best_first(series: Series) -> tuple[float, int, str]:
    """Least error reached, and the products it took, of the median where there is one."""
    if series.medians:
        return (*min((median.error, round(median.matvecs)) for median in series.medians), series.label)
    return (*min((point.height, point.matvecs) for point in series.points), series.label)


def _floors(answers: Sequence[Answer], shown: ShownAs) -> dict[float, str]:
    """Positive bounds of the references, each with the dtypes it holds for where there are several bounds."""
    dtypes: dict[float, set[str]] = defaultdict(set)
    for answer in answers:
        bound, error = shown.floor(answer.row), shown.error(answer.row)
        if bound is not None and 0 < bound < math.inf and error is not None and math.isfinite(error):
            # Bounds of one reference differ by rounding where they were put onto the scale of another error.
            dtypes[float(f"{bound:.5g}")].add(answer.key.dtype)
    if len(dtypes) == 1:
        return dict.fromkeys(dtypes, "reference bound")
    return {bound: f"bound, {', '.join(sorted(names))}" for bound, names in sorted(dtypes.items())}
