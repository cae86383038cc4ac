"""Tables for papers: the columns asked, at the largest budget or within a tolerance."""

import re

import pytest

from hessbench.reports.papers import PAPER_COLUMNS, paper_table, write_paper_table


@pytest.fixture
def rows(builder):
    """One method that is within 1 % from 40 products on, and one that is not within it at all."""
    for repeat in range(3):
        builder.cell(method="good", repeat=repeat, error=lambda budget: 0.3 / budget)
        builder.cell(method="poor", repeat=repeat, error=lambda budget: 0.05)
    return builder.rows


def _texts(laid_out):
    return [[cell.text for cell in row] for row in laid_out.rows]


def test_a_table_has_the_columns_asked_in_their_order(rows):
    laid_out = paper_table(rows, columns=("matvecs", "method", "error"))
    assert [column.field for column in laid_out.columns] == ["matvecs", "method", "error"]
    assert _texts(laid_out) == [["80", "good", "0.38 %"], ["80", "poor", "5 %"]]


def test_within_a_tolerance_each_method_is_at_its_smallest_budget_and_one_that_fails_says_so(rows):
    laid_out = paper_table(rows, columns=("method", "budget", "error", "matvecs", "ratio"), within=0.01)
    good, poor = _texts(laid_out)
    assert good[:4] == ["good", "40", "0.75 %", "40"]
    assert poor == ["poor", "not reached", "5 %", "\N{EN DASH}", "\N{EN DASH}"]
    assert laid_out.rows[1][2].detail == "at 80"


@pytest.mark.parametrize("within", [None, 0.01])
def test_the_columns_of_a_table_in_which_none_are_chosen_are_known_to_both(rows, within):
    laid_out = paper_table(rows, within=within)
    assert tuple(column.field for column in laid_out.columns) == PAPER_COLUMNS


@pytest.mark.parametrize("within", [None, 0.01])
def test_a_column_that_is_not_there_is_refused_with_those_that_are(rows, within):
    with pytest.raises(ValueError, match=r"columns must be some of problem, .*, got prise"):
        paper_table(rows, columns=("prise",), within=within)


def test_latex_is_set_with_booktabs_and_markdown_has_a_row_each(rows):
    laid_out = paper_table(rows, within=0.01)
    latex = write_paper_table(laid_out, "latex")
    assert re.findall(r"\\(top|mid|bottom)rule", latex) == ["top", "mid", "bottom"]
    assert "0.75 \\%" in latex
    markdown = write_paper_table(laid_out, "markdown")
    assert len([line for line in markdown.splitlines() if line.startswith("|")]) == 4
    with pytest.raises(ValueError, match="format must be one of latex, markdown, got 'html'"):
        write_paper_table(laid_out, "html")
