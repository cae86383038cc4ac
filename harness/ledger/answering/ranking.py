"""Every question of a ledger at every tolerance, the methods best first."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from hessbench.estimand import ESTIMANDS
from hessbench.ledger.answering.entries import (
    RANKINGS,
    Answered,
    MethodAnswer,
    Question,
    Ranking,
    State,
    TrivialAnswer,
)
from hessbench.ledger.answering.judging import CONTENDED, costs_by_repeat, entry
from hessbench.ledger.answering.method_repeats import MethodRepeats, method_repeats
from hessbench.ledger.answering.words import listed
from hessbench.ledger.grouping import Answer, Key, answers, namer, timed_or_all
from hessbench.ledger.record import WITHOUT_ENGINE, Record
from hessbench.ledger.shown_errors import error_definition, shown_name
from hessbench.ledger.spreads import paired_ratio
from hessbench.specs import suggest

_ORDER = {state: place for place, state in enumerate(State)}

Conditions = tuple[str, str, str, str, str, int]
"""Problem, its hash, estimand, device, dtype and threads."""


def answer(
    records: Sequence[Record], tolerances: Sequence[float] = (0.1, 0.01, 0.001), by: Ranking = "seconds"
) -> tuple[Answered, ...]:
    """Which method answers each question within each tolerance, and what that costs.

    Each method is judged at the smallest budget from which on every repeat stays within the tolerance. Methods are
    compared only where problem, device, dtype and threads are the same.

    Args:
        records: Rows of a ledger.
        tolerances: Largest errors accepted.
        by: What ranks: `seconds` (build and wall clock), `products`, `gradients` (gradient-equivalents) or `memory`.

    Returns:
        One for each question and tolerance, questions in the order of their names, tolerances as they are given.

    Raises:
        ValueError: If a tolerance is not above 0, or `by` is none of the four.
    """
    for tolerance in tolerances:
        if not 0 < tolerance < math.inf:
            raise ValueError(f"tolerances must be above 0 and finite, got {tolerance}")
    if by not in RANKINGS:
        raise ValueError(f"by must be one of {', '.join(RANKINGS)}{suggest(str(by), RANKINGS)}, got {by!r}")
    peaks = _memory_rows(records)
    return tuple(_answered(asked, tolerance, by, peaks) for asked in _questions(records) for tolerance in tolerances)


@dataclass(frozen=True)
class _Posed:
    """A question with the methods that were put to it."""

    question: Question
    methods: tuple[tuple[str, MethodRepeats], ...]
    engines: Mapping[str, int]

    @property
    def engine(self) -> str:
        """The engine of most cells, whose seconds count."""
        return min(self.engines, key=lambda name: (-self.engines[name], name), default="")


def _questions(records: Sequence[Record]) -> list[_Posed]:
    groups = timed_or_all(records)
    name = namer(groups)
    places: dict[Conditions, dict[Key, list[Answer]]] = defaultdict(dict)
    for key, group in groups.items():
        places[key.problem, key.problem_hash, key.estimand, key.device, key.dtype, key.threads][key] = group
    where = _conditions(groups)
    found: list[_Posed] = []
    for keys in places.values():
        question = _question(keys, name, where)
        methods = sorted(
            ((name(key)[1], method_repeats(key, group)) for key, group in keys.items()), key=lambda it: it[0]
        )
        found.append(_Posed(question, tuple(methods), _engines(keys.values())))
    return sorted(found, key=lambda asked: (asked.question.problem, asked.question.estimand, asked.question.label))


def _question(
    keys: Mapping[Key, Sequence[Answer]], name: Callable[[Key], tuple[str, str]], where: Callable[[Key], str]
) -> Question:
    key = next(iter(keys))
    problem = name(key)[0]
    rows = [answer.row for group in keys.values() for answer in group]
    error = shown_name(rows)
    definition = error_definition(key.estimand, error)
    return Question(
        problem=problem,
        problem_spec=key.problem,
        problem_hash=key.problem_hash,
        estimand=key.estimand,
        dim=max(row.dim for row in rows),
        device=key.device,
        dtype=key.dtype,
        threads=key.threads,
        error_name=error,
        error_label=definition.label,
        error_sentence=definition.sentence,
        label=f"{problem}, {key.estimand}{where(key)}",
    )


def _answered(asked: _Posed, tolerance: float, by: Ranking, peaks: Mapping[Key, Sequence[Record]]) -> Answered:
    made: list[tuple[MethodAnswer, Mapping[str, Mapping[int, float]]]] = []
    for name, method in asked.methods:
        own = peaks.get(replace(method.key, estimand=method.key.source), ())
        found = entry(method, name, tolerance, asked.engine, own)
        made.append((found, costs_by_repeat(method, found, asked.engine, own)))
    made.sort(key=lambda it: _rank(it[0], by))
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


def _trivial(asked: _Posed, entries: Sequence[MethodAnswer], tolerance: float) -> TrivialAnswer | None:
    """The answer that takes no product, where it is within the tolerance, or nearer than all that did not reach it."""
    found = _trivial_answer(asked)
    if found is None:
        return None
    what, error = found
    if error <= tolerance:
        return TrivialAnswer(what, error, True)
    nearest = min((it.error.median for it in entries if it.error is not None), default=math.inf)
    return TrivialAnswer(what, error, False) if error < nearest < math.inf else None


def _trivial_answer(asked: _Posed) -> tuple[str, float] | None:
    """The answer that takes no product and its error; None where the rows do not tell."""
    kind = ESTIMANDS.get(asked.question.estimand.partition("[")[0])
    if kind is None:
        return None
    rows = [repeat.answer.row for _, method in asked.methods for repeat in method.repeats]
    errors = (kind.trivial_error(asked.question.error_name, row.errors) for row in rows if row.error is not None)
    error = next((value for value in errors if value is not None), None)
    return None if error is None else (kind.trivial_answer, error)


def _remarks(asked: _Posed, entries: Sequence[MethodAnswer], by: Ranking) -> tuple[str, ...]:
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


def _no_nearer(asked: _Posed, entries: Sequence[MethodAnswer]) -> str:
    """Who is no nearer to the truth than the answer that takes no product."""
    trivial = _trivial_answer(asked)
    if trivial is None:
        return ""
    what, error = trivial
    short = [it.method for it in entries if it.state is State.NOT_REACHED and it.error and it.error.median >= error]
    return f"no nearer than {what}, which takes no product: {listed(short)}" if short else ""


def _engines_told(asked: _Posed) -> str:
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


def _engines(groups: Iterable[Sequence[Answer]]) -> dict[str, int]:
    """How many timed cells that came to an answer ran with which engine, those that need none left out."""
    cells = {
        answer.terminal.cell: answer.terminal.engine_name
        for group in groups
        for answer in group
        if answer.terminal.pass_ == "time"
        and answer.seconds is not None
        and answer.error is not None
        and answer.terminal.engine_name not in WITHOUT_ENGINE
    }
    return dict(Counter(cells.values()))


def _memory_rows(records: Sequence[Record]) -> dict[Key, list[Record]]:
    found: dict[Key, list[Record]] = defaultdict(list)
    for it in answers(records, ("memory",)):
        if it.key.estimand == it.key.source and it.row.budget == it.terminal.budget:
            found[it.key].append(it.terminal)
    return found


def _conditions(keys: Iterable[Key]) -> Callable[[Key], str]:
    """What must be added to a label: device, dtype and threads where they differ within a ledger."""
    names = [name for name in ("device", "dtype", "threads") if len({getattr(key, name) for key in keys}) > 1]

    def text(key: Key) -> str:
        values = [f"{key.threads} threads" if name == "threads" else str(getattr(key, name)) for name in names]
        return f", {', '.join(values)}" if values else ""

    return text
