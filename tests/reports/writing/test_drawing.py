"""Rules that every figure is drawn by."""

import pytest
from matplotlib import style
from matplotlib.figure import Figure

from hessbench.reports.writing.drawing import RC, looks, set_limits, to_svg, writable


def test_methods_look_different_and_the_same_everywhere():
    names = [f"m{i:02d}" for i in range(40)]
    known = looks(names)
    assert len(set(known.values())) == 40
    assert looks([*reversed(names), *names]) == known


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
    def drawn():
        with style.context(["default", RC]):
            figure = Figure()
            figure.add_subplot().plot([1, 2], [3, 4], marker="o")
            return to_svg(figure)

    assert drawn() == drawn()
    assert b"<dc:date>" not in drawn()
