"""The table in a terminal and in a pipe."""

import io
import re

import pytest
from rich.console import Console

from hessbench.reports.console import print_ledger


def _print(rows, *, terminal, width=120, prices=()):
    file = io.StringIO()
    console = Console(file=file, force_terminal=terminal, width=width, no_color=True, highlight=False)
    print_ledger(rows, console, prices)
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
    rows, told = rows[:11], rows[11:]
    assert [line.partition(":")[0] for line in told] == ["error of density", "error of trace"]
    assert any("student-t[n=1000,zero_fraction=0.9]" in row and "≤1.0e-06" in row for row in rows)


@pytest.mark.parametrize("terminal", [True, False])
def test_names_are_neither_markup_nor_control_codes(builder, terminal):
    builder.cell("p[bold red]", "m\x1b[2J[/]", "trace")
    text = _print(builder.rows, terminal=terminal)
    assert "[bold" in text
    assert "\x1b[2J" not in text


def test_an_empty_ledger_says_so():
    assert _print([], terminal=False) == "no finished cells\n"


def _at_three_sizes(builder, family="student-t", method="lanczos"):
    for n in (10**4, 10**5, 10**6):
        known = {"dim": n, "budgets": (20,), "wall_s": n * 540e-9, "operator_s": n * 300e-9}
        builder.cell(f"{family}[n={n}]", method, counts={"product": 20}, **known)
    return builder.rows


def _second_table(text):
    return text.partition("Predicted against measured, the largest size from smaller ones only\n")[2]


def test_runs_at_several_sizes_are_compared_below(builder, make_price):
    prices = [make_price(n, n * 1e-8) for n in (10**4, 10**5, 10**6)]
    head, row = _second_table(_print(_at_three_sizes(builder), terminal=False, prices=prices)).splitlines()
    assert head.split("  ")[0] == "family"
    assert row.split() == [
        *(
            "student-t[n=*]",
            "lanczos,",
            "trace,",
            "budget",
            "20",
            "1,000,000",
            "360",
            "ms",
            "540",
            "ms",
            "1.50\N{MULTIPLICATION SIGN}",
        ),
        *("76.3", "MiB", "\N{EN DASH}", "\N{EN DASH}", "5.0e-02", "10,000", "and", "100,000"),
    ]


def test_a_prediction_that_cannot_be_made_says_why(builder):
    table = _second_table(_print(_at_three_sizes(builder), terminal=False))
    assert "predicted: no bandwidth was measured on cpu, float32, 2 threads\n" in table


def test_the_comparison_fits_a_terminal_of_120_columns(builder, make_price):
    rows = _at_three_sizes(builder, "mlp-with-a-long-name", "a-method-with-a-long-name[and=parameters,of=its-own]")
    prices = [make_price(n, n * 1e-8, problem="mlp-with-a-long-name") for n in (10**4, 10**5)]
    table = _second_table(_print(rows, terminal=True, prices=prices))
    assert max(len(re.sub(r"\x1b\[[0-9;]*m", "", line)) for line in table.splitlines()) <= 120
    for word in ("1,000,000", "360 ms", "540 ms", "1.50\N{MULTIPLICATION SIGN}", "76.3 MiB"):
        assert word in table


def test_one_size_prints_no_comparison(ledger):
    assert "Predicted against measured" not in _print(ledger.records, terminal=False, prices=ledger.prices)


@pytest.mark.parametrize("terminal", [True, False])
def test_names_in_the_comparison_are_neither_markup_nor_control_codes(builder, terminal):
    table = _second_table(_print(_at_three_sizes(builder, "p\x1b[2J", "m\x1b[2J[/red]"), terminal=terminal))
    assert "\x1b[2J" not in table
    assert "[/red]" in table.replace("\n", "") or terminal
