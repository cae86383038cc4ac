"""Figures: deterministic, small, safe, and showing what a log axis would hide."""

import xml.etree.ElementTree as ET

import matplotlib as mpl
import pytest

from hessbench.reports.error_curves.curves import charts
from hessbench.reports.error_curves.figures import SIZE_LIMIT, Detail, draw
from hessbench.reports.writing.drawing import looks

HOSTILE = (
    "<script>alert(1)</script>", "a--><b>&", r"$\frac{$", "x" * 3000, "日本 \U0001f600", "\x00\x1b", "\ud800",
)  # fmt: skip


def _draw(builder, cost="matvecs"):
    (chart,) = charts(builder.rows)
    return draw(chart, cost, looks([row.method for row in builder.rows]))


@pytest.mark.parametrize("cost", ["matvecs", "seconds"])
def test_the_same_rows_give_the_same_bytes(builder, cost):
    for repeat in range(3):
        builder.cell(repeat=repeat)
    first, second = _draw(builder, cost), _draw(builder, cost)
    assert first.svg == second.svg
    assert b"<dc:date>" not in first.svg
    assert first.detail is Detail.ALL


def test_drawing_leaves_the_settings_of_the_plotting_library_alone(builder):
    builder.cell()
    before = dict(mpl.rcParams)
    _draw(builder)
    assert dict(mpl.rcParams) == before


def test_settings_of_the_user_do_not_reach_the_figure(builder):
    builder.cell()
    plain = _draw(builder).svg
    with mpl.rc_context({"lines.linewidth": 9, "axes.facecolor": "black", "font.size": 30, "svg.fonttype": "none"}):
        assert _draw(builder).svg == plain


def test_hostile_names_are_drawn_as_text(builder):
    for name in HOSTILE:
        builder.cell(method=name)
    svg = _draw(builder).svg
    tags = {element.tag.rpartition("}")[2] for element in ET.fromstring(svg).iter()}
    assert not tags & {"script", "b"}


def test_points_at_the_bound_and_below_are_drawn_on_it(builder):
    builder.cell(error=lambda budget: {10: 0.1, 20: 1e-6, 40: 1e-9, 80: 0.0}[budget])
    drawing = _draw(builder)
    assert (drawing.at_floor, drawing.zeros) == (3, 0)


def test_zeros_without_a_bound_are_drawn_at_a_lower_edge(builder):
    builder.cell(error=lambda budget: 0.0 if budget > 20 else 0.1, reference_bound=0.0)
    drawing = _draw(builder)
    assert (drawing.at_floor, drawing.zeros) == (0, 2)
    assert b"error 0" in drawing.svg  # the text is kept as a comment beside its outline


def test_nothing_but_zeros_can_be_drawn(builder):
    builder.cell(error=lambda budget: 0.0, reference_bound=None)
    assert _draw(builder).zeros == 4


def test_costs_a_log_axis_cannot_show_are_counted(builder):
    builder.cell()
    builder.cell(repeat=1, matvecs=0)
    assert _draw(builder).left_out == 4


def test_no_figure_without_that_cost(builder):
    builder.cell(build_s=None)
    assert _draw(builder, "seconds") is None
    assert _draw(builder, "matvecs") is not None


@pytest.mark.parametrize(("repeats", "detail"), [(4, Detail.ENDS), (9, Detail.MEDIANS)])
def test_many_points_are_drawn_in_less_detail(builder, monkeypatch, repeats, detail):
    budgets = tuple(range(10, 90, 10))
    for repeat in range(repeats):
        builder.cell(repeat=repeat, budgets=budgets, error=lambda b, r=repeat: (1 + (b * (r + 3)) % 7) / b)
    sizes = {}
    for limit in (10**9, 1):  # everything, and as little as there is
        monkeypatch.setattr("hessbench.reports.error_curves.figures.SIZE_LIMIT", limit)
        sizes[limit] = _draw(builder)
    assert sizes[10**9].detail is Detail.ALL
    assert sizes[1].detail is Detail.MEDIANS
    monkeypatch.setattr("hessbench.reports.error_curves.figures.SIZE_LIMIT", len(sizes[10**9].svg))
    less = _draw(builder)
    assert less.detail is detail
    assert len(less.svg) < len(sizes[10**9].svg) < SIZE_LIMIT
