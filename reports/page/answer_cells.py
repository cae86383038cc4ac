"""The answers as they are read: for a question the best method at each tolerance, and every method beside it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from hessbench.ledger.answering import Answered, MethodAnswer, State
from hessbench.ledger.spreads import Ratio, Spread
from hessbench.reports.writing import units
from hessbench.reports.writing.sheets import Shown, range_text, single_cell, spread_cell


@dataclass(frozen=True)
class Best:
    """One question at one tolerance, in the fewest words.

    Attributes:
        within: The tolerance.
        method: The method that answers; empty where none does.
        run: The run it comes from, a space and brackets around, where that was made for something else.
        cost: What it takes, or why nothing answers.
        sure: How sure that is.
    """

    within: str
    method: str
    run: str
    cost: str
    sure: str


@dataclass(frozen=True)
class EntryShown:
    """One method at one tolerance: its cells in a table of all methods, and in the short one."""

    method: int
    state: str
    name: str
    cells: tuple[Shown, ...]
    short: Shown
    rank: float | None


@dataclass(frozen=True)
class ToleranceShown:
    """One question at one tolerance."""

    within: str
    best: Best
    entries: tuple[EntryShown, ...]
    remarks: tuple[str, ...]


@dataclass(frozen=True)
class MatrixRow:
    """One method at every tolerance."""

    method: int
    name: str
    cells: tuple[EntryShown | None, ...]


@dataclass(frozen=True)
class QuestionShown:
    """One question: its conditions, its answer and every method at each tolerance, and what holds at all of them."""

    label: str
    conditions: str
    tolerances: tuple[ToleranceShown, ...]
    rows: tuple[MatrixRow, ...]
    remarks: tuple[str, ...]


HEADS: Final[tuple[tuple[str, str], ...]] = (
    ("Budget", "smallest that stays within"),
    ("Seconds", "build and wall"),
    ("Build", ""),
    ("Wall clock", ""),
    ("Products", "columns"),
    ("Gradients", "equivalents"),
    ("Peak", "bytes"),
    ("To the best", "paired by repeat"),
    ("Error", "median, range"),
    ("What it said", "of its own answer"),
)
"""Columns of the table of every method at one tolerance, after the method."""


def shown_questions(answered: Sequence[Answered], places: Mapping[str, int]) -> tuple[QuestionShown, ...]:
    """The answers to the questions of one section, tolerances together.

    Args:
        answered: One per question and tolerance, those of a question one after the other.
        places: Place of each method on the page, by its spec.
    """
    groups: dict[tuple[str, str, int, str], list[Answered]] = {}
    for one in answered:
        asked = one.question
        groups.setdefault((asked.device, asked.dtype, asked.threads, asked.label), []).append(one)
    return tuple(_question(found, places) for found in groups.values())


def _question(found: Sequence[Answered], places: Mapping[str, int]) -> QuestionShown:
    tolerances = tuple(_tolerance(one, places) for one in found)
    asked = found[0].question
    # A method is where it is at the middle tolerance, 1 % of the usual three.
    order = {entry.key: entry.method for one in (found[len(found) // 2], *found) for entry in one.entries}
    by_key = [
        {entry.key: shown for entry, shown in zip(one.entries, tolerance.entries, strict=True)}
        for one, tolerance in zip(found, tolerances, strict=True)
    ]
    rows = tuple(
        MatrixRow(places[key.method], name, tuple(known.get(key) for known in by_key)) for key, name in order.items()
    )
    conditions = units.conditions(asked.device, asked.dtype, asked.threads)
    shared = _shared(tolerance.remarks for tolerance in tolerances)
    return QuestionShown(asked.label, conditions, _without(tolerances, shared), rows, shared)


def said_of_all(questions: Sequence[QuestionShown]) -> tuple[str, ...]:
    """What holds of every question, which the page says once."""
    return _shared(question.remarks for question in questions)


def _shared(remarks: Iterable[tuple[str, ...]]) -> tuple[str, ...]:
    first, *others = [*remarks] or [()]
    return tuple(text for text in first if all(text in other for other in others))


def _without(tolerances: Sequence[ToleranceShown], said: Sequence[str]) -> tuple[ToleranceShown, ...]:
    return tuple(
        replace(tolerance, remarks=tuple(text for text in tolerance.remarks if text not in said))
        for tolerance in tolerances
    )


def _tolerance(one: Answered, places: Mapping[str, int]) -> ToleranceShown:
    entries = tuple(_entry(entry, place, places) for place, entry in enumerate(one.entries))
    remarks = list(one.remarks)
    if one.trivial is not None:
        how = "within it, for no product" if one.trivial.is_within else "not within it, but nearer than any method"
        error = units.share(one.trivial.error)
        remarks.append(f"The trivial answer, {one.trivial.what}, has an error of {error}: {how}.")
    names = tuple(entry.method for entry in one.entries)
    sentences = dict.fromkeys(_sentence(remark, names) for remark in remarks)
    return ToleranceShown(units.share(one.tolerance), _best(one), entries, tuple(sentences))


def _best(one: Answered) -> Best:
    within = units.share(one.tolerance)
    best = one.best
    if best is None:
        return Best(within, "", "", *_none(one))
    products = "" if best.products is None else f"{units.count(best.products.median)} products"
    took = "" if best.seconds is None else units.seconds(best.seconds.median)
    cost = ", ".join(filter(None, (took, products)))
    name, bracket, run = best.method.partition(" (from its ")
    return Best(within, name, bracket + run, cost, "; ".join(filter(None, (_repeats(best), _lead(one)))))


def _none(one: Answered) -> tuple[str, str]:
    """Why nothing answers, and how near the nearest is."""
    if one.trivial is not None and one.trivial.is_within:
        return f"{one.trivial.what} is within it", "no product needed"
    if one.unsure:
        return "not judged", f"{one.unsure[0].method}: {one.unsure[0].reason}"
    worst = {entry.method: entry.error for entry in one.entries if entry.state is State.NOT_REACHED and entry.error}
    if worst:
        name, error = min(worst.items(), key=lambda it: it[1].high)
        return "not reached", f"nearest {name}: {_at_worst(error)}"
    if any(entry.state is State.NOT_JUDGED for entry in one.entries):
        return "not judged", next(entry.reason for entry in one.entries if entry.state is State.NOT_JUDGED)
    return "no answer", one.entries[0].reason if one.entries else ""


def _at_worst(error: Spread) -> str:
    """The error of the repeat that is furthest off: what keeps a method from a tolerance."""
    return units.share(error.high) + (" at worst" if error.number > 1 else "")


def _repeats(entry: MethodAnswer) -> str:
    if entry.is_random is False:
        return "no randomness"
    return f"{entry.repeats} of {entry.repeats} repeats"


def _lead(one: Answered) -> str:
    """How far the next method is behind, or that it is not."""
    if len(one.reached) < 2:
        return "no other reaches it"
    second = one.reached[1]
    if second.ratio is None:
        return f"then {second.method}"
    if second.ratio.is_level:
        return f"level with {second.method}"
    return f"{second.method} takes {units.ratio(second.ratio.spread.median)}"


def _entry(entry: MethodAnswer, place: int, places: Mapping[str, int]) -> EntryShown:
    is_reached = entry.state is State.REACHED
    budget = single_cell(entry.budget, units.count)
    if not is_reached:
        budget = Shown(entry.state.value, "" if entry.budget is None else f"at {entry.budget:,}")
    said = "; ".join((*(claim.text for claim in entry.claims), *filter(None, (entry.values,))))
    why = "; ".join(filter(None, (entry.reason, entry.seconds_note)))
    cells = (
        budget,
        spread_cell(entry.seconds, units.seconds),
        spread_cell(entry.build_s, units.seconds),
        spread_cell(entry.wall_s, units.seconds),
        spread_cell(entry.products, units.count),
        spread_cell(entry.gradient_equivalents, units.count),
        spread_cell(entry.peak_bytes, units.size),
        _ratio(entry.ratio, is_best=is_reached and place == 0),
        _error(entry.error),
        Shown(said or units.DASH, why),
    )
    rank = float(place) if is_reached else None
    return EntryShown(places[entry.key.method], entry.state.value, entry.method, cells, _short(entry, cells[7]), rank)


def _short(entry: MethodAnswer, ratio: Shown) -> Shown:
    """The method at one tolerance in one cell."""
    if entry.state is State.REACHED:
        took = "" if entry.seconds is None else units.seconds(entry.seconds.median)
        products = "" if entry.products is None else f"{units.count(entry.products.median)} products"
        beside = "best" if ratio.text == "best" else f"{ratio.text} the best" if ratio.text != units.DASH else ""
        return Shown(took or products, ", ".join(filter(None, (products if took else "", beside))))
    if entry.state is State.NOT_REACHED and entry.error is not None:
        values = f"; {entry.values}" if entry.values else ""
        return Shown(_at_worst(entry.error), f"not reached by {entry.budget or 0:,}{values}")
    return Shown(entry.state.value, entry.reason)


def _ratio(ratio: Ratio | None, *, is_best: bool) -> Shown:
    if is_best:
        return Shown("best", sort=1.0)
    if ratio is None:
        return Shown(units.DASH)
    low, high = ratio.interval or (ratio.spread.low, ratio.spread.high)
    words = f"{units.significant(low)} to {units.significant(high)}" if ratio.spread.number > 1 else ""
    level = "level" if ratio.is_level and ratio.spread.number > 1 else ""
    return Shown(units.ratio(ratio.spread.median), words, level, ratio.spread.median)


def _error(error: Spread | None) -> Shown:
    if error is None:
        return Shown(units.DASH)
    return Shown(units.share(error.median), range_text(error, units.share), sort=error.median)


def _sentence(text: str, names: tuple[str, ...]) -> str:
    """The remark with a full stop, and a capital unless it begins with the name of a method."""
    head = text[:1] if text.startswith(names) else text[:1].upper()
    return head + text[1:].rstrip(".") + "."
