"""The answer as numbers: a frame, CSV, JSON, and a Markdown table."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from typing import Any

import pandas as pd

from hessbench.ledger.answering import Answered, MethodAnswer, State
from hessbench.ledger.answering.words import percent
from hessbench.ledger.record import finite_or_null
from hessbench.ledger.spreads import Spread
from hessbench.reports.answers.words import BY, details, error_text, shortfall
from hessbench.reports.writing import units
from hessbench.reports.writing.escaping import markdown
from hessbench.reports.writing.sheets import to_csv

_COSTS = (
    "error", "scaled_error", "products", "gradient_equivalents", "build_s", "wall_s", "seconds", "peak_bytes",
    "passes",
)  # fmt: skip


def frame(found: Sequence[Answered]) -> pd.DataFrame:
    """One row per question, tolerance and method, nothing rounded: medians, and the range in `_min` and `_max`."""
    return pd.DataFrame([_row(answered, rank, it) for answered in found for rank, it in enumerate(answered.entries, 1)])


def csv(found: Sequence[Answered]) -> str:
    """The frame as CSV."""
    return to_csv(frame(found))


def as_json(found: Sequence[Answered]) -> str:
    """Everything that is known, as a list with one object per question and tolerance."""
    return json.dumps([finite_or_null(dataclasses.asdict(answered)) for answered in found], indent=1)


def to_markdown(found: Sequence[Answered]) -> str:
    """A table for each question and tolerance in GitHub's Markdown, what to know below."""
    return "\n\n".join(_markdown(answered) for answered in found) + "\n" if found else "no finished cells\n"


def _row(answered: Answered, rank: int, it: MethodAnswer) -> dict[str, Any]:
    question = answered.question
    row: dict[str, Any] = {
        "problem": question.problem_spec,
        "problem_hash": question.problem_hash,
        "dim": question.dim,
        "estimand": question.estimand,
        "device": question.device,
        "dtype": question.dtype,
        "threads": question.threads,
        "error_name": question.error_name,
        "tolerance": answered.tolerance,
        "by": answered.by,
        "rank": rank if it.state is State.REACHED else None,
        "method": it.key.method,
        "method_hash": it.key.method_hash,
        "library_version": it.key.library_version,
        "run_estimand": it.key.source,
        "state": it.state.value,
        "reason": it.reason,
        "budget": it.budget,
        "repeats": it.repeats,
        "is_random": it.is_random,
        "reference_bound": it.bound,
    }
    for name in _COSTS:
        row |= _spread(name, getattr(it, name))
    row |= _spread("ratio", it.ratio.spread if it.ratio else None)
    low, high = it.ratio.interval if it.ratio and it.ratio.interval else (None, None)
    return row | {
        "ratio_interval_low": low,
        "ratio_interval_high": high,
        "seconds_note": it.seconds_note,
        "peak_budget": it.peak_budget,
        "values": it.values,
        "claims": "; ".join(claim.text for claim in it.claims),
        "cells": " ".join(it.cells),
    }


def _spread(name: str, value: Spread | None) -> dict[str, float | None]:
    if value is None:
        return {name: None, f"{name}_min": None, f"{name}_max": None}
    return {name: value.median, f"{name}_min": value.low, f"{name}_max": value.high}


def _markdown(answered: Answered) -> str:
    question = answered.question
    head = f"**{markdown(question.label)}, within {percent(answered.tolerance)}**, by {BY[answered.by]}. "
    lines = [head + f"Error: {markdown(question.error_sentence)}", ""]
    if answered.reached:
        heads = ("Method", "Products", "Gradient-equivalents", "Build", "Own time", "Total", "Ratio", "Peak", "Error")
        lines += [_cells(heads), _cells([":---", *["---:"] * (len(heads) - 1)])]
    for it in answered.reached:
        lines.append(_cells([markdown(it.method), *map(markdown, _numbers(it))]))
    if answered.reached:
        lines.append("")
    notes = [f"{it.method}: {'; '.join(details(it))}" for it in answered.reached if details(it)]
    notes += [f"{it.state.value}: {shortfall(it)}" for it in answered.entries if it.state is not State.REACHED]
    if answered.trivial is not None:
        within = "within" if answered.trivial.is_within else "nearer than every method"
        notes.append(f"{answered.trivial.what}, which takes no product: {percent(answered.trivial.error)}, {within}")
    return "\n".join([*lines, *(f"- {markdown(note)}" for note in (*notes, *answered.remarks))])


def _numbers(it: MethodAnswer) -> list[str]:
    return [
        units.median_text(it.products, units.count),
        units.median_text(it.gradient_equivalents, units.count),
        units.median_text(it.build_s, units.seconds),
        units.median_text(it.wall_s, units.seconds),
        units.median_text(it.seconds, units.seconds),
        units.median_text(it.ratio.spread if it.ratio else None, units.ratio),
        units.median_text(it.peak_bytes, units.size),
        error_text(it),
    ]


def _cells(texts: Sequence[str]) -> str:
    return f"| {' | '.join(texts)} |"
