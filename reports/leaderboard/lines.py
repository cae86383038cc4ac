"""The leaderboard as lines of tables: in words for a reader, in numbers for a file."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

import pandas as pd

from hessbench.ledger.answering import MethodAnswer, Ranking, State
from hessbench.ledger.answering.words import percent, plural
from hessbench.ledger.published import PublishedLedger
from hessbench.ledger.spreads import Ratio, Spread
from hessbench.reports.answers.words import error_text, shortfall
from hessbench.reports.leaderboard.own_place import OwnPlace
from hessbench.reports.leaderboard.standings import (
    COSTS,
    WITHIN,
    ClassBest,
    ClassStanding,
    MethodStanding,
    QuestionStanding,
)
from hessbench.reports.leaderboard.time_unit import NO_UNIT
from hessbench.reports.writing import units
from hessbench.reports.writing.sheets import range_text

TIME_NOTE: Final = (
    "Times are multiples of one gradient of the same network (of one product where a matrix has no data), timed in the "
    "same run: build and own time over the gradient's. Seconds of different runs are never compared."
)
"""What is said wherever times stand."""


def best_text(best: ClassBest, problems: int) -> str:
    """Who is best in a class by one cost, and by how much, in a line."""
    if not best.method:
        return best.remark
    said = best.method
    if problems > 1:
        said += f", within on {best.reached} of {problems}, best on {best.first}"
    return f"{said}; {_next(best, problems)}"


def _next(best: ClassBest, problems: int) -> str:
    if not best.runner_up:
        return "no other reached it"
    if best.factor is None:
        return f"next {best.runner_up}, on none of the same problems"
    first = "not told apart from" if best.is_level else "next"
    many = f", within on {best.runner_up_reached}" if problems > 1 else ""
    return f"{first} {best.runner_up} at {units.ratio(best.factor)}{_interval(best.interval)}{many}"


def _interval(interval: tuple[float, float] | None) -> str:
    if interval is None:
        return ""
    low, high = map(units.significant, interval)
    return "" if low == high else f" ({low} to {high})"


def ratio_text(ratio: Ratio | None) -> str:
    """A ratio to the best with what is known of it."""
    if ratio is None:
        return units.DASH
    spread = ratio.spread
    return units.ratio(spread.median) + _interval(ratio.interval or (spread.low, spread.high))


def cost_text(entry: MethodAnswer, by: Ranking) -> str:
    """A cost as a number: products and gradient-equivalents as counts, times in gradients."""
    return units.median_text(entry.cost(by), units.count if by != "seconds" else units.significant)


def place_text(standing: MethodStanding, by: Ranking) -> str:
    """A place by one cost, and how far behind the best; empty where there is no such cost."""
    place, ratio = standing.places.get(by), standing.by[by].ratio
    if place is None:
        return ""
    return f"place {place}" + (f", {ratio_text(ratio)} the best" if place > 1 and ratio is not None else "")


def known_text(standing: MethodStanding) -> str:
    """What to know of a method that reached the tolerance: repeats, range of errors, what it claims, its times."""
    entry = standing.entry
    said = [f"budget {entry.budget:,}" if entry.budget is not None else ""]
    said.append("not sealed" if standing.is_unsealed else "")
    said.append("no randomness" if entry.is_random is False else plural(entry.repeats, "repeat"))
    if entry.error is not None and (extent := range_text(entry.error, percent)):
        said.append(f"error {extent}")
    said += [entry.reason, *(claim.text for claim in entry.claims)]
    note = standing.by["seconds"].seconds_note
    return "; ".join(filter(None, [*said, NO_UNIT if note == "not timed" else note]))


def summary_rows(classes: Sequence[ClassStanding]) -> list[tuple[str, ...]]:
    """A line for each estimand and class: both, the number of problems, and the best by each cost."""
    return [
        (
            it.estimand,
            it.problem_class.name + conditions_text(it, classes),
            str(len(it.questions)),
            *(best_text(it.best[by], len(it.questions)) for by in COSTS),
        )
        for it in classes
    ]


SUMMARY_HEADS: Final = ("Estimand", "Class of problems", "Problems", *(f"Best by {name}" for name in COSTS.values()))


def conditions_text(standing: ClassStanding, classes: Sequence[ClassStanding]) -> str:
    """The conditions, where the page holds several."""
    several = len({it.conditions for it in classes}) > 1
    return f" ({units.conditions(*standing.conditions)})" if several else ""


def entry_text(question: QuestionStanding, number: int) -> str:
    """What is known of a method that did not reach the tolerance."""
    entry = question.methods[number].entry
    return f"{entry.state.value}: {shortfall(entry)}"


PLACE_HEADS: Final = (
    "Estimand",
    "Problem",
    "Error",
    "Place by error",
    *(f"Place by {name}" for name in COSTS.values()),
    "Within 1 %",
    "Best by products",
)


def place_row(place: OwnPlace) -> tuple[str, ...]:
    """One's own place on a question, a text for each of `PLACE_HEADS`."""
    entry, question = place.method.entry, place.standing.question
    by_error = place.error
    at = units.DASH if by_error is None else f"{_share(by_error.error)} at {plural(by_error.budget, 'product')}"
    error = (
        units.DASH
        if by_error is None
        else f"{by_error.place} of {by_error.of}; {by_error.best} has {_share(by_error.best_error)}"
    )
    costs = [_cost_place(place, by) for by in COSTS]
    best = place.standing.answered["products"].best
    first = "no method reached it" if best is None else f"{best.method}, {cost_text(best, 'products')}"
    return (
        question.estimand,
        question.problem,
        at,
        error,
        *costs,
        error_text(entry) if place.is_reached else f"{entry.state.value}{f': {entry.reason}' if entry.reason else ''}",
        first,
    )


