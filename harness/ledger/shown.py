"""A ledger as a notebook and a prompt show it: how many cells, and a line for each method, never every row."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from html import escape
from typing import Final

from hessbench.ledger.grouping import Answer, timed_or_all
from hessbench.ledger.record import Kind, Record, Status
from hessbench.ledger.spreads import median

MOST_LINES: Final = 60
"""Lines of the table; a note says how many more there are."""

_HEADS: Final = ("problem", "estimand", "method", "cells", "num_matvecs", "error", "seconds", "status")


def headline(records: Sequence[Record]) -> str:
    """One line: cells by how they ended, and what they are of."""
    terminals = [record for record in records if record.kind is Kind.TERMINAL]
    ended = Counter(record.status for record in terminals)
    statuses = ", ".join(f"{ended[status]} {status}" for status in Status if ended[status])
    of = (
        f"{len(found)} {word}{'s' if len(found) != 1 else ''}"
        for word, found in (
            ("problem", {record.problem for record in terminals}),
            ("estimand", {record.estimand for record in terminals}),
            ("method", {record.method for record in terminals}),
        )
    )
    if not terminals:
        return "Ledger without a finished cell"
    return f"Ledger of {len(terminals)} cells ({statuses}): {', '.join(of)}; {len(records)} rows in to_frame()"


def html(records: Sequence[Record]) -> str:
    """The headline, and a table with the medians of each method at its largest budget."""
    lines = [_line(found) for found in timed_or_all(records).values()]
    heads = "".join(f"<th>{head}</th>" for head in _HEADS)
    rows = "".join(f"<tr>{''.join(f'<td>{escape(text)}</td>' for text in line)}</tr>" for line in lines[:MOST_LINES])
    table = f"<table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table>" if lines else ""
    more = f"<p>and {len(lines) - MOST_LINES} lines more</p>" if len(lines) > MOST_LINES else ""
    note = "<p>medians over repeats at the largest budget; seconds with the build</p>" if lines else ""
    return f"<div><p>{escape(headline(records))}</p>{table}{more}{note}</div>"


def _line(found: Sequence[Answer]) -> tuple[str, ...]:
    """The texts of a line of the table."""
    key, budget = found[0].key, max(answer.row.budget for answer in found)
    largest = [answer for answer in found if answer.row.budget == budget]
    method = key.method if key.source == key.estimand else f"{key.method} (from its {key.source} run)"
    statuses = Counter(answer.terminal.status for answer in largest)
    return (
        key.problem,
        key.estimand,
        method,
        str(len({answer.terminal.cell for answer in found})),
        f"{budget:,}",
        _short(median(answer.error for answer in largest)),
        _short(median(answer.seconds for answer in largest)),
        ", ".join(status if len(statuses) == 1 else f"{count} {status}" for status, count in sorted(statuses.items())),
    )


def _short(number: float | None) -> str:
    return "-" if number is None else f"{number:.2g}"
