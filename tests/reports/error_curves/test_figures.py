"""Figures: deterministic, small, safe, and showing what a log axis would hide."""

import re
import xml.etree.ElementTree as ET

import pytest

from hessbench.reports.error_curves.captions import caption
from hessbench.reports.error_curves.curves import charts
from hessbench.reports.error_curves.figures import MOST_SERIES, WIDTH, draw
from hessbench.reports.error_curves.looks import chart_looks
from hessbench.reports.error_curves.traces import MOST_REPEATS
from hessbench.reports.writing.svg import text_width

HOSTILE = (
    "<script>alert(1)</script>", "a--><b>&", r"$\frac{$", "x" * 3000, "日本 \U0001f600", "\x00\x1b", "\ud800", "\uffff",
)  # fmt: skip
COSTS = ("matvecs", "seconds")


def _draw(builder, cost="matvecs"):
    (chart,) = charts(builder.rows)
    return draw(chart, cost, chart_looks([chart]), "stem")


def _caption(builder, cost="matvecs"):
    (chart,) = charts(builder.rows)
    return caption(chart, cost, _draw(builder, cost))


def _elements(drawing, kind):
    """Elements of a class, as the file has them."""
    return [element for element in ET.fromstring(drawing.svg).iter() if kind in element.get("class", "").split()]


def _texts(drawing):
    return [element.text for element in ET.fromstring(drawing.svg).iter() if element.tag.endswith("}text")]


def _titles(drawing, kind="point"):
    return [element[0].text for element in _elements(drawing, kind)]


@pytest.mark.parametrize("cost", COSTS)
def test_the_same_rows_give_the_same_bytes(builder, cost):
    for repeat in range(3):
        builder.cell(repeat=repeat)
    first = _draw(builder, cost)
    builder.rows.reverse()
    assert _draw(builder, cost).svg == first.svg


def test_hostile_names_are_drawn_as_text(builder):
    for name in HOSTILE:
        builder.cell(method=name)
    drawing = _draw(builder)
    tags = {element.tag.rpartition("}")[2] for element in ET.fromstring(drawing.svg).iter()}
    assert tags == {"svg", "style", "rect", "g", "path", "text", "title"}
    ET.fromstring(drawing.inline.encode())
    assert len(drawing.svg) < 60_000


def test_a_figure_says_how_large_it_is(builder):
    builder.cell()
    drawing = _draw(builder)
    root = ET.fromstring(drawing.svg)
    assert drawing.width == WIDTH
    assert (root.get("width"), root.get("height")) == (str(drawing.width), str(drawing.height))
    assert root.get("viewBox") == f"0 0 {drawing.width} {drawing.height}"


@pytest.mark.parametrize("cost", COSTS)
def test_text_stays_within_the_figure(builder, cost):
    for number in range(20):
        builder.cell(method=f"a-method-with-a-name-that-is-long[block=16,number={number}]", budgets=(10, 20, 47))
    drawing = _draw(builder, cost)
    for element in ET.fromstring(drawing.svg).iter():
        if element.tag.endswith("}text"):
            assert 0 <= float(element.get("x")) <= drawing.width
            if element.get("text-anchor") == "middle":
                assert float(element.get("x")) + text_width(element.text, 11.5) / 2 <= drawing.width
            assert 0 < float(element.get("y")) <= drawing.height


@pytest.mark.parametrize("cost", COSTS)
def test_series_points_and_legend_have_names_a_script_can_use(builder, cost):
    for method, scale in (("good", 0.1), ("bad", 1.0)):
        for repeat in range(3):
            builder.cell(method=method, repeat=repeat, error=lambda budget, scale=scale: scale / budget)
    drawing = _draw(builder, cost)
    series = {element.get("data-series"): element for element in _elements(drawing, "series")}
    assert {place: element.get("data-method") for place, element in series.items()} == {"0": "good", "1": "bad"}
    assert series["0"].get("id") == f"stem-{cost}-series-0"
    assert {element.get("data-series") for element in _elements(drawing, "key")} == {"0", "1"}
    assert len(series["0"].get("data-cells").split()) == 3
    assert {element.get("data-budget") for element in _elements(drawing, "point")} == {"10", "20", "40", "80"}
    ids = re.findall(r' id="([^"]*)"', drawing.inline)
    assert len(ids) == len(set(ids)) == 4
    assert not re.search(r"<(style|script)| style=| on[a-z]+=", drawing.inline)


def test_a_point_says_its_numbers_and_its_cell(builder):
    cell = builder.cell(budgets=(10, 20))
    assert _titles(_draw(builder))[1].split("\n") == [
        "lanczos", "error 5 %", "20 products, 40.0 ms, and 50.0 ms for the build", f"budget 20; cell {cell}",
    ]  # fmt: skip