def _cost_place(place: OwnPlace, by: Ranking) -> str:
    entry = place.method.by[by]
    if entry.state is not State.REACHED or by not in place.method.places:
        return units.DASH
    behind = place.method.places[by] > 1
    ratio = f", {ratio_text(entry.ratio)} the best" if behind and entry.ratio is not None else ""
    return f"{place.method.places[by]} of {place.of(by)}: {cost_text(entry, by)}{ratio}"


def _share(error: float) -> str:
    return percent(error) if math.isfinite(error) else "failed"


def frame(classes: Sequence[ClassStanding]) -> pd.DataFrame:
    """One row for each estimand, problem and method, nothing rounded; times are in gradients."""
    return pd.DataFrame([row for it in classes for question in it.questions for row in _rows(it, question)])


def _rows(standing: ClassStanding, question: QuestionStanding) -> list[dict[str, Any]]:
    asked = question.question
    found: list[dict[str, Any]] = []
    for method in question.methods:
        entry = method.entry
        row: dict[str, Any] = {
            "estimand": asked.estimand,
            "class": standing.problem_class.name,
            "problem": asked.problem_spec,
            "problem_hash": asked.problem_hash,
            "device": asked.device,
            "dtype": asked.dtype,
            "threads": asked.threads,
            "tolerance": WITHIN,
            "method": method.key.method,
            "run_estimand": method.key.source,
            "method_hash": method.key.method_hash,
            "library_version": method.key.library_version,
            "own": method.is_own,
            "state": entry.state.value,
            "reason": entry.reason,
            "budget": entry.budget,
            "repeats": entry.repeats,
            **_numbers("error", entry.error),
            "reference_bound": entry.bound,
        }
        for by, name in COSTS.items():
            column = name.replace(" ", "_").replace("-", "_")
            answer = method.by[by]
            row |= {f"place_by_{column}": method.places.get(by), **_numbers(column, answer.cost(by))}
            row |= _numbers(f"{column}_over_best", answer.ratio.spread if answer.ratio else None)
            low, high = answer.ratio.interval if answer.ratio and answer.ratio.interval else (None, None)
            row |= {f"{column}_over_best_interval_low": low, f"{column}_over_best_interval_high": high}
        found.append(row | {"time_note": method.by["seconds"].seconds_note, "replay": method.command})
    return found


def _numbers(name: str, value: Spread | None) -> dict[str, float | None]:
    if value is None:
        return dict.fromkeys((name, f"{name}_min", f"{name}_max"))
    return {name: value.median, f"{name}_min": value.low, f"{name}_max": value.high}


def ledger_rows(ledgers: Sequence[PublishedLedger]) -> list[tuple[str, ...]]:
    """A line for each published ledger: suite, cells, when, under what, versions, command."""
    found: list[tuple[str, ...]] = []
    for it in ledgers:
        said = it.description
        sealed = f"{said.sealed} cells sealed"
        skipped = f", {said.skipped} skipped" if said.skipped else ""
        names = ("python", "torch", "hessbench")
        versions = ", ".join(f"{name} {said.versions[name]}" for name in names if name in said.versions)
        found.append((
            said.suite, f"{said.cells}{skipped}", (said.measured[0] if said.measured else "")[:10],
            f"{units.conditions(said.device, said.dtype, said.threads)}; {sealed}", versions,
            "; ".join(said.commands), said.suite_sha256[:12],
        ))  # fmt: skip
    return found


LEDGER_HEADS: Final = ("Suite", "Cells", "Measured", "Conditions", "Versions", "Command", "Hash of the suite")
