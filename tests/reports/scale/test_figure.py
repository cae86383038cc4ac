"""Seconds against size: what is drawn, deterministic, small and safe."""

import xml.etree.ElementTree as ET

import pytest

from hessbench.ledger.record import Status
from hessbench.reports.costs.prices import ladders
from hessbench.reports.scale.checks import checks
from hessbench.reports.scale.curves import PANELS, scale_chart_frame, scale_charts
from hessbench.reports.scale.figure import draw_scale, scale_caption
from hessbench.reports.writing.palette import looks


@pytest.fixture
def charts(builder, make_price):
    def make(*methods, family="student-t", priced=True, **fields):
        for method in methods or ("lanczos",):
            for n in (10**4, 10**5, 10**6):
                known = {"dim": n, "budgets": (20,), "wall_s": n * 540e-9, "operator_s": n * 300e-9}
                builder.cell(f"{family}[n={n}]", method, **(known | {"counts": {"product": 20}} | fields))
        prices = [make_price(n, n * 1e-8, problem=family) for n in (10**4, 10**5, 10**6, 10**7)] if priced else []
        known = looks([row.method for row in builder.rows])
        return scale_charts(checks(builder.rows, prices), ladders(prices), known)

    return make


def test_the_first_panel_is_the_price_and_the_others_the_runs(charts):
    (chart,) = charts("lanczos", "hutchinson")
    assert (chart.title, chart.conditions) == ("student-t[n=*]", "cpu, float32, 2 threads")
    assert [panel.title for panel in chart.panels] == [
        ("one product", "one column"),
        ("hutchinson", "trace, budget 20"),
        ("lanczos", "trace, budget 20"),
    ]
    assert chart.panels[1].remark == "measured / predicted: 1.50\N{MULTIPLICATION SIGN}"


def test_what_the_prediction_has_not_seen_is_held_out(charts):
    (chart,) = charts()
    price, run = chart.panels
    assert [(point.dim, point.is_seen) for point in run.points] == [(10**4, True), (10**5, True), (10**6, False)]
    assert [point.is_seen for point in price.points] == [True, True, False, False]


def test_the_frame_holds_what_is_drawn(charts):
    (chart,) = charts()
    table = scale_chart_frame(chart)
    run = table[table["panel"] == "lanczos, trace, budget 20"]
    assert list(run["predicted_s"]) == pytest.approx([0.0036, 0.036, 0.36])
    assert list(run["measured_s"]) == pytest.approx([0.0054, 0.054, 0.54])
    price = table[table["panel"] == "one product, one column"]
    assert list(price["predicted_s"]) == pytest.approx([1e-4, 1e-3, 1e-2, 1e-1])


def test_a_run_that_cannot_be_predicted_is_drawn_without_a_curve(charts):
    (chart,) = charts(priced=False)
    (panel,) = chart.panels
    assert (panel.curve, panel.remark, len(panel.points)) == ((), "not predicted", 3)
    assert draw_scale(chart)


def test_an_answer_beside_another_is_no_panel_of_its_own(charts):
    (chart,) = charts(also=("density",))
    assert len(chart.panels) == 2


def test_families_and_conditions_are_charts_of_their_own(charts):
    charts(dtype="float64")
    made = charts()
    assert [chart.conditions for chart in made] == ["cpu, float32, 2 threads", "cpu, float64, 2 threads"]


def test_a_smaller_budget_and_what_is_beyond_the_panels_are_counted(charts):
    charts(budgets=(10,))
    (chart,) = charts(*(f"m{number:02d}" for number in range(PANELS + 2)), "lanczos")
    assert len(chart.panels) == PANELS
    assert chart.left_out == 1 + 1 + PANELS + 3 - PANELS
    assert "5 smaller budgets or runs not drawn" in scale_caption(chart)


def test_nothing_measured_is_not_drawn(charts):
    assert charts(status=Status.TIMEOUT, priced=False) == ()


def test_no_checks_give_no_charts():
    assert scale_charts((), (), {}) == ()


def test_the_same_rows_give_the_same_file_whose_axes_have_units(charts):
    (chart,) = charts()
    picture = draw_scale(chart)
    assert draw_scale(chart) == picture
    for words in (b"time (seconds)", b"size P (dimension)"):
        assert words in picture.svg


def test_a_figure_of_all_panels_is_small_and_hostile_names_in_it_are_text(charts):
    hostile = ("<script>alert(1)</script>", "a--><b>&", r"$\frac{$", "x" * 3000, "日本 \U0001f600", "\x00\x1b")
    (chart,) = charts(*hostile, *(f"m{number:02d}" for number in range(PANELS - 1 - len(hostile))))
    assert len(chart.panels) == PANELS
    svg = draw_scale(chart).svg
    assert len(svg) < 150_000
    tags = {element.tag.rpartition("}")[2] for element in ET.fromstring(svg).iter()}
    assert not tags & {"script", "b"}
