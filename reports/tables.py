"""The cost table: one list of columns, written as a frame, Markdown, LaTeX and CSV, and handed to the page.

A missing value is a dash with a note below the table that says why.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import pandas as pd

from hessbench.record import SCHEMA
from hessbench.reports import units
from hessbench.reports.answers import Key
from hessbench.reports.escaping import clean, csv_text, latex, markdown
from hessbench.reports.lines import Line, Spread
from hessbench.reports.predict import PREDICTED_DIM


@dataclass(frozen=True)
class Shown:
    """A cell as it is read.

    Attributes:
        text: The value, or a dash.
        detail: Second line, in small print.
        badge: A short mark beside the value.
        sort: What the page sorts by; None sorts last.
        note: Number of the note below the table; 0 when there is none.
    """

    text: str
    detail: str = ""
    badge: str = ""
    sort: float | None = None
    note: int = 0


@dataclass(frozen=True)
class Column:
    """A column of the cost table: `field` names the reason that stands in for a missing value."""

    field: str
    header: str
    unit: str
    show: Callable[[Line], Shown]
    is_number: bool = True


@dataclass(frozen=True)
class Sheet:
    """The table as it is read: a row of cells per line, and the notes that its cells refer to, from 1."""

    columns: tuple[Column, ...]
    rows: tuple[tuple[Shown, ...], ...]
    notes: tuple[str, ...] = field(default=())


def sheet(lines: Sequence[Line]) -> Sheet:
    """Lay out the lines and collect the notes, equal ones once, in the order they are met."""
    notes: dict[str, int] = {}
    rows: list[tuple[Shown, ...]] = []
    for line in lines:
        cells: list[Shown] = []
        for column in COLUMNS:
            shown = column.show(line)
            reason = clean(line.reasons.get(column.field, ""))
            note = notes.setdefault(reason, len(notes) + 1) if reason else 0
            cells.append(Shown(shown.text, shown.detail, shown.badge, shown.sort, note))
        rows.append(tuple(cells))
    return Sheet(COLUMNS, tuple(rows), tuple(notes))


def frame(lines: Sequence[Line]) -> pd.DataFrame:
    """The cost table as numbers, one row per line: seconds, bytes and products, nothing rounded."""
    return pd.DataFrame([_numbers(line) for line in lines])


def repeats_frame(lines: Sequence[Line]) -> pd.DataFrame:
    """What the lines were made from: one row per repeat, at the budget of its line."""
    return pd.DataFrame(
        [
            {
                "problem": line.key.problem,
                "problem_hash": line.key.problem_hash,
                **_asked(line.key),
                "budget": line.budget,
                "repeat": answer.terminal.repeat,
                "pass": answer.terminal.pass_,
                "cell": answer.terminal.cell,
                "status": answer.terminal.status.value,
                "matvecs": answer.terminal.matvecs,
                "calls": answer.terminal.calls,
                "gradient_equivalents": answer.terminal.gradient_equivalents,
                "build_s": answer.build_s,
                "wall_s": answer.wall_s,
                "operator_s": answer.terminal.operator_s,
                "error": answer.error,
                "reference_bound": answer.row.reference_bound,
                "reference_source": answer.row.reference_source,
                "contended": answer.terminal.contended,
            }
            for line in lines
            for answer in line.answers
        ]
    )


def to_csv(table: pd.DataFrame) -> str:
    """Write a frame as CSV; no text cell can be taken for a formula."""
    return table.map(lambda cell: csv_text(cell) if isinstance(cell, str) else cell).to_csv(
        index=False, lineterminator="\n"
    )


def to_markdown(laid_out: Sheet) -> str:
    """Write the table in GitHub's Markdown, notes below."""
    heads = [markdown(_head(column)) for column in laid_out.columns]
    rules = ["---:" if column.is_number else ":---" for column in laid_out.columns]
    rows = [
        [markdown(_plain(cell)) + (f" <sup>{cell.note}</sup>" if cell.note else "") for cell in row]
        for row in laid_out.rows
    ]
    written = ["| " + " | ".join(row) + " |" for row in (heads, rules, *rows)]
    notes = [f"{number}. {markdown(note)}" for number, note in enumerate(laid_out.notes, 1)]
    return "\n".join([*written, "", *notes, ""] if notes else [*written, ""])


def to_latex(laid_out: Sheet) -> str:
    """Write the table as a LaTeX `tabular` that needs no package, notes below."""
    spec = "".join("r" if column.is_number else "l" for column in laid_out.columns)
    heads = " & ".join(latex(_head(column)) for column in laid_out.columns)
    rows = [
        " & ".join(latex(_plain(cell)) + (f"$^{{{cell.note}}}$" if cell.note else "") for cell in row) + r" \\"
        for row in laid_out.rows
    ]
    notes = [rf"\par $^{{{number}}}$ {latex(note)}" for number, note in enumerate(laid_out.notes, 1)]
    body = [rf"\begin{{tabular}}{{{spec}}}", r"\hline", heads + r" \\", r"\hline", *rows, r"\hline", r"\end{tabular}"]
    return "\n".join([*body, *notes, ""])


def range_text(value: Spread, write: Callable[[float], str]) -> str:
    """Least to most, where they differ in print."""
    low, high = write(value.low), write(value.high)
    return "" if low == high else f"{low} to {high}"


