"""The Pareto front of error against a cost: points that no other beats in one without losing in the other.

A point is one method at one budget: the median over its repeats of the error and of the cost. Point a dominates b where
a is no worse in both and better in one; equal points are on the front together. Errors at or below the bound of the
reference count as that bound, since what is below it is not known.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from hessbench.ledger.answering import Question, Ranking
from hessbench.ledger.answering.entries import MethodAnswer, State
from hessbench.ledger.answering.judging import CONTENDED, comparable_peak, costs_by_repeat, seconds
from hessbench.ledger.answering.method_repeats import MethodRepeats, Repeat
from hessbench.ledger.answering.questions import PosedQuestion, posed_questions
from hessbench.ledger.grouping import Key
from hessbench.ledger.record import Record
from hessbench.ledger.spreads import Spread, spread
from hessbench.reports.costs.ranked import RANKED


@dataclass(frozen=True)
class FrontPoint:
    """One method at one budget.

    Attributes:
        key: What its rows share.
        method: Name to show.
        budget: Products allowed.
        repeats: Repeats that came to an answer.
        error: Median and range over them, the bound of the reference in place of what is below; the range may be open.
        is_at_bound: Whether the median is that bound.
        costs: Median and range of each cost that is known there. Seconds that do not compare are not known, as for an
            answer; the peak is known at the budgets of the memory pass only.
        fronts: Costs against which it is on the front.
    """

    key: Key
    method: str
    budget: int
    repeats: int
    error: Spread
    is_at_bound: bool
    costs: Mapping[Ranking, Spread]
    fronts: frozenset[Ranking] = frozenset()


@dataclass(frozen=True)
class Front:
    """All points of one question, and which of them are on the front of each cost."""

    question: Question
    points: tuple[FrontPoint, ...]

    def on(self, by: Ranking) -> tuple[FrontPoint, ...]:
        """The front against a cost, the cheapest first."""
        found = [point for point in self.points if by in point.fronts]
        return tuple(sorted(found, key=lambda point: (point.costs[by].median, point.error.median, point.method)))

    def known(self, by: Ranking) -> tuple[FrontPoint, ...]:
        """The points with a cost."""
        return tuple(point for point in self.points if by in point.costs)


def fronts(records: Sequence[Record]) -> tuple[Front, ...]:
    """The fronts of every question with a scored answer, in the order of their names."""
    made = (Front(asked.question, _points(asked)) for asked in posed_questions(records))
    return tuple(front for front in made if front.points)


def not_dominated(places: Sequence[tuple[float, float]]) -> list[int]:
    """Which of some places (cost, error) no other dominates; equal ones are there together."""
    kept: list[int] = []
    best, last = math.inf, (math.nan, math.nan)
    for at in sorted(range(len(places)), key=lambda at: places[at]):
        if places[at][1] < best or places[at] == last:
            kept.append(at)
            best, last = places[at][1], places[at]
    return sorted(kept)


def _points(asked: PosedQuestion) -> tuple[FrontPoint, ...]:
    found = [
        point
        for name, method in asked.methods
        for budget in method.budgets
        if (point := _point(asked, name, method, budget)) is not None
    ]
    on: dict[int, set[Ranking]] = {}
    for by in RANKED:
        known = [at for at, point in enumerate(found) if by in point.costs]
        places = [(found[at].costs[by].median, found[at].error.median) for at in known]
        for at in not_dominated(places):
            on.setdefault(known[at], set()).add(by)
    return tuple(replace(point, fronts=frozenset(on.get(at, ()))) for at, point in enumerate(found))


def _point(asked: PosedQuestion, name: str, method: MethodRepeats, budget: int) -> FrontPoint | None:
    """None where a cell came to no answer there, or the median is not finite."""
    repeats = tuple(method.budgets[budget].values())
    if not all(repeat.is_answered for repeat in repeats):
        return None
    heights = [_height(repeat) for repeat in repeats]
    middle = statistics.median(heights)
    if not math.isfinite(middle):
        return None
    floors = [repeat.shown.bound or 0.0 for repeat in repeats]
    error = Spread(middle, min(heights), max(heights), len(heights))
    is_at_bound = middle <= max(floors)
    return FrontPoint(method.key, name, budget, len(repeats), error, is_at_bound, _costs(asked, name, method, budget))


def _height(repeat: Repeat) -> float:
    value = repeat.shown.value
    return math.inf if value is None or not math.isfinite(value) else max(value, repeat.shown.bound or 0.0)


def _costs(asked: PosedQuestion, name: str, method: MethodRepeats, budget: int) -> dict[Ranking, Spread]:
    peaks = [row for row in asked.memory_of(method) if row.budget == budget]
    known = costs_by_repeat(method, MethodAnswer(method.key, name, State.REACHED, budget=budget), asked.engine, peaks)
    *_, note = seconds(tuple(method.budgets[budget].values()), asked.engine)
    found: dict[Ranking, Spread] = {}
    for by in RANKED:
        values = known[by].values()
        if by == "memory":
            values = [comparable_peak(value, method.key.device) for value in values]
        value = None if by == "seconds" and CONTENDED in note else spread(values)
        if value is not None:
            found[by] = value
    return found
