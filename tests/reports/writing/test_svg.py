"""Elements of an SVG as text."""

import xml.etree.ElementTree as ET

import pytest

from hessbench.reports.writing.svg import element, number, plain, polyline, text_width


@pytest.mark.parametrize(("value", "text"), [(1.0, "1"), (-0.04, "0"), (12.345, "12.3"), (-3.25, "-3.2"), (100, "100")])
def test_a_length_is_short(value, text):
    assert number(value) == text


@pytest.mark.parametrize("text", ["<b>&\"'", "\x00\x1b\ud800", "\uffff\ufffe", "日本 \U0001f600", "a\nb"])
def test_any_text_is_well_formed(text):
    written = element("text", plain(text), class_="x", data_label=text, y=None)
    root = ET.fromstring(written.encode())
    assert set(root.attrib) == {"class", "data-label"}
    assert root.text == root.get("data-label")


def test_a_line_goes_in_steps_that_do_not_add_up_roundings():
    places = [(0.04 * at, 1.0) for at in range(100)]
    steps = polyline(places).removeprefix("M0 1l").split(" 0 ")
    assert sum(float(step.removesuffix(" 0")) for step in steps) == pytest.approx(4.0)


def test_wide_characters_need_more_room():
    assert text_width("日本", 10) > text_width("ab", 10)
