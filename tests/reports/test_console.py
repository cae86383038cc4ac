"""The table in a terminal and in a pipe."""

import io
import re

import pytest
from rich.console import Console

from hessbench.reports.console import print_ledger


def _print(rows, *, terminal, width=120):
    file = io.StringIO()
    print_ledger(rows, Console(file=file, force_terminal=terminal, width=width, no_color=True, highlight=False))
    return file.getvalue()


def test_a_terminal_gets_numbers_that_are_not_cut_in_120_columns(ledger):
    text = _print(ledger.records, terminal=True)
    assert max(len(re.sub(r"\x1b\[[0-9;]*m", "", line)) for line in text.splitlines()) <= 120
    for word in ("matvecs", "grad-eq", "176 ms", "3.00 MiB", "timeout"):
        assert word in text
    assert "…" not in text


def test_a_pipe_gets_plain_lines_with_nothing_cut(ledger):
    text = _print(ledger.records, terminal=False, width=40)
    assert "\x1b" not in text
    head, *rows = text.splitlines()
    assert head.split() == [
        "problem",
        "estimand",
        "method",
        "matvecs",
        "calls",
        "grad-eq",
        "wall",
        "peak",
        "error",
        "status",
    ]
    assert len(rows) == 11
    assert any("student-t[n=1000,zero_fraction=0.9]" in row and "≤1.0e-06" in row for row in rows)


@pytest.mark.parametrize("terminal", [True, False])
def test_names_are_neither_markup_nor_control_codes(builder, terminal):
    builder.cell("p[bold red]", "m\x1b[2J[/]", "trace")
    text = _print(builder.rows, terminal=terminal)
    assert "[bold" in text
    assert "\x1b[2J" not in text


def test_an_empty_ledger_says_so():
    assert _print([], terminal=False) == "no finished cells\n"
