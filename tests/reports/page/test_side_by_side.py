"""Errors side by side: the least of each is marked, and the answer that takes no product stands under them."""

from planted_ledgers import repeats

from hessbench.reports.costs.lines import at_largest, lines_by_budget
from hessbench.reports.page.side_by_side import errors_side_by_side
from hessbench.reports.writing import units

MEAN = {"wasserstein1_of_mean": 1.0, "ks_of_mean": 0.4, "bulk_wasserstein1_of_mean": 0.0}


def shown(*methods, estimand="density"):
    lines = at_largest(lines_by_budget([row for method in methods for row in method]))
    return errors_side_by_side(estimand, lines, {line.key.method: place for place, line in enumerate(lines)})


def method(name, first, estimand="density", **others):
    def errors(value):
        return {"wasserstein1": value, **others}

    return repeats(name, error=lambda budget, repeat: first, errors=errors, estimand=estimand)


def test_the_least_error_of_each_column_is_marked_and_the_mean_has_errors_of_its_own():
    table = shown(
        method("near", 0.1, ks=0.5, bulk_wasserstein1=0.3, **MEAN),
        method("flat", 0.2, ks=0.3, bulk_wasserstein1=0.3, **MEAN),
    )
    assert [row.name for row in table.rows] == ["near", "flat"]
    assert [[least for _, least in row.cells] for row in table.rows] == [[True, True, False], [False, True, True]]
    assert table.trivial == "one point at the mean"
    assert [cell.text for cell in table.trivial_cells] == ["100 %", "0", "40 %"]
    assert len(table.heads) == len(table.sentences) == 3


def test_rows_from_before_an_error_was_told_have_a_dash():
    table = shown(method("new", 0.1, ks=0.5, bulk_wasserstein1=0.3, **MEAN), method("old", 0.2, ks=0.3))
    assert [cell.text for cell, _ in table.rows[1].cells] == ["20 %", units.DASH, "30 %"]
    assert [cell.text for cell in shown(method("old", 0.2, ks=0.3)).trivial_cells] == ["100 %", units.DASH]


def test_an_estimand_of_one_error_has_no_such_table():
    assert shown(method("slq", 0.1)) is None
    assert shown(method("slq", 0.1, "trace", relative=0.2), estimand="trace") is None
