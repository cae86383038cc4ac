"""Logarithmic axes: places, ticks with room, and numbers that are read."""

import itertools
import math

import pytest

from hessbench.reports.error_curves.log_axis import (
    LogAxis,
    axis_around,
    percent,
    percent_tick,
    products_tick,
    seconds_tick,
)


def test_decades_are_equally_far_apart():
    axis = LogAxis(0.01, 100.0, 0.0, 400.0)
    assert [axis.at(value) for value in (0.01, 0.1, 1.0, 10.0, 100.0)] == pytest.approx([0, 100, 200, 300, 400])


def test_what_is_beyond_is_drawn_on_the_edge():
    axis = LogAxis(1.0, 100.0, 300.0, 0.0, least=2.0)
    assert axis.at(1e9) == 0
    assert axis.at(0.0) == axis.at(2.0) < 300


@pytest.mark.parametrize("values", [(3.0,), (1.0, 2.0), (1e-12, 1.0), (5.0, 5000.0), (1e-300, 1e300), (20, 2e7)])
@pytest.mark.parametrize("length", [270.0, 404.0])
def test_an_axis_has_ticks_that_do_not_touch(values, length):
    axis = axis_around(values, 0.0, length)
    ticks = axis.ticks(lambda _: 40.0)
    assert len(ticks) >= 2
    places = [axis.at(tick) for tick in ticks]
    assert all(right - left >= 40 for left, right in itertools.pairwise(places))


def test_ticks_are_round():
    assert axis_around((0.02, 0.5), 0, 270).ticks(lambda _: 22.0) == pytest.approx((0.02, 0.05, 0.1, 0.2, 0.5))


@pytest.mark.parametrize(
    ("fraction", "text"),
    [(2.5, "250 %"), (0.01, "1 %"), (0.012345, "1.2 %"), (3.4e-4, "0.034 %"), (5.6e-9, "5.6·10⁻⁷ %"),
     (9.97e-9, "10⁻⁶ %"), (0.0, "0 %"), (3e12, "3·10¹⁴ %"), (0.999, "100 %")],
)  # fmt: skip
def test_errors_are_in_per_cent(fraction, text):
    assert percent(fraction) == text


def test_labels_of_ticks_are_short():
    assert [percent_tick(x) for x in (0.1, 0.01, 0.001, 1e-6, 10, 1e4)] == [
        "10 %", "1 %", "0.1 %", "10⁻⁴ %", "1,000 %", "10⁶ %",
    ]  # fmt: skip
    assert [products_tick(x) for x in (15, 1000, 2e6)] == ["15", "1,000", "2·10⁶"]
    micro = "\N{MICRO SIGN}s"
    assert [seconds_tick(x) for x in (2e-5, 1e-3, 0.02, 1, 1.5, 500)] == [
        f"20 {micro}", "1 ms", "20 ms", "1 s", "1.5 s", "500 s",
    ]  # fmt: skip


def test_the_ends_are_at_least_a_factor_four_apart():
    axis = axis_around((7.0,), 0, 100)
    assert axis.high / axis.low > 4
    assert math.sqrt(axis.low * axis.high) == pytest.approx(7.0)
