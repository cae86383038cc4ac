"""Cells of one problem that ran with different engines are marked wherever their times stand side by side."""

import io
import re

import pytest
from rich.console import Console

from hessbench.ledger.reading import Ledger
from hessbench.reports.console import print_ledger
from hessbench.reports.costs.engines import mixed_engines
from hessbench.reports.costs.lines import lines
from hessbench.reports.costs.tables import frame
from hessbench.reports.page import render_report

SAYS = (
    "cells of mlp-digits[width=32] ran with different engines (rules in 3, kept-graph in 1): times and last digits do "
    "not compare between them"
)


@pytest.fixture
def mixed(builder):
    """Four cells of a network, one with another engine, and as many of a matrix, all with one."""
    for method in ("lanczos", "hutchinson"):
        for repeat in range(2):
            engine = "kept-graph: auto" if method == "lanczos" and repeat else "rules (auto), folded"
            builder.cell("mlp-digits[width=32]", method, repeat=repeat, engine=engine)
            builder.cell(method=method, repeat=repeat, engine="dense, folded" if repeat else "dense")
    return builder


def test_one_sentence_for_each_problem_with_several_engines(mixed):
    assert list(mixed_engines(mixed.rows).values()) == [SAYS]


def test_engines_under_other_conditions_or_none_at_all_do_not_mix(builder):
    builder.cell("mlp-digits[width=32]", engine="rules")
    builder.cell("mlp-digits[width=32]", engine="kept-graph", dtype="float64")
    builder.cell("mlp-digits[width=32]", "hutchinson", engine="")
    builder.cell("mlp-digits[width=32]", "heavy-rows", engine="rows: a forward and a backward pass of single samples")
    assert not mixed_engines(builder.rows)


def test_both_lines_of_the_pair_are_marked_and_no_other(mixed):
    marked = {(line.problem, line.method): line.reasons.get("wall_s", "") for line in lines(mixed.rows)}
    assert {pair for pair, says in marked.items() if SAYS in says} == {
        ("mlp-digits[width=32]", "lanczos"),
        ("mlp-digits[width=32]", "hutchinson"),
    }
    assert any(SAYS in note for note in frame(lines(mixed.rows))["notes"])


def test_what_else_is_to_know_of_a_time_is_kept(mixed):
    for repeat in range(2, 4):
        mixed.cell("mlp-digits[width=32]", "power-iteration", repeat=repeat, engine="rules", contended=True)
    says = {line.method: line.reasons.get("wall_s", "") for line in lines(mixed.rows)}["power-iteration"]
    assert says.startswith("timed while other work ran on the machine; cells of mlp-digits[width=32] ran with")


def test_the_page_has_a_footnote_and_the_console_a_line(mixed, tmp_path):
    page = render_report(Ledger(tuple(mixed.rows)), tmp_path / "report", "hessbench report").read_text()
    # Each marked cell leads to the one note below the table of its section.
    note = re.search(rf'<li id="(n1-\d+)">{re.escape(SAYS)}</li>', page)
    assert note is not None
    assert f'href="#{note[1]}"' in page
    file = io.StringIO()
    print_ledger(mixed.rows, Console(file=file, width=120))
    assert file.getvalue().count(f"wall: {SAYS}\n") == 1