def test_a_median_says_of_how_many_and_its_band(builder):
    for repeat in range(4):
        builder.cell(repeat=repeat, error=lambda budget, repeat=repeat: (1 + repeat) / 100)
    title = _titles(_draw(builder))[0]
    assert "error 2.5 % (median of 4 repeats, band 1 % to 4 %)" in title
    assert title.endswith("and 1 more")


@pytest.mark.parametrize(("repeats", "bands", "lines"), [(1, 0, 1), (2, 0, 2), (3, 1, 1), (10, 1, 1)])
def test_median_and_band_from_three_repeats_on(builder, repeats, bands, lines):
    for repeat in range(repeats):
        builder.cell(repeat=repeat, error=lambda budget, repeat=repeat: (1 + repeat) / budget)
    drawing = _draw(builder)
    assert len(_elements(drawing, "band")) == bands
    assert len(_elements(drawing, "median")) == lines
    faint = [len(element) for element in _elements(drawing, "repeats")]
    assert faint == ([repeats] if bands else [])


def test_captions_say_what_lines_and_bands_are(builder):
    builder.cell()
    assert "Each line is one repeat" in _caption(builder)
    for repeat in range(1, 5):
        builder.cell(repeat=repeat)
    assert "median over the repeats at each budget, 5 of them" in _caption(builder)
    assert "Shaded: from the least to the largest repeat." in _caption(builder)
    for repeat in range(5, 9):
        builder.cell(repeat=repeat)
    assert "Shaded: the middle half of the repeats (quartiles)." in _caption(builder)
    builder.cell(method="once")
    builder.cell(method="thrice")
    builder.cell(method="thrice", repeat=1)
    builder.cell(method="thrice", repeat=2)
    assert "from the least to the largest repeat below 8 repeats, the middle half" in _caption(builder)
    assert "fewer than 3 repeats: each line is one repeat" in _caption(builder)


@pytest.mark.parametrize(("methods", "says"), [(8, "Faint lines: single repeats."), (9, "repeats are not drawn")])
def test_a_caption_says_when_single_repeats_are_left_out(builder, methods, says):
    for number in range(methods):
        for repeat in range(3):
            builder.cell(method=f"m{number}", repeat=repeat)
    assert says in _caption(builder)
    assert ('class="repeats"' in _draw(builder).inline) is (methods == 8)


def test_the_lines_of_ten_one_and_a_tenth_of_a_percent_stand_out(builder):
    builder.cell(error=lambda budget: {10: 0.5, 20: 0.05, 40: 0.005, 80: 0.0005}[budget])
    drawing = _draw(builder)
    (strong,) = _elements(drawing, "strong")
    assert strong.get("d").count("M") == 3 + 1  # and the axes
    assert {"10 %", "1 %", "0.1 %"} <= set(_texts(drawing))


def test_the_error_is_said_above_its_axis(builder):
    builder.cell(estimand="density")
    texts = " ".join(_texts(_draw(builder)))
    assert "Wasserstein-1 / mean |λ - mean|, in %" in texts
    assert "one point at the mean scores 1." in texts


def test_seconds_are_the_method_s_own_and_the_build_is_a_mark(builder):
    builder.cell(method="slow-build", build_s=0.2)
    builder.cell(method="quick-build", build_s=0.1)
    drawing = _draw(builder, "seconds")
    assert "the method's own time, without the build (log scale)" in _texts(drawing)
    assert "build: 100 ms to 200 ms" in _texts(drawing)
    assert len(_elements(drawing, "build")) == 2
    assert not _elements(_draw(builder), "build")
    assert any("20.0 ms, and 200 ms for the build" in title for title in _titles(drawing))


def test_seconds_without_a_build_are_drawn(builder):
    builder.cell(build_s=None)
    drawing = _draw(builder, "seconds")
    assert not _elements(drawing, "build")
    assert len(_elements(drawing, "point")) == 4


def test_dense_is_a_line_with_a_label_and_no_curve(builder):
    builder.cell()
    builder.cell(method="dense", budgets=(100,))
    drawing = _draw(builder)
    assert [one.get("data-method") for one in _elements(drawing, "series")] == ["lanczos"]
    (line,) = _elements(drawing, "reference")
    assert line.get("data-method") == "dense"
    assert "dense: 100 products" in _texts(drawing)
    assert "The dashed upright line is what dense takes" in _caption(builder)


def test_dense_far_beyond_the_curves_is_an_arrow(builder):
    builder.cell()
    builder.cell(method="dense", budgets=(10**6,))
    drawing = _draw(builder)
    assert "dense: 1,000,000 products \N{RIGHTWARDS ARROW}" in _texts(drawing)
    assert not any(text.startswith("10⁵") or text == "10,000" for text in _texts(drawing))


