"""The cost table, and what was predicted against what was measured, in a terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Generic

from rich.console import Console

from hessbench.ledger.record import Record, Status
from hessbench.reports.costs.engines import mixed_engines
from hessbench.reports.costs.gradients import PriceInGradients, unit_prices
from hessbench.reports.costs.lines import CostLine, lines
from hessbench.reports.costs.tables import error_sentences, status_text
from hessbench.reports.scale.checks import Check, checks
from hessbench.reports.scale.table import sizes
from hessbench.reports.writing import units
from hessbench.reports.writing.escaping import clean
from hessbench.reports.writing.sheets import Row
from hessbench.reports.writing.terminal import print_table


@dataclass(frozen=True)
class _Column(Generic[Row]):
    """Head of a column, whether it holds numbers, and what it says of a row."""

    head: str
    is_number: bool
    write: Callable[[Row], str]


def print_ledger(records: Sequence[Record], console: Console, prices: Iterable[Mapping[str, Any]] = ()) -> None:
    """Print one line per problem, estimand and method, at the largest budget.

    Where cells of one problem ran with different engines, a sentence says so. Where runs were made at several sizes,
    what was predicted for the largest follows, against what was measured.
    In a terminal tables of its width, a narrow one with a heading for each problem and estimand; elsewhere plain text,
    one line each.

    Args:
        records: Rows of a ledger.
        console: Where to print.
        prices: Price rows of a ledger, without which no time is predicted but from the runs' own products, and no
            product is compared with a gradient.
    """
    prices = list(prices)
    made = lines(records, prices)
    if not made:
        console.out("no finished cells", highlight=False)
        return
    _print(console, _COLUMNS, made, lambda line: set(line.statuses) == {Status.OK.value}, leads=2)
    for says in error_sentences(made):
        _say(console, f"error of {clean(says)}")
    for says in mixed_engines(records).values():
        console.out(f"wall: {clean(says)}", highlight=False)
    priced = unit_prices(records, prices)
    if any(price.measured for price in priced):
        console.out("\nProducts in gradients of their problem, one column", highlight=False)
        _print(console, _UNIT_COLUMNS, priced, lambda price: price.measured is not None, leads=1)
    compared = checks(records, prices)
    if compared:
        console.out("\nPredicted against measured, the largest size from smaller ones only", highlight=False)
        _print(console, _SCALE_COLUMNS, compared, lambda check: check.measured_s is not None, leads=2)
        for reason in dict.fromkeys(check.reasons.get("predicted_s", "") for check in compared):
            if reason:
                console.out(f"predicted: {clean(reason)}", highlight=False)


def _say(console: Console, sentence: str) -> None:
    """A sentence, on as many lines as a terminal needs for it and on one line elsewhere."""
    if console.is_terminal:
        console.print(sentence, markup=False, highlight=False)
    else:
        console.out(sentence, highlight=False)


def _print(
    console: Console, columns: Sequence[_Column[Row]], rows: Sequence[Row], is_fine: Callable[[Row], bool], leads: int
) -> None:
    """Print a table, in a narrow terminal with headings for its first columns, `leads` of them."""
    texts = [[clean(column.write(row)) for column in columns] for row in rows]
    if not console.is_terminal:
        console.out(_plain(columns, texts), highlight=False)
        return
    print_table(
        console,
        [column.head for column in columns],
        texts,
        numbers=[place for place, column in enumerate(columns) if column.is_number],
        leads=leads,
        styles=["" if is_fine(row) else "yellow" for row in rows],
    )


def _plain(columns: Sequence[_Column[Row]], rows: Sequence[Sequence[str]]) -> str:
    """Aligned columns, two spaces between them."""
    heads = [column.head for column in columns]
    widths = [max(len(row[place]) for row in (heads, *rows)) for place in range(len(heads))]
    aligned = [
        [
            cell.rjust(width) if column.is_number else cell.ljust(width)
            for cell, width, column in zip(row, widths, columns, strict=True)
        ]
        for row in (heads, *rows)
    ]
    return "\n".join("  ".join(row).rstrip() for row in aligned)


def _error(line: CostLine) -> str:
    text = units.median_text(line.error, units.error)
    if line.is_at_bound and line.bound:
        return f"\N{LESS-THAN OR EQUAL TO}{units.error(line.bound)}{' useless' if line.is_useless else ''}"
    return text


def _peak(line: CostLine) -> str:
    peak = line.device_peak_bytes if line.key.device != "cpu" else line.host_peak_bytes
    return units.DASH if peak is None else units.size(peak)


def _or_dash(value: float | None, write: Callable[[float], str]) -> str:
    return units.DASH if value is None else write(value)


_COLUMNS: Final[tuple[_Column[CostLine], ...]] = (
    _Column("problem", False, lambda line: line.problem),
    _Column("estimand", False, lambda line: line.key.estimand),
    _Column("method", False, lambda line: line.method),
    _Column("matvecs", True, lambda line: units.median_text(line.matvecs, units.count)),
    _Column("calls", True, lambda line: units.median_text(line.calls, units.count)),
    _Column("grad-eq", True, lambda line: units.median_text(line.gradient_equivalents, units.count)),
    _Column("wall", True, lambda line: units.median_text(line.wall_s, units.seconds)),
    _Column("peak", True, _peak),
    _Column("error", True, _error),
    _Column("status", False, status_text),
)

_UNIT_COLUMNS: Final[tuple[_Column[PriceInGradients], ...]] = (
    _Column("problem", False, lambda price: price.problem),
    _Column("product", False, lambda price: price.kind),
    _Column("nominal", True, lambda price: _or_dash(price.nominal, "{:.2f}".format)),
    _Column("measured", True, lambda price: units.median_text(price.measured, "{:.2f}".format)),
    _Column("in the runs", True, lambda price: units.median_text(price.in_runs, "{:.2f}".format)),
)

_SCALE_COLUMNS: Final[tuple[_Column[Check], ...]] = (
    _Column("family", False, lambda check: check.family.name),
    _Column(
        "method", False, lambda check: f"{check.line.method}, {check.line.key.estimand}, budget {check.line.budget:,}"
    ),
    _Column("P", True, lambda check: f"{check.line.dim:,}"),
    _Column("time pred.", True, lambda check: _or_dash(check.prediction.seconds, units.seconds)),
    _Column("measured", True, lambda check: units.median_text(check.measured_s, units.seconds)),
    _Column("ratio", True, lambda check: _or_dash(check.time_ratio, units.ratio)),
    _Column("mem. pred.", True, lambda check: _or_dash(check.prediction.memory_bytes, units.size)),
    _Column("measured", True, lambda check: _or_dash(check.measured_bytes, units.size)),
    _Column("ratio", True, lambda check: _or_dash(check.memory_ratio, units.ratio)),
    _Column("error", True, lambda check: _error(check.line)),
    _Column("from", False, lambda check: sizes(check.price_dims) if check.price_dims else units.DASH),
)
