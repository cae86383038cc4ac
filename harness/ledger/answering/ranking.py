"""Every question of a ledger at every tolerance, the methods best first."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final, TypeAlias

from hessbench.estimand import ESTIMANDS
from hessbench.ledger.answering.entries import (
    RANKINGS,
    Answered,
    MethodAnswer,
    Ranking,
    State,
    TrivialAnswer,
)
from hessbench.ledger.answering.judging import CONTENDED, costs_by_repeat, entry
from hessbench.ledger.answering.method_repeats import MethodRepeats
from hessbench.ledger.answering.questions import PosedQuestion, posed_questions
from hessbench.ledger.answering.words import listed
from hessbench.ledger.record import Record
from hessbench.ledger.spreads import paired_ratio
from hessbench.specs import suggest

TOLERANCES: Final = (0.1, 0.01, 0.001)
"""Errors within which methods are compared where nothing else is asked."""

Costs: TypeAlias = Mapping[str, Mapping[int, float]]
"""Every cost that may rank, by repeat."""

_ORDER = {state: place for place, state in enumerate(State)}


def answer(
    records: Sequence[Record], tolerances: Sequence[float] = TOLERANCES, by: Ranking = "seconds"
) -> tuple[Answered, ...]:
    """Which method answers each question within each tolerance, and what that costs.

    Each method is judged at the smallest budget from which on every repeat stays within the tolerance. Methods are
    compared only where problem, device, dtype and threads are the same.

    Args:
        records: Rows of a ledger.
        tolerances: Largest errors accepted.
        by: What ranks: `seconds` (build and wall clock), `products`, `gradients` (gradient-equivalents), `memory` or
            `passes` (over the data).

    Returns:
        One for each question and tolerance, questions in the order of their names, tolerances as they are given.

    Raises:
        ValueError: If a tolerance is not above 0, or `by` is none of these.
    """
    _check(tolerances)
    if by not in RANKINGS:
        raise ValueError(f"by must be one of {', '.join(RANKINGS)}{suggest(str(by), RANKINGS)}, got {by!r}")
    return answers_by(records, tolerances, (by,))[by]


def answers_by(
    records: Sequence[Record], tolerances: Sequence[float] = TOLERANCES, rankings: Sequence[Ranking] = RANKINGS
) -> dict[Ranking, tuple[Answered, ...]]:
    """As `answer`, by each of several costs; every method is judged once.

    Raises:
        ValueError: If a tolerance is not above 0.
    """
    _check(tolerances)
    found: dict[Ranking, list[Answered]] = {by: [] for by in rankings}
    for asked in posed_questions(records):
        for tolerance in tolerances:
            judged = [_judged(asked, name, method, tolerance) for name, method in asked.methods]
            for by, known in found.items():
                known.append(_ranked(asked, judged, tolerance, by))
    return {by: tuple(known) for by, known in found.items()}


def _check(tolerances: Sequence[float]) -> None:
    """Refuse a tolerance that none can be.

    Raises:
        ValueError: If one is not above 0 and finite.
    """
    for tolerance in tolerances:
        if not 0 < tolerance < math.inf:
            raise ValueError(f"tolerances must be above 0 and finite, got {tolerance}")


def _judged(asked: PosedQuestion, name: str, method: MethodRepeats, tolerance: float) -> tuple[MethodAnswer, Costs]:
    peaks = asked.memory_of(method)
    found = entry(method, name, tolerance, asked.engine, peaks)
    return found, costs_by_repeat(method, found, asked.engine, peaks)


def _ranked(
    asked: PosedQuestion, judged: Sequence[tuple[MethodAnswer, Costs]], tolerance: float, by: Ranking
) -> Answered:
    made = sorted(judged, key=lambda it: _rank(it[0], by))
    best = made[0] if made and made[0][0].state is State.REACHED else None
    if best is not None:
        base = best[1].get(by, {})
        made = [
            (replace(it, ratio=paired_ratio(costs.get(by, {}), base) if it.state is State.REACHED else None), costs)
            for it, costs in made
        ]
    entries = tuple(it for it, _ in made)
    trivial = _trivial(asked, entries, tolerance)
    return Answered(asked.question, tolerance, by, entries, trivial, _remarks(asked, entries, by))


def _rank(it: MethodAnswer, by: Ranking) -> tuple[float | str, ...]:
    """Reached ones by their cost, the others by their error; then by products, seconds and name."""
    first = it.cost(by) if it.state is State.REACHED else it.error
    rest = (it.products, it.seconds) if by != "products" else (it.seconds,)
    medians = [math.inf if cost is None else cost.median for cost in (first, *rest)]
    return (_ORDER[it.state], *medians, it.method)


def _trivial(asked: PosedQuestion, entries: Sequence[MethodAnswer], tolerance: float) -> TrivialAnswer | None:
    """The answer that takes no product, where it is within the tolerance, or nearer than all that did not reach it."""
    found = _trivial_answer(asked)
    if found is None:
        return None
    what, error = found
    if error <= tolerance:
        return TrivialAnswer(what, error, True)
    nearest = min((it.error.median for it in entries if it.error is not None), default=math.inf)
    return TrivialAnswer(what, error, False) if error < nearest < math.inf else None


def _trivial_answer(asked: PosedQuestion) -> tuple[str, float] | None:
    """The answer that takes no product and its error; None where the rows do not tell."""
    kind = ESTIMANDS.get(asked.question.estimand.partition("[")[0])
    if kind is None:
        return None
    rows = [repeat.answer.row for _, method in asked.methods for repeat in method.repeats]
    errors = (kind.trivial_error(asked.question.error_name, row.errors) for row in rows if row.error is not None)
    error = next((value for value in errors if value is not None), None)
    return None if error is None else (kind.trivial_answer, error)


def _remarks(asked: PosedQuestion, entries: Sequence[MethodAnswer], by: Ranking) -> tuple[str, ...]:
    """What a reader of the ranking must know."""
    reached = [it for it in entries if it.state is State.REACHED]
    said = [_level(reached), _no_nearer(asked, entries)]
    if by == "seconds":
        said += [_first_alone(reached), _engines_told(asked), _contended(reached)]
    return tuple(filter(None, said))


def _level(reached: Sequence[MethodAnswer]) -> str:
    """Who is not told apart from the best."""
    level = [it.method for it in reached[1:] if it.ratio is not None and it.ratio.is_level]
    return f"{reached[0].method} is not told apart from {listed(level)}: their ratio may as well be 1" if level else ""


def _first_alone(reached: Sequence[MethodAnswer]) -> str:
    """Who is first by the method's own time, where that is not the best with the build."""
    times = {it.method: it.wall_s.median for it in reached if it.wall_s is not None}
    if len(times) < 2 or reached[0].method not in times:
        return ""
    first = min(times, key=lambda name: times[name])
    if times[first] >= times[reached[0].method]:
        return ""
    faster = f", {times[reached[0].method] / times[first]:.2g} times as fast" if times[first] else ""
    return f"by the methods' own time alone, without the build, {first} is first{faster}"


def _no_nearer(asked: PosedQuestion, entries: Sequence[MethodAnswer]) -> str:
    """Who is no nearer to the truth than the answer that takes no product."""
    trivial = _trivial_answer(asked)
    if trivial is None:
        return ""
    what, error = trivial
    short = [it.method for it in entries if it.state is State.NOT_REACHED and it.error and it.error.median >= error]
    return f"no nearer than {what}, which takes no product: {listed(short)}" if short else ""


def _engines_told(asked: PosedQuestion) -> str:
    if len(asked.engines) < 2:
        return ""
    numbers = sorted(asked.engines.items(), key=lambda it: (-it[1], it[0]))
    told = ", ".join(f"{name or 'not named'} in {number}" for name, number in numbers)
    return f"cells ran with different engines ({told}): only seconds with {numbers[0][0] or 'that one'} are compared"


def _contended(reached: Sequence[MethodAnswer]) -> str:
    busy = [it.method for it in reached if CONTENDED in it.seconds_note]
    if not busy:
        return ""
    who = "all that reached it" if len(busy) == len(reached) > 1 else listed(busy)
    verb = "was" if len(busy) == 1 else "were"
    return f"{who} {verb} {CONTENDED}: products are the surer ranking"