def status_text(line: Line) -> str:
    """How the cells of a line ended: `ok`, or how many ended how."""
    if len(line.statuses) == 1:
        return next(iter(line.statuses))
    return ", ".join(f"{number} {status}" for status, number in line.statuses.items())


def _head(column: Column) -> str:
    return f"{column.header} [{column.unit}]" if column.unit else column.header


def _plain(cell: Shown) -> str:
    detail = f" ({cell.detail})" if cell.detail else ""
    badge = f", {cell.badge}" if cell.badge else ""
    return f"{cell.text}{detail}{badge}"


def _spread(value: Spread | None, write: Callable[[float], str], badge: str = "") -> Shown:
    if value is None:
        return Shown(units.DASH)
    return Shown(write(value.median), range_text(value, write), badge, value.median)


def _single(value: float | None, write: Callable[[float], str]) -> Shown:
    return Shown(units.DASH) if value is None else Shown(write(value), sort=value)


def _problem(line: Line) -> Shown:
    threads = f"{line.key.threads} thread{'s' * (line.key.threads != 1)}"
    return Shown(line.problem, f"n = {line.dim:,}, {line.key.device}, {line.key.dtype}, {threads}")


def _method(line: Line) -> Shown:
    number = len(line.answers)
    return Shown(line.method, f"budget {line.budget:,}, {number} repeat{'s' * (number != 1)}")


def _bound(line: Line) -> Shown:
    if line.bound is None:
        return Shown(units.DASH, line.bound_source)
    return Shown(units.error(line.bound), line.bound_source, sort=line.bound)


def _error(line: Line) -> Shown:
    return _spread(line.error, units.error, "at the bound" if line.is_at_bound else "")


def _predicted_time(line: Line) -> Shown:
    said = line.prediction
    parts = [
        f"{name} {units.seconds(value)}"
        for name, value in (("products", said.products_s), ("own", said.own_s))
        if value is not None
    ]
    if said.seconds is None:
        return Shown(units.DASH, f"{parts[0]} alone" if parts else "")
    return Shown(units.seconds(said.seconds), ", ".join(parts), sort=said.seconds)


def _numbers(line: Line) -> dict[str, Any]:
    row: dict[str, Any] = {
        "schema": SCHEMA,
        "problem": line.key.problem,
        "problem_hash": line.key.problem_hash,
        "dim": line.dim,
        **_asked(line.key),
        "budget": line.budget,
        "repeats": len(line.answers),
        "status": status_text(line),
    }
    for name in ("matvecs", "calls", "gradient_equivalents", "wall_s", "build_s", "operator_s", "error"):
        value: Spread | None = getattr(line, name)
        row[name] = None if value is None else value.median
        row[f"{name}_min"] = None if value is None else value.low
        row[f"{name}_max"] = None if value is None else value.high
    return row | {
        "repeats_with_error": 0 if line.error is None else line.error.number,
        "reference_bound": line.bound,
        "reference_source": line.bound_source,
        "at_bound": line.is_at_bound,
        "host_peak_bytes": line.host_peak_bytes,
        "device_peak_bytes": line.device_peak_bytes,
        "flops": line.flops,
        "predicted_dim": PREDICTED_DIM,
        "predicted_products_s": line.prediction.products_s,
        "predicted_own_s": line.prediction.own_s,
        "predicted_s": line.prediction.seconds,
        "predicted_bytes": line.prediction.memory_bytes,
        "notes": "; ".join(f"{name}: {reason}" for name, reason in sorted(line.reasons.items())),
    }


COLUMNS: Final = (
    Column("problem", "Problem", "", _problem, is_number=False),
    Column("estimand", "Estimand", "", lambda line: Shown(line.key.estimand), is_number=False),
    Column("method", "Method", "", _method, is_number=False),
    Column("matvecs", "Matvecs", "columns", lambda line: _spread(line.matvecs, units.count)),
    Column("calls", "Calls", "blocks", lambda line: _spread(line.calls, units.count)),
    Column(
        "gradient_equivalents",
        "Gradient-equivalents",
        "gradients",
        lambda line: _spread(line.gradient_equivalents, units.count),
    ),
    Column("wall_s", "Wall clock", "median, range", lambda line: _spread(line.wall_s, units.seconds)),
    Column("build_s", "Build", "median, range", lambda line: _spread(line.build_s, units.seconds)),
    Column("host_peak_bytes", "Host peak", "bytes", lambda line: _single(line.host_peak_bytes, units.size)),
    Column("device_peak_bytes", "GPU peak", "bytes", lambda line: _single(line.device_peak_bytes, units.size)),
    Column("error", "Error", "median, range", _error),
    Column("bound", "Reference bound", "source", _bound),
    Column("predicted_s", "Time at P = 10^7", "predicted", _predicted_time),
    Column(
        "predicted_bytes",
        "Memory at P = 10^7",
        "predicted",
        lambda line: _single(line.prediction.memory_bytes, units.size),
    ),
    Column("status", "Status", "cells", lambda line: Shown(status_text(line)), is_number=False),
)
"""The columns of the cost table, in order; `PREDICTED_DIM` is the P of the headers."""


def _asked(key: Key) -> dict[str, str | int]:
    """What was asked of a run, as columns."""
    return {
        "estimand": key.estimand,
        "method": key.method,
        "method_hash": key.method_hash,
        "library_version": key.library_version,
        "run_estimand": key.source,
        "device": key.device,
        "dtype": key.dtype,
        "threads": key.threads,
    }
