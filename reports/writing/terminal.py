"""Tables for a terminal of any width: no word, name or number is broken, and a narrow one gets headings for columns."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Sequence
from itertools import zip_longest
from typing import Final

from rich.console import Console
from rich.text import Text

# Where a text may go on in the next line: after a space; else inside a spec; else inside a long name.
_BREAKS: Final = (r"(?<=\s)", r"(?<=[\[,;])", r"(?<==)|(?<=[a-z]-)(?=[a-z])")
_GAP: Final = 2


def table_console(wide: int = 160) -> Console:
    """The standard output: as wide as its terminal or COLUMNS says, and `wide` where nothing says."""
    console = Console()
    return console if console.is_terminal or "COLUMNS" in os.environ else Console(width=wide)


def print_table(
    console: Console,
    heads: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    numbers: Collection[int] = (),
    leads: int = 0,
    styles: Sequence[str] = (),
) -> None:
    """Print a table within the width of a console.

    Where it does not fit as it is, the columns that lead it become headings above the rows that share them, and texts
    go on in the next line at a space, or inside a spec after a bracket or a comma. Numbers are never broken.

    Args:
        console: Where to print.
        heads: Heads of the columns; all empty for a table without a header.
        rows: A text for each column, in each row.
        numbers: Places of the columns that hold numbers, which stand to the right.
        leads: Number of first columns that may become headings.
        styles: Style of each row; plain where there are none.
    """
    # Text, not markup: the brackets of a spec are not a style.
    for style, line in table_lines(heads, rows, console.width, numbers=numbers, leads=leads, styles=styles):
        console.print(Text(line, style=style), soft_wrap=True)


def table_lines(
    heads: Sequence[str],
    rows: Sequence[Sequence[str]],
    width: int,
    *,
    numbers: Collection[int] = (),
    leads: int = 0,
    styles: Sequence[str] = (),
) -> list[tuple[str, str]]:
    """Lines of a table, each with its style; see `print_table`.

    Args:
        heads: Heads of the columns.
        rows: A text for each column, in each row.
        width: Most characters in a line; exceeded only where numbers and single words alone are wider.
        numbers: Places of the columns that hold numbers.
        leads: Number of first columns that may become headings.
        styles: Style of each row.
    """
    natural = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
    if sum(natural) + _GAP * (len(heads) - 1) <= width:
        leads = 0
    headings = [", ".join(row[:leads]) for row in rows]
    rest = [row[leads:] for row in rows]
    right = {place - leads for place in numbers}
    widths, gap = _fitted(heads[leads:], rest, width, right)
    lines = [("bold", line) for line in _laid(heads[leads:], widths, gap, right)] if any(heads) else []
    before = ""
    for heading, row, style in zip_longest(headings, rest, styles or [""] * len(rows)):
        if heading != before:
            lines += [("", ""), *(("bold", line) for line in wrap(heading, width))]
            before = heading
        lines += [(style, line) for line in _laid(row, widths, gap, right)]
    return lines


def wrap(text: str, width: int) -> list[str]:
    """Break a text into lines of a width, at spaces first; a single word or number that is wider stays whole."""
    return [line.rstrip() for line in _wrapped(text, width, 0)]


def _wrapped(text: str, width: int, level: int) -> list[str]:
    if len(text.rstrip()) <= width or level == len(_BREAKS):
        return [text]
    lines: list[str] = []
    current = ""
    for piece in re.split(_BREAKS[level], text):
        if len((current + piece).rstrip()) <= width:
            current += piece
            continue
        *whole, last = _wrapped(piece, width, level + 1)
        lines += [current, *whole] if current else whole
        current = last
    return [*lines, current]


def _fitted(
    heads: Sequence[str], rows: Sequence[Sequence[str]], width: int, right: Collection[int]
) -> tuple[list[int], int]:
    """Widths of the columns and the gap between them: the widest text gives way first, down to its longest word."""
    columns = list(zip(*rows, strict=True)) or [()] * len(heads)
    longest = [
        max(map(len, column) if place in right else map(_longest, column), default=0)
        for place, column in enumerate(columns)
    ]
    least = [max(_longest_word(head), size) for head, size in zip(heads, longest, strict=True)]
    widths = [
        size if place in right else max(len(head), *map(len, column), size)
        for place, (head, column, size) in enumerate(zip(heads, columns, least, strict=True))
    ]
    gap = _GAP if sum(least) + _GAP * (len(heads) - 1) <= width else 1
    while sum(widths) + gap * (len(heads) - 1) > width:
        loose = [place for place in range(len(widths)) if widths[place] > least[place]]
        if not loose:
            break
        widths[max(loose, key=lambda place: widths[place])] -= 1
    return widths, gap


def _longest(text: str) -> int:
    """Length of the longest piece that is never broken."""
    pieces = [text]
    for pattern in _BREAKS:
        pieces = [part for piece in pieces for part in re.split(pattern, piece)]
    return max(len(piece.rstrip()) for piece in pieces)


def _longest_word(head: str) -> int:
    return max(map(len, head.split()), default=0)


def _laid(row: Sequence[str], widths: Sequence[int], gap: int, right: Collection[int]) -> list[str]:
    """Lines of one row."""
    wrapped = [wrap(cell, width) for cell, width in zip(row, widths, strict=True)]
    return [
        (" " * gap).join(
            part.rjust(width) if place in right else part.ljust(width)
            for place, (part, width) in enumerate(zip(parts, widths, strict=True))
        ).rstrip()
        for parts in zip_longest(*wrapped, fillvalue="")
    ]  # fmt: skip
