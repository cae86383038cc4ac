"""What the figures show, before it is drawn."""

import math

import pytest

from hessbench.ledger.record import Status
from hessbench.reports.error_curves.curves import CurvePoint, bands, chart_frame, charts


def test_each_repeat_is_a_curve_over_the_budgets(builder):
    for repeat in range(3):
        builder.cell(repeat=repeat)
    (chart,) = charts(builder.rows)
    (series,) = chart.series
    assert sorted(series.repeats) == [0, 1, 2]
    assert [point.matvecs for point in series.repeats[0]] == [10, 20, 40, 80]
    assert [point.error for point in series.repeats[0]] == [1 / 10, 1 / 20, 1 / 40, 1 / 80]
    assert series.repeats[0][0].seconds == pytest.approx(0.07)
    assert series.bands == ()


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


def _repeats(errors, floor=0.0):
    return {i: (CurvePoint(10, 10, 1.0 + i, error, floor, f"c{i}"),) for i, error in enumerate(errors)}


def test_no_interval_below_eight_repeats():
    assert bands(_repeats([1.0] * 7)) == ()


@pytest.mark.parametrize(("number", "low", "high"), [(8, 1, 8), (9, 2, 8), (20, 6, 15)])
def test_the_interval_covers_the_median_with_95_percent(number, low, high):
    # Tables of the sign test: 95 % intervals of the median are the ranks 1..8 of 8, 2..8 of 9 and 6..15 of 20.
    (band,) = bands(_repeats([float(i + 1) for i in range(number)]))
    assert (band.low, band.high) == (low, high)
    assert band.median == (number + 1) / 2
    outside = 2 * sum(math.comb(number, k) for k in range(low)) / 2**number
    assert outside <= 0.05


def test_an_interval_does_not_reach_below_the_floor():
    (band,) = bands(_repeats([1e-9] * 8, floor=1e-6))
    assert (band.low, band.median) == (1e-6, 1e-6)


def test_the_numbers_behind_a_chart_name_their_cells(builder):
    cell = builder.cell()
    table = chart_frame(charts(builder.rows)[0])
    assert set(table["cell"]) == {cell}
    assert list(table["budget"]) == [10, 20, 40, 80]
    assert table["build_and_wall_s"].iloc[0] == pytest.approx(0.07)


@pytest.mark.parametrize(("estimand", "primary"), [("density", "wasserstein1"), ("mine[k=2]", "primary")])
def test_a_chart_names_the_error_that_is_drawn(builder, estimand, primary):
    builder.cell(estimand=estimand)
    assert charts(builder.rows)[0].primary == primary
