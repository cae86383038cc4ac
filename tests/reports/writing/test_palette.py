"""Colours: apart from one another, seen on either paper."""

import re

import pytest

from hessbench.reports.writing.palette import COLOURS, FIGURE_STYLE, GREY, INK, PAPER, dark, dark_rules, look, looks


def _luminance(colour):
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _contrast(one, other):
    high, low = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_no_colour_comes_twice():
    assert len({look(place).colour for place in range(500)}) == 500
    assert len({shade for _, shade in COLOURS}) == len(COLOURS)


def test_the_first_looks_differ_in_marker_or_dashes_too():
    assert len({(look(place).marker, look(place).dashes) for place in range(24)}) == 24


@pytest.mark.parametrize("pair", COLOURS)
def test_colours_stand_out_from_their_paper(pair):
    assert _contrast(pair[0], PAPER["light"]) >= 3
    assert _contrast(pair[1], PAPER["dark"]) >= 3


@pytest.mark.parametrize("place", range(24, 60))
def test_colours_beyond_the_list_are_seen_on_either_paper(place):
    assert all(_contrast(look(place).colour, paper) >= 3 for paper in PAPER.values())


@pytest.mark.parametrize("name", ["ink", "soft"])
def test_text_is_read_on_either_paper(name):
    assert _contrast(INK[name], PAPER["light"]) >= 4.5
    assert _contrast(dark(INK[name]), PAPER["dark"]) >= 4.5


@pytest.mark.parametrize("colour", ["#000000", "#333333", GREY, "#440154", "#21918c", "#fde725"])
def test_any_other_colour_is_seen_on_dark_paper_too(colour):
    assert _contrast(dark(colour), PAPER["dark"]) >= 3


def test_paper_becomes_dark_paper():
    assert dark(PAPER["light"]) == PAPER["dark"]


def test_methods_have_the_same_look_in_any_order():
    names = [f"m{i:02d}" for i in range(40)]
    assert looks([*reversed(names), *names]) == looks(names)


def test_only_what_is_written_is_changed():
    rules = dark_rules('<path style="fill: none; stroke: #d55e00"/>')
    assert "stroke: #d55e00" in rules
    assert "fill: #d55e00" not in rules


def test_every_selector_of_the_style_sheet_is_of_a_figure():
    rules = re.sub(r"@media[^{]*\{", "", FIGURE_STYLE)
    for selectors in re.findall(r"([^{}]+)\{", rules):
        assert all(selector.startswith(".hb") for selector in selectors.split(","))
