"""Intervals of a median: their coverage, and the ranks that tables of the sign test give."""

import math

import numpy as np
import pytest

from hessbench.reports.writing.median_intervals import can_cover, median_interval


@pytest.mark.parametrize("level", [0.6, 0.9, 0.95, 0.999])
def test_the_ends_cover_the_median_with_the_level_and_a_rank_further_in_would_not(level):
    for number in range(1, 70):
        tails = [2 * sum(math.comb(number, k) for k in range(rank)) / 2**number for rank in range(1, number // 2 + 2)]
        assert can_cover(number, level) == (tails[0] <= 1 - level)
        found = median_interval(np.arange(1, number + 1)[::-1], level)
        rank = int(found.low)
        assert (found.median, found.high) == ((number + 1) / 2, number + 1 - rank)
        if can_cover(number, level):
            assert tails[rank - 1] <= 1 - level < tails[rank]
        else:
            assert rank == 1


def test_the_interval_of_a_median_covers_it_as_often_as_it_says():
    for number in (6, 11, 20, 40):
        draws = np.random.default_rng(number).standard_normal((2000, number))
        inside = sum(found.low <= 0 <= found.high for found in map(median_interval, draws))
        # 0.95 less four standard errors of a share over 2000 draws.
        assert inside / 2000 > 0.95 - 4 * (0.95 * 0.05 / 2000) ** 0.5


def test_few_samples_cannot_cover():
    assert not can_cover(5, 0.95)
    assert can_cover(6, 0.95)
    assert median_interval(np.array([3.0, 1.0])).low == 1
