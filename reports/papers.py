"""Tables for a paper: chosen columns of each method at its largest budget, or at the smallest within a tolerance."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias, get_args

from hessbench.ledger.answering import MethodAnswer, Question, State, answer
from hessbench.ledger.record import Record
from hessbench.reports.costs.lines import lines
from hessbench.reports.costs.tables import sheet
from hessbench.reports.writing import units
from hessbench.reports.writing.sheets import (
    Column,
    Sheet,
    Shown,
    choose,
    lay_out,
    single_cell,
    spread_cell,
    to_latex,
    to_markdown,
)

PaperFormat: TypeAlias = Literal["latex", "markdown"]
PAPER_FORMATS: Final[tuple[PaperFormat, ...]] = get_args(PaperFormat)
PAPER_COLUMNS: Final = ("problem", "estimand", "method", "budget", "error", "seconds", "matvecs", "peak_bytes")
"""Columns of a table in which none are chosen."""


@dataclass(frozen=True)
class _Row:
    """One method at a tolerance."""

    question: Question
    entry: MethodAnswer

    @property
    def is_reached(self) -> bool:
        return self.entry.state is State.REACHED


def paper_table(
    records: Sequence[Record],
    prices: Iterable[Mapping[str, Any]] = (),
    columns: Sequence[str] = PAPER_COLUMNS,
    within: float | None = None,
    asks: Callable[[str], bool] | None = None,
) -> Sheet:
    """A table with chosen columns.

    Args:
        records: Rows of a ledger.
        prices: Price rows of a ledger, without which nothing is predicted.
        columns: Columns by their fields, in the order wanted; where a tolerance is given, of `WITHIN_COLUMNS`.
        within: Tolerance as a part of one: each method is then at the smallest budget from which on every repeat stays
            within it, best first, and one that does not reach it says so.
        asks: Whether an estimand has lines in the table; every one by default.

    Returns:
        The table, one row per problem, estimand and method.

    Raises:
        ValueError: If a column is not one of them or is asked twice, or the tolerance is not above 0.
    """
    if within is None:
        return choose(
            sheet([line for line in lines(records, prices) if asks is None or asks(line.key.estimand)]), columns
        )
    found = [one for one in answer(records, (within,)) if asks is None or asks(one.question.estimand)]
    rows = [_Row(one.question, entry) for one in found for entry in one.entries]
    return choose(lay_out(WITHIN_COLUMNS, rows, lambda row: {"budget": row.entry.reason}), columns)


def write_paper_table(laid_out: Sheet, format: PaperFormat) -> str:
    """The table as text: LaTeX with the rules of booktabs, or GitHub's Markdown.

    Raises:
        ValueError: If the format is neither.
    """
    if format not in PAPER_FORMATS:
        raise ValueError(f"format must be one of {', '.join(PAPER_FORMATS)}, got {format!r}")
    return to_latex(laid_out) if format == "latex" else to_markdown(laid_out)


def _budget(row: _Row) -> Shown:
    return single_cell(row.entry.budget, units.count) if row.is_reached else Shown(row.entry.state.value)


def _error(row: _Row) -> Shown:
    """The error, of one that did not reach the tolerance the one at its largest budget."""
    shown = spread_cell(row.entry.error, units.share)
    if row.is_reached or row.entry.budget is None or row.entry.error is None:
        return shown
    return Shown(shown.text, f"at {row.entry.budget:,}", sort=shown.sort)


def _ratio(row: _Row) -> Shown:
    return spread_cell(row.entry.ratio.spread if row.is_reached and row.entry.ratio else None, units.ratio)


WITHIN_COLUMNS: Final[tuple[Column[_Row], ...]] = (
    Column("problem", "Problem", "", lambda row: Shown(row.question.problem), is_number=False),
    Column("estimand", "Estimand", "", lambda row: Shown(row.question.estimand), is_number=False),
    Column("method", "Method", "", lambda row: Shown(row.entry.method), is_number=False),
    Column("budget", "Budget", "products", _budget),
    Column("error", "Error", "", _error),
    Column("seconds", "Seconds", "build and wall", lambda row: _cost(row, "seconds", units.seconds)),
    Column("matvecs", "Products", "", lambda row: _cost(row, "products", units.count)),
    Column("peak_bytes", "Peak", "", lambda row: _cost(row, "peak_bytes", units.size)),
    Column("build_s", "Build", "", lambda row: _cost(row, "build_s", units.seconds)),
    Column("wall_s", "Wall clock", "", lambda row: _cost(row, "wall_s", units.seconds)),
    Column(
        "gradient_equivalents", "Gradients", "equivalents", lambda row: _cost(row, "gradient_equivalents", units.count)
    ),
    Column("ratio", "To the best", "", _ratio),
    Column("bound", "Reference bound", "", lambda row: single_cell(row.entry.bound, units.error)),
    Column("repeats", "Repeats", "", lambda row: single_cell(row.entry.repeats, units.count)),
    Column("status", "State", "", lambda row: Shown(row.entry.state.value), is_number=False),
)
"""Columns of a table at a tolerance; those the cost table has too are called as there."""


def _cost(row: _Row, name: str, write: Callable[[float], str]) -> Shown:
    """A cost of one that reached the tolerance; a dash for any other."""
    return spread_cell(getattr(row.entry, name) if row.is_reached else None, write)
