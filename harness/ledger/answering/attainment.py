"""What a tolerance cost in every single repeat: the rule of an answer, applied to one repeat at a time.

Repeats of one number share their start, whatever the method, so that methods are compared in pairs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Final

from hessbench.ledger.answering.entries import MethodAnswer, Question, Ranking, State
from hessbench.ledger.answering.judging import comparable_peak, costs_by_repeat, judge, seconds
from hessbench.ledger.answering.method_repeats import MethodRepeats
from hessbench.ledger.answering.questions import PosedQuestion, posed_questions
from hessbench.ledger.answering.ranking import TOLERANCES
from hessbench.ledger.grouping import Key
from hessbench.ledger.record import Record

_BY_ROW: Final[tuple[Ranking, ...]] = ("products", "gradients", "passes")
"""Costs that every row has of its own."""


@dataclass(frozen=True)
class Attainment:
    """One repeat of one method at one tolerance.

    Attributes:
        key: What the rows of the method share.
        method: Name to show.
        repeat: Its number.
        tolerance: Largest error accepted.
        state: `REACHED` at the smallest budget from which on the repeat stays within; `NOT_REACHED` and `FAILED` are
            censored: what the tolerance would have cost is above all that was spent. `NOT_JUDGED` says nothing.
        budget: The budget; None where nothing ran to an answer.
        costs: What it cost there, of costs that are known. Seconds of another engine than that of most cells, and of
            cells timed while other work ran, are no cost that compares, and host peaks below half a MiB count as that.
        is_random: Whether the method draws random numbers; None where the ledger does not tell.
    """

    key: Key
    method: str
    repeat: int
    tolerance: float
    state: State
    budget: int | None
    costs: Mapping[Ranking, float] = field(default_factory=dict[Ranking, float])
    is_random: bool | None = None


@dataclass(frozen=True)
class QuestionAttainments:
    """Every repeat of every method put to one question, at every tolerance."""

    question: Question
    attainments: tuple[Attainment, ...]


def attainments(records: Sequence[Record], tolerances: Sequence[float] = TOLERANCES) -> tuple[QuestionAttainments, ...]:
    """What each tolerance cost in every repeat of every method, question by question.

    Args:
        records: Rows of a ledger.
        tolerances: Largest errors accepted.
    """
    return tuple(
        QuestionAttainments(
            asked.question,
            tuple(
                _attainment(asked, name, one, repeat, tolerance)
                for name, method in asked.methods
                for repeat, one in _one_by_one(method).items()
                for tolerance in tolerances
            ),
        )
        for asked in posed_questions(records)
    )


def _one_by_one(method: MethodRepeats) -> dict[int, MethodRepeats]:
    """The method as if each repeat were its only one."""
    numbers = sorted({repeat for at in method.budgets.values() for repeat in at})
    return {
        number: MethodRepeats(
            method.key, {budget: {number: at[number]} for budget, at in method.budgets.items() if number in at}
        )
        for number in numbers
    }


def _attainment(asked: PosedQuestion, name: str, one: MethodRepeats, repeat: int, tolerance: float) -> Attainment:
    found = judge(one, tolerance, least_repeats=1)
    costs: dict[Ranking, float] = {}
    if found.state is State.REACHED and found.budget is not None:
        entry = MethodAnswer(one.key, name, found.state, budget=found.budget)
        # A peak of a smaller budget says less than what was needed.
        peaks = [row for row in asked.memory_of(one) if row.budget >= found.budget]
        known = costs_by_repeat(one, entry, asked.engine, peaks)
        for by in _BY_ROW:
            if repeat in known[by]:
                costs[by] = known[by][repeat]
        # The memory pass is run once, whatever the repeat.
        peak = median(known["memory"].values()) if known["memory"] else None
        if peak is not None:
            costs["memory"] = comparable_peak(peak, one.key.device)
        *_, both, note = seconds(tuple(one.budgets[found.budget].values()), asked.engine)
        if not note and repeat in both:
            costs["seconds"] = both[repeat]
    return Attainment(one.key, name, repeat, tolerance, found.state, found.budget, costs, one.is_random)
