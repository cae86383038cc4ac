"""From what every method needs and costs to the one that is recommended, and why not the others."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from hessbench.advising.belief import is_believed
from hessbench.advising.candidates import Knowledge
from hessbench.advising.forecast import Needed
from hessbench.advising.question import AdviceQuestion

EXACT_FACTOR: Final = 3.0
"""How many times as much an exact method may cost where no other can know its own error."""

EXACT_SHARE: Final = 0.1
"""Or which share of the budget it may take there."""


class WhyNot(StrEnum):
    """Why a method is not recommended."""

    CANNOT = "cannot"
    MEMORY = "memory"
    UNPRICED = "unpriced"
    NO_ROOM = "no room in the pilot"
    FAILED = "failed"
    UNTOLD = "untold"
    TIME = "time"
    NO_PROMISE = "no promise"
    DEARER = "dearer"
    NONE = ""


@dataclass(frozen=True)
class Forecast:
    """What a method needs and what that costs.

    Attributes:
        needed: Products and where that comes from.
        seconds: Of the run, build and all; None where it is not known.
        gradient_equivalents: In the common unit; None where no pilot told.
        held_bytes: Memory; None where nothing is known.
        why_not: Why it is not recommended.
        detail: What is to be known of that.
    """

    needed: Needed
    seconds: float | None = None
    gradient_equivalents: float | None = None
    held_bytes: int | None = None
    why_not: WhyNot = WhyNot.NONE
    detail: str = ""

    @property
    def is_promised(self) -> bool:
        """Whether what the method will say of its own error may be believed."""
        return self.needed.budget is not None and is_believed(self.needed.candidate, self.needed.budget)


@dataclass(frozen=True)
class Advice:
    """What is recommended.

    Attributes:
        question: What was asked.
        best: What to run; None where nothing reaches the tolerance within the budget.
        promised: Whether the answer will be within the tolerance, or say that it is not.
        others: The rest, each with its reason, those that could have been taken first, the cheapest first.
    """

    question: AdviceQuestion
    best: Forecast | None
    promised: bool
    others: tuple[Forecast, ...]

    @property
    def runner_up(self) -> Forecast | None:
        """What would be taken next."""
        return next((it for it in self.others if it.why_not in (WhyNot.DEARER, WhyNot.NO_PROMISE)), None)


def choose(forecasts: Sequence[Forecast], question: AdviceQuestion, left_s: float) -> Advice:
    """Take the cheapest by predicted seconds of what fits: of promised ones, where there are any and may be.

    Where nothing can be promised an exact method is taken if it costs little, by `EXACT_FACTOR` and `EXACT_SHARE`.

    Args:
        forecasts: One for each method.
        question: What was asked.
        left_s: Seconds left of the budget.
    """
    judged = [_judged(it, question, left_s) for it in forecasts]
    fitting = sorted((it for it in judged if not it.why_not), key=_cost)
    best = _first(fitting, question)
    promised = best is not None and question.may_be_promised and best.is_promised
    others: list[Forecast] = []
    for it in judged:
        if it is best:
            continue
        if not it.why_not:
            worse = promised and not it.is_promised
            it = replace(it, why_not=WhyNot.NO_PROMISE if worse else WhyNot.DEARER)
        others.append(it)
    order = {WhyNot.DEARER: 0, WhyNot.NO_PROMISE: 1, WhyNot.TIME: 2, WhyNot.UNTOLD: 3}
    others.sort(key=lambda it: (order.get(it.why_not, len(order)), _cost(it)))
    return Advice(question, best, promised, tuple(others))


def _first(fitting: Sequence[Forecast], question: AdviceQuestion) -> Forecast | None:
    if not fitting:
        return None
    if question.may_be_promised:
        return next((it for it in fitting if it.is_promised), fitting[0])
    exact = next((it for it in fitting if it.needed.candidate.knows is Knowledge.EXACT), None)
    if exact is None:
        return fitting[0]
    little = max(EXACT_FACTOR * _cost(fitting[0]), EXACT_SHARE * question.budget_s)
    return exact if _cost(exact) <= little else fitting[0]


def _judged(it: Forecast, question: AdviceQuestion, left_s: float) -> Forecast:
    """With the reason why it cannot be taken, where there is one."""
    if it.why_not:
        return it
    if it.needed.budget is None:
        return replace(it, why_not=WhyNot.UNTOLD)
    if it.held_bytes is not None and it.held_bytes > question.memory_bytes:
        return replace(it, why_not=WhyNot.MEMORY)
    if it.seconds is None:
        return replace(it, why_not=WhyNot.UNPRICED)
    return replace(it, why_not=WhyNot.TIME) if it.seconds > left_s else it


def _cost(it: Forecast) -> float:
    return math.inf if it.seconds is None else it.seconds
