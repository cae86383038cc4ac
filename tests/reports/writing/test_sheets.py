"""Cells of a table: medians, ranges and dashes."""

import pytest

from hessbench.reports.writing import units
from hessbench.reports.writing.sheets import (
    Column,
    Sheet,
    Shown,
    Spread,
    choose,
    range_text,
    spread,
    spread_cell,
    to_latex,
)


def test_a_spread_is_the_median_and_the_range_of_what_is_there():
    found = spread([3.0, None, 1.0, 2.0])
    assert found is not None
    assert (found.median, found.low, found.high, found.number) == (2.0, 1.0, 3.0, 3)
    assert spread([None]) is None


def test_a_range_is_written_where_its_ends_differ_in_print():
    assert range_text(Spread(2.0, 1.0, 3.0, 3), units.seconds) == "1.00 s to 3.00 s"
    assert range_text(Spread(2.0, 2.0, 2.0001, 3), units.seconds) == ""
    assert spread_cell(None, units.seconds).text == units.DASH


def _sheet():
    columns = tuple(Column(name, name, "", lambda row: row[0], is_number=name != "a") for name in ("a", "b", "c"))
    rows = ((Shown("x", note=1), Shown("1.0e-07"), Shown("2", note=2)),)
    return Sheet(columns, rows, ("why a", "why c"))


def test_chosen_columns_come_in_the_order_asked_with_their_notes_numbered_again():
    chosen = choose(_sheet(), ("c", "b"))
    assert [column.field for column in chosen.columns] == ["c", "b"]
    assert [(cell.text, cell.note) for cell in chosen.rows[0]] == [("2", 1), ("1.0e-07", 0)]
    assert chosen.notes == ("why c",)


@pytest.mark.parametrize("fields", [(), ("d",), ("a", "a")])
def test_columns_that_are_not_there_are_refused(fields):
    with pytest.raises(ValueError, match="columns must be some of a, b, c, each once, got"):
        choose(_sheet(), fields)


def test_latex_has_the_rules_of_booktabs_and_powers_of_ten_as_printed():
    text = to_latex(_sheet())
    assert [line for line in text.splitlines() if line.endswith("rule")] == [r"\toprule", r"\midrule", r"\bottomrule"]
    assert r"$1.0 \times 10^{-7}$" in text
    assert r"\hline" not in text
