"""Medians over the repeats and the band around them."""

import pytest

from hessbench.reports.error_curves.medians import medians
from hessbench.reports.error_curves.points import CurvePoint


def _repeats(errors, floor=0.0, budget=10):
    return {i: (CurvePoint(budget, budget + i, 1.0 + i, 0.5, error, floor, f"c{i}"),) for i, error in enumerate(errors)}


@pytest.mark.parametrize("number", [1, 2])
def test_no_median_below_three_repeats(number):
    assert medians(_repeats([1.0] * number)) == ()


@pytest.mark.parametrize("number", [3, 7])
def test_the_band_of_few_goes_from_the_least_to_the_largest(number):
    (median,) = medians(_repeats([float(i + 1) for i in reversed(range(number))]))
    assert (median.low, median.error, median.high) == (1, (number + 1) / 2, number)
    assert not median.has_quartiles


def test_the_band_of_many_is_their_middle_half():
    (median,) = medians(_repeats([float(i + 1) for i in range(9)]))
    assert (median.low, median.error, median.high) == (3, 5, 7)
    assert median.has_quartiles


def test_the_cost_is_the_median_too():
    (median,) = medians(_repeats([0.1, 0.2, 0.3]))
    assert (median.matvecs, median.seconds, median.build) == (11, 2.0, 0.5)


def test_a_band_does_not_reach_below_the_floor():
    (median,) = medians(_repeats([1e-9] * 3, floor=1e-6))
    assert (median.low, median.error) == (1e-6, 1e-6)
    assert median.at_floor


def test_a_budget_that_few_repeats_reached_is_there():
    repeats = _repeats([1.0, 2.0, 3.0])
    repeats[0] += _repeats([0.5], budget=20)[0]
    assert [(median.budget, len(median.points)) for median in medians(repeats)] == [(10, 3), (20, 1)]
