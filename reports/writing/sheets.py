"""A table as it is read: cells with small print and notes, written as Markdown, LaTeX and CSV, and handed to the page.

A missing value is a dash with a note below the table that says why.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, Generic, TypeVar

import pandas as pd

from hessbench.ledger.spreads import Spread as Spread
from hessbench.ledger.spreads import spread as spread
from hessbench.reports.writing import units
from hessbench.reports.writing.escaping import clean, csv_text, latex, markdown

Row = TypeVar("Row")

_PACKAGE: Final = r"% needs \usepackage{booktabs}"
_POWER: Final = re.compile(r"(?<![\w.])(\d\.\d+)e([+-]\d\d+)(?!\w)")


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
class Column(Generic[Row]):
    """A column of a table of rows: `field` names the reason that stands in for a missing value."""

    field: str
    header: str
    unit: str
    show: Callable[[Row], Shown]
    is_number: bool = True


@dataclass(frozen=True)
class Sheet:
    """The table as it is read: cells by row, and the notes that the cells refer to, from 1."""

    columns: tuple[Column[Any], ...]
    rows: tuple[tuple[Shown, ...], ...]
    notes: tuple[str, ...] = field(default=())


def lay_out(
    columns: tuple[Column[Row], ...], rows: Sequence[Row], reasons: Callable[[Row], Mapping[str, str]]
) -> Sheet:
    """Show every row in every column and collect the notes, equal ones once, in the order they are met."""
    notes: dict[str, int] = {}
    shown_rows: list[tuple[Shown, ...]] = []
    for row in rows:
        known = reasons(row)
        cells: list[Shown] = []
        for column in columns:
            shown = column.show(row)
            reason = clean(known.get(column.field, ""))
            note = notes.setdefault(reason, len(notes) + 1) if reason else 0
            cells.append(Shown(shown.text, shown.detail, shown.badge, shown.sort, note))
        shown_rows.append(tuple(cells))
    return Sheet(columns, tuple(shown_rows), tuple(notes))


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
    """Write the table as a LaTeX `tabular` with the rules of `booktabs`, notes below."""
    spec = "".join("r" if column.is_number else "l" for column in laid_out.columns)
    heads = " & ".join(latex(_head(column)) for column in laid_out.columns)
    rows = [
        " & ".join(_in_latex(cell) + (f"$^{{{cell.note}}}$" if cell.note else "") for cell in row) + r" \\"
        for row in laid_out.rows
    ]
    notes = [rf"\par $^{{{number}}}$ {latex(note)}" for number, note in enumerate(laid_out.notes, 1)]
    head = [_PACKAGE, rf"\begin{{tabular}}{{{spec}}}", r"\toprule", heads + r" \\", r"\midrule"]
    return "\n".join([*head, *rows, r"\bottomrule", r"\end{tabular}", *notes, ""])


def choose(laid_out: Sheet, fields: Sequence[str]) -> Sheet:
    """The table with these columns alone, in this order, and the notes that are left.

    Raises:
        ValueError: If there is no such column, or one is asked twice.
    """
    places = {column.field: place for place, column in enumerate(laid_out.columns)}
    unknown = [name for name in fields if name not in places]
    if unknown or not fields or len(set(fields)) < len(fields):
        raise ValueError(f"columns must be some of {', '.join(places)}, each once, got {', '.join(fields) or 'none'}")
    kept = [places[name] for name in fields]
    rows = [[row[place] for place in kept] for row in laid_out.rows]
    numbers = dict.fromkeys(cell.note for row in rows for cell in row if cell.note)
    again = {number: place for place, number in enumerate(numbers, 1)} | {0: 0}
    return Sheet(
        tuple(laid_out.columns[place] for place in kept),
        tuple(tuple(replace(cell, note=again[cell.note]) for cell in row) for row in rows),
        tuple(laid_out.notes[number - 1] for number in numbers),
    )


def range_text(value: Spread, write: Callable[[float], str]) -> str:
    """Least to most, where they differ in print."""
    low, high = write(value.low), write(value.high)
    return "" if low == high else f"{low} to {high}"


def spread_cell(value: Spread | None, write: Callable[[float], str], badge: str = "") -> Shown:
    """The median, with the range in small print; a dash for None."""
    if value is None:
        return Shown(units.DASH)
    return Shown(write(value.median), range_text(value, write), badge, value.median)


def single_cell(value: float | None, write: Callable[[float], str], detail: str = "") -> Shown:
    """One number; a dash for None."""
    return Shown(units.DASH, detail) if value is None else Shown(write(value), detail, sort=value)


def _head(column: Column[Any]) -> str:
    return f"{column.header} [{column.unit}]" if column.unit else column.header


def _in_latex(cell: Shown) -> str:
    """The cell with powers of ten as they are printed."""
    return _POWER.sub(lambda it: rf"${it[1]} \times 10^{{{int(it[2])}}}$", latex(_plain(cell)))


def _plain(cell: Shown) -> str:
    detail = f" ({cell.detail})" if cell.detail else ""
    badge = f", {cell.badge}" if cell.badge else ""
    return f"{cell.text}{detail}{badge}"
