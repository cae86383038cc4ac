"""The cost table in a terminal."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from hessbench.record import Record, Status
from hessbench.reports import units
from hessbench.reports.escaping import clean
from hessbench.reports.lines import Line, Spread, lines
from hessbench.reports.tables import status_text


def print_ledger(records: Sequence[Record], console: Console) -> None:
    """Print one line per problem, estimand and method, at the largest budget.

    In a terminal a table for about 120 columns, in which long names wrap; elsewhere plain text, one line each.
    """
    made = lines(records)
    if not made:
        console.out("no finished cells", highlight=False)
        return
    heads = [head for head, _, _ in _COLUMNS]
    rows = [[clean(write(line)) for _, _, write in _COLUMNS] for line in made]
    if not console.is_terminal:
        console.out(_plain(heads, rows), highlight=False)
        return
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for head, is_number, _ in _COLUMNS:
        table.add_column(head, justify="right" if is_number else "left", no_wrap=is_number, overflow="fold")
    for line, row in zip(made, rows, strict=True):
        colour = "" if set(line.statuses) == {Status.OK.value} else "yellow"
        # Text, not markup: the brackets of a spec are not a style.
        table.add_row(*(Text(cell, style=colour) for cell in row))
    console.print(table)


def _plain(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Aligned columns, two spaces between them."""
    widths = [max(len(row[place]) for row in (heads, *rows)) for place in range(len(heads))]
    aligned = [
        [
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, (_, right, _) in zip(row, widths, _COLUMNS, strict=True)
        ]
        for row in (heads, *rows)
    ]
    return "\n".join("  ".join(row).rstrip() for row in aligned)


def _median(value: Spread | None, write: Callable[[float], str]) -> str:
    return units.DASH if value is None else write(value.median)


def _error(line: Line) -> str:
    text = _median(line.error, units.error)
    return f"\N{LESS-THAN OR EQUAL TO}{units.error(line.bound)}" if line.is_at_bound and line.bound else text


def _peak(line: Line) -> str:
    peak = line.device_peak_bytes if line.key.device != "cpu" else line.host_peak_bytes
    return units.DASH if peak is None else units.size(peak)


_COLUMNS: Final[tuple[tuple[str, bool, Callable[[Line], str]], ...]] = (
    ("problem", False, lambda line: line.problem),
    ("estimand", False, lambda line: line.key.estimand),
    ("method", False, lambda line: line.method),
    ("matvecs", True, lambda line: _median(line.matvecs, units.count)),
    ("calls", True, lambda line: _median(line.calls, units.count)),
    ("grad-eq", True, lambda line: _median(line.gradient_equivalents, units.count)),
    ("wall", True, lambda line: _median(line.wall_s, units.seconds)),
    ("peak", True, _peak),
    ("error", True, _error),
    ("status", False, status_text),
)
