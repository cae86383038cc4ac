"""Rules that every figure of the plotting library is drawn by."""

import xml.etree.ElementTree as ET

import pytest
from matplotlib import style
from matplotlib.figure import Figure

from hessbench.reports.writing.drawing import RC, set_limits, to_svg, writable


def drawn(title="a <b> & 'c'"):
    with style.context(["default", RC]):
        figure = Figure(figsize=(5, 4))
        axes = figure.add_subplot()
        axes.plot([1, 2], [3, 4], marker="o", color="#0072b2")
        axes.set_title(title, parse_math=False)
        return to_svg(figure)


@pytest.mark.parametrize("values", [(3.0,), (1.0, 2.0), (1e-12, 1.0), (5.0, 5000.0)])
def test_limits_hold_the_data_with_room_and_ticks_to_read(values):
    axes = Figure().add_subplot()
    axes.set_xscale("log")
    axes.set_yscale("log")
    set_limits(axes, values, values)
    for (low, high), axis in ((axes.get_xlim(), axes.xaxis), (axes.get_ylim(), axes.yaxis)):
        assert low < min(values)
        assert high > max(values)
        assert high / low > 4
        assert len([tick for tick in axis.get_majorticklocs() if low <= tick <= high]) >= 2


def test_what_the_font_cannot_write_is_a_question_mark():
    assert writable("lanczos \N{GREEK SMALL LETTER LAMDA} \u65e5") == "lanczos \N{GREEK SMALL LETTER LAMDA} ?"


def test_the_same_figure_gives_the_same_bytes_without_a_date():
    assert drawn() == drawn()
    assert b"<dc:date>" not in drawn().svg


def test_a_figure_says_how_large_it_is():
    picture = drawn()
    root = ET.fromstring(picture.svg)
    assert (picture.width, picture.height) == (480, 384)
    assert (root.get("width"), root.get("height"), root.get("viewBox")) == ("480", "384", "0 0 360 288")


def test_text_is_text_in_the_fonts_of_the_reader():
    root = ET.fromstring(drawn().svg)
    texts = [element for element in root.iter() if element.tag.endswith("}text")]
    assert "a <b> & 'c'" in [text.text for text in texts]
    assert all("system-ui" in text.get("style", "") for text in texts)


def test_colours_change_on_dark_paper():
    text = drawn().svg.decode()
    assert "prefers-color-scheme:dark" in text
    assert '[style*="stroke: #0072b2"]{stroke:#4db5f0!important}' in text
