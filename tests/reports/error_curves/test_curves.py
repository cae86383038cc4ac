"""What the figures show, before it is drawn."""

import math

import pytest

from hessbench.ledger.record import Status
from hessbench.reports.error_curves.curves import chart_frame, charts


def test_each_repeat_is_a_curve_over_the_budgets(builder):
    for repeat in range(3):
        builder.cell(repeat=repeat)
    (chart,) = charts(builder.rows)
    (series,) = chart.series
    assert sorted(series.repeats) == [0, 1, 2]
    assert [point.matvecs for point in series.repeats[0]] == [10, 20, 40, 80]
    assert [point.error for point in series.repeats[0]] == [1 / 10, 1 / 20, 1 / 40, 1 / 80]
    assert series.repeats[0][0].seconds == pytest.approx(0.02)
    assert series.repeats[0][0].build == pytest.approx(0.05)
    assert [median.error for median in series.medians] == [1 / 10, 1 / 20, 1 / 40, 1 / 80]


def test_cells_of_a_one_shot_method_make_one_curve(builder):
    for budget in (10, 20, 40):
        builder.cell(budgets=(budget,))
    (chart,) = charts(builder.rows)
    assert [point.budget for point in chart.series[0].repeats[0]] == [10, 20, 40]
    assert len(chart.cells) == 3


def test_a_chart_per_problem_variant_and_estimand(builder):
    builder.cell(also=("density",))
    builder.cell(repeat=1, problem_hash="9" * 64)
    found = charts(builder.rows)
    assert sorted(chart.estimand for chart in found) == ["density", "trace", "trace"]
    assert len({chart.problem for chart in found}) == 2


def test_conditions_are_named_only_where_they_differ(builder):
    builder.cell()
    builder.cell(dtype="float64", reference_bound=1e-12)
    builder.cell(method="other")
    (chart,) = charts(builder.rows)
    assert [series.label for series in chart.series] == ["lanczos, float32", "lanczos, float64", "other, float32"]
    assert [series.variant for series in chart.series] == [0, 1, 0]
    assert chart.floors == {1e-12: "bound, float64", 1e-6: "bound, float32"}


def test_failures_and_scores_that_are_not_finite_are_counted_not_drawn(builder):
    builder.cell()
    builder.cell(repeat=1, status=Status.TIMEOUT)
    (chart,) = charts(builder.rows)
    assert sorted(chart.series[0].repeats) == [0]
    assert chart.unscored == 1


def test_a_problem_without_a_score_has_no_chart(builder):
    builder.cell(error=lambda budget: None)
    assert charts(builder.rows) == ()


def test_the_best_come_first(builder):
    for method, scale in (("a", 1.0), ("b", 0.1), ("c", 10.0)):
        builder.cell(method=method, error=lambda budget, scale=scale: scale / budget)
    (chart,) = charts(builder.rows)
    assert [series.method for series in chart.series] == ["b", "a", "c"]


def test_dense_is_a_reference(builder):
    builder.cell(method="dense")
    builder.cell(method="dense-like")
    assert [series.is_reference for series in charts(builder.rows)[0].series] == [True, False]


def test_a_trace_is_shown_relative_to_itself_with_its_bound(builder):
    # Sum |lambda| is ten times |trace|: the error to show is ten times the one that ranks, and so is the bound.
    builder.cell(errors={"relative_to_abs_sum": 0.01, "relative": 0.1, "trace_share": 0.1}, error=lambda budget: 0.01)
    (chart,) = charts(builder.rows)
    assert chart.shown.name == "relative"
    assert chart.shown.label == "error / |trace|"
    assert {point.error for point in chart.series[0].points} == {0.1}
    assert list(chart.floors) == pytest.approx([1e-5])
    table = chart_frame(chart)
    assert set(table["error"]) == {0.01}
    assert set(table["shown_error"]) == {0.1}


def test_bounds_that_differ_by_rounding_are_one(builder):
    for repeat in range(5):
        builder.cell(repeat=repeat, reference_bound=1e-6 * (1 + 1e-12 * repeat))
    assert charts(builder.rows)[0].floors == {1e-6: "reference bound"}


def test_scores_that_are_not_finite_are_counted(builder):
    builder.cell(error=lambda budget: math.inf if budget > 20 else 0.5)
    builder.cell(repeat=1, error=lambda budget: math.nan)
    (chart,) = charts(builder.rows)
    assert chart.unscored == 6
    assert [point.budget for point in chart.series[0].points] == [10, 20]


def test_the_numbers_behind_a_chart_name_their_cells(builder):
    cell = builder.cell()
    table = chart_frame(charts(builder.rows)[0])
    assert set(table["cell"]) == {cell}
    assert list(table["budget"]) == [10, 20, 40, 80]
    assert table["build_and_wall_s"].iloc[0] == pytest.approx(0.07)


@pytest.mark.parametrize(("estimand", "primary"), [("density", "wasserstein1"), ("mine[k=2]", "error")])
def test_a_chart_names_the_error_that_is_drawn(builder, estimand, primary):
    builder.cell(estimand=estimand)
    assert charts(builder.rows)[0].primary == primary
