"""The place of a method of one's own beside the published ones: by error at equal budgets, and by what 1 % costs."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hessbench.ledger.answering import Ranking, State
from hessbench.ledger.answering.method_repeats import MethodRepeats, method_repeats
from hessbench.ledger.grouping import Key, timed_or_all
from hessbench.ledger.record import Record
from hessbench.reports.leaderboard.standings import ClassStanding, MethodStanding, QuestionStanding


@dataclass(frozen=True)
class ErrorPlace:
    """A place by error, everyone at the largest budget that is not above one.

    Attributes:
        budget: That budget.
        error: The method's median error over its repeats; a repeat that failed or diverged counts as infinitely wrong.
        place: Its place, from 1.
        of: How many methods were measured at such a budget.
        best: Who has the least error.
        best_error: That error.
    """

    budget: int
    error: float
    place: int
    of: int
    best: str
    best_error: float


@dataclass(frozen=True)
class OwnPlace:
    """The place of one's own method on one question.

    Attributes:
        standing: The question.
        method: The method's standing on it.
        error: By error; None where it came to no budget.
    """

    standing: QuestionStanding
    method: MethodStanding
    error: ErrorPlace | None

    @property
    def is_reached(self) -> bool:
        """Whether it reached the tolerance."""
        return self.method.entry.state is State.REACHED

    def of(self, by: Ranking) -> int:
        """How many methods reached the tolerance and have this cost."""
        return sum(by in it.places for it in self.standing.methods)


def own_places(classes: Sequence[ClassStanding], records: Sequence[Record]) -> tuple[OwnPlace, ...]:
    """The places of the methods of one's own, question by question.

    Args:
        classes: Everyone's standing.
        records: The rows that they are made of.
    """
    repeats = {key: method_repeats(key, group) for key, group in timed_or_all(records).items()}
    return tuple(
        OwnPlace(question, method, _by_error(method, question, repeats))
        for it in classes
        for question in it.questions
        for method in question.methods
        if method.is_own
    )


def _by_error(
    own: MethodStanding, question: QuestionStanding, repeats: Mapping[Key, MethodRepeats]
) -> ErrorPlace | None:
    mine = repeats[own.key].budgets
    budget = max(mine, default=None)
    if budget is None:
        return None
    errors = {it.entry.method: error for it in question.methods
              if (error := _median_error(repeats[it.key], budget)) is not None}  # fmt: skip
    error = errors[own.entry.method]
    best = min(errors, key=lambda name: (errors[name], name))
    place = 1 + sum(other < error for other in errors.values())
    return ErrorPlace(budget, error, place, len(errors), best, errors[best])


def _median_error(method: MethodRepeats, budget: int) -> float | None:
    """Median error at the largest budget up to one; None where it was measured at none."""
    below = [it for it in method.budgets if it <= budget]
    if not below:
        return None
    at = method.budgets[max(below)].values()
    values = [it.shown.value if it.status == "ok" and it.shown.value is not None else math.inf for it in at]
    return statistics.median(values)
