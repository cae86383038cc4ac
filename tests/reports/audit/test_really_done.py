"""Asked, reported, really done."""

import dataclasses

import pytest
from planted_ledgers import repeats, shots

from hessbench.reports.audit.really_done import at_largest, done_frame, done_lines, done_sheet
from hessbench.reports.writing.sheets import to_markdown


def told(rows, said=None, matvecs=None, **diagnostics):
    """The rows with what was asked and reported, and another count of products."""
    return [
        dataclasses.replace(
            row, diagnostics=diagnostics, said_matvecs=said, matvecs=row.matvecs if matvecs is None else matvecs
        )
        for row in rows
    ]


def test_a_library_that_does_three_times_what_it_was_asked():
    rows = told(shots("peer", budgets=(80,)), 48, 72, asked="hutchpp(m=24)", asked_matvecs=24, reported="nit 48")
    (line,) = done_lines(rows)
    assert (line.asked.median, line.reported.median, line.done.median) == (24, 48, 72)
    assert (line.over_asked, line.over_reported) == (3.0, 1.5)
    assert done_frame([line])[["asked", "reported", "done_over_asked"]].values.tolist() == [
        ["hutchpp(m=24)", "nit 48", 3.0]
    ]
    assert "3.00" in to_markdown(done_sheet([line]))


def test_without_a_number_the_budget_was_asked_and_no_count_is_a_dash():
    (line,) = done_lines(told(shots("peer", budgets=(80,)), asked="eigsh(k=5)", reported="no count"))
    assert (line.asked.median, line.reported, line.over_reported) == (80, None, None)
    assert "no count" in to_markdown(done_sheet([line]))


def test_who_says_nothing_is_not_in_it():
    assert done_lines(repeats()) == ()


def test_the_largest_budget_alone_and_what_is_the_same_on_several_problems_once():
    rows = [
        row
        for problem in ("a", "b", "c")
        for row in told(shots("peer", problem=problem), 40 if problem == "c" else None, asked="f()")
    ]
    lines = at_largest(done_lines(rows))
    assert [(line.budget, line.problem) for line in lines] == [(40, "2 problems: a, b"), (40, "c")]


@pytest.mark.parametrize("text", ["<script>", "a | b", "`x`"])
def test_what_a_library_says_is_escaped(text):
    table = to_markdown(done_sheet(done_lines(told(shots("peer", budgets=(80,)), asked=text, reported=text))))
    assert "<script>" not in table
    assert {line.replace("\\|", "").count("|") for line in table.splitlines() if line} == {10}