@pytest.mark.parametrize("method", ["lanczos", "dense"])
@pytest.mark.parametrize("repeats", [1, 3])
def test_one_point_is_a_sentence(builder, method, repeats):
    for repeat in range(repeats):
        builder.cell(method=method, budgets=(20,), repeat=repeat)
    told = _draw(builder)
    assert isinstance(told, str)
    assert told.startswith(f"One point, so no figure: {method}; error 5 %")
    assert "20 products" in told


def test_one_point_beside_dense_is_a_sentence_with_both(builder):
    builder.cell(budgets=(20,))
    builder.cell(method="dense", budgets=(100,))
    assert _draw(builder).endswith(". dense: 100 products.")


def test_one_budget_of_several_methods_is_a_figure(builder):
    for method in ("a", "b"):
        for repeat in range(3):
            builder.cell(method=method, budgets=(20,), repeat=repeat, error=lambda budget, r=repeat: (r + 1) / 10)
    drawing = _draw(builder)
    assert len(_elements(drawing, "band")) == 2
    assert not _elements(drawing, "median")


def test_points_at_the_bound_and_below_are_drawn_on_it(builder):
    builder.cell(error=lambda budget: {10: 0.1, 20: 1e-6, 40: 1e-9, 80: 0.0}[budget])
    drawing = _draw(builder)
    assert (drawing.at_floor, drawing.zeros) == (3, 0)
    assert len(_elements(drawing, "point")) == 4
    assert len([one for one in _elements(drawing, "point") if "paper" in one.get("class").split()]) == 3
    assert "reference bound" in _texts(drawing)


def test_a_bound_far_below_is_left_outside(builder):
    builder.cell(reference_bound=1e-12)
    assert "reference bound" not in _texts(_draw(builder))
    assert "Reference bound (grey dashes where it is in view): 10⁻¹⁰ %" in _caption(builder)


def test_of_many_bounds_the_ends_are_drawn(builder):
    for number in range(9):
        builder.cell(method=f"m{number}", reference_bound=5e-3 * (1 + number / 10))
    drawing = _draw(builder)
    assert "largest reference bound" in _texts(drawing)
    assert len(_elements(drawing, "bound")) == 2


def test_zeros_without_a_bound_are_drawn_at_a_lower_edge(builder):
    builder.cell(error=lambda budget: 0.0 if budget > 20 else 0.1, reference_bound=0.0)
    drawing = _draw(builder)
    assert (drawing.at_floor, drawing.zeros) == (0, 2)
    assert "error 0" in _texts(drawing)


def test_nothing_but_zeros_can_be_drawn(builder):
    builder.cell(error=lambda budget: 0.0, reference_bound=None)
    assert _draw(builder).zeros == 4


def test_costs_a_log_axis_cannot_show_are_counted(builder):
    builder.cell()
    builder.cell(repeat=1, matvecs=0)
    assert _draw(builder).left_out == 4
    assert "4 answers without a measured cost above 0 not drawn" in _caption(builder)


def test_no_figure_without_that_cost(builder):
    builder.cell(wall_s=None)
    assert _draw(builder, "seconds") == "No answer has measured seconds, so error against seconds is not drawn."
    assert not isinstance(_draw(builder), str)


def test_errors_of_any_size_are_drawn(builder):
    builder.cell(error=lambda budget: {10: 1e300, 20: 1e10, 40: 1.0, 80: 1e-300}[budget], reference_bound=None)
    assert len(_elements(_draw(builder), "point")) == 4


@pytest.mark.parametrize("repeats", [1, 10])
def test_nineteen_methods_are_small_and_of_as_many_colours(builder, repeats):
    for number in range(19):
        for repeat in range(repeats):
            builder.cell(
                method=f"method-{number}", repeat=repeat, budgets=(10, 20, 40, 80, 160, 320),
                error=lambda b, n=number, r=repeat: (1 + n) * (1 + 0.1 * r) / b,
            )  # fmt: skip
    drawing = _draw(builder)
    assert len({one.get("color") for one in _elements(drawing, "series")}) == 19
    assert len(drawing.svg) < 80_000
    assert not _elements(drawing, "repeats")


def test_what_cannot_be_seen_is_thinned_out(builder):
    budgets = tuple(range(10, 3000, 10))
    for repeat in range(MOST_REPEATS + 10):
        builder.cell(repeat=repeat, budgets=budgets, error=lambda b, r=repeat: (1 + (b * (r + 3)) % 7) / b)
    drawing = _draw(builder)
    assert len(_elements(drawing, "repeats")[0]) == MOST_REPEATS
    assert len(_elements(drawing, "point")) < 80
    assert len(drawing.svg) < 100_000
    assert f"Of these the first {MOST_REPEATS} are drawn" in _caption(builder)


def test_methods_beyond_those_drawn_are_said(builder):
    for number in range(MOST_SERIES + 5):
        builder.cell(method=f"m{number:02d}", budgets=(10, 20))
    drawing = _draw(builder)
    assert len(_elements(drawing, "series")) == MOST_SERIES
    assert "5 more methods not drawn" in _caption(builder)
