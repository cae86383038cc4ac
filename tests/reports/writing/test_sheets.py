"""Cells of a table: medians, ranges and dashes."""

from hessbench.reports.writing import units
from hessbench.reports.writing.sheets import Spread, range_text, spread, spread_cell


def test_a_spread_is_the_median_and_the_range_of_what_is_there():
    found = spread([3.0, None, 1.0, 2.0])
    assert found is not None
    assert (found.median, found.low, found.high, found.number) == (2.0, 1.0, 3.0, 3)
    assert spread([None]) is None


def test_a_range_is_written_where_its_ends_differ_in_print():
    assert range_text(Spread(2.0, 1.0, 3.0, 3), units.seconds) == "1.00 s to 3.00 s"
    assert range_text(Spread(2.0, 2.0, 2.0001, 3), units.seconds) == ""
    assert spread_cell(None, units.seconds).text == units.DASH
