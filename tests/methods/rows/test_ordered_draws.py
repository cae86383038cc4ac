"""Draws without replacement, the weights of successive estimates, and what their spread is worth."""

import itertools
import math

import numpy as np
import pytest
from scipy import stats

from hessbench.methods.rows.ordered_draws import draw, ordered_estimate, precision_weights
from hessbench.methods.rows.row_sizes import row_sizes
from hessbench.seeding import make_generator

SIZES = np.asarray([5.0, 1.0, 3.0, 0.5])


def chance_of(order):
    """Chance of an ordered draw, and the chances of its parts among those that are left."""
    left, parts = SIZES.sum(), []
    for place in order:
        parts.append(SIZES[place] / left)
        left -= SIZES[place]
    return math.prod(parts), np.asarray(parts)


def test_orders_come_up_as_often_as_their_chances_say():
    number = 20_000
    counts = dict.fromkeys(itertools.permutations(range(4), 2), 0)
    generator = make_generator(1)
    for _ in range(number):
        counts[tuple(draw(SIZES, 2, generator).places.tolist())] += 1
    expected = np.asarray([chance_of(order)[0] * number for order in counts])
    assert stats.chisquare(list(counts.values()), expected).pvalue > 1e-4


@pytest.mark.parametrize("seed", range(5))
def test_a_draw_is_told_with_its_chance_among_those_left(seed):
    drawn = draw(SIZES, 4, make_generator(seed))
    np.testing.assert_allclose(1 / drawn.inverse_chances, chance_of(drawn.places)[1], rtol=1e-12)


def test_every_term_is_unbiased_given_those_before():
    numbers = np.asarray([2.0, 7.0, 0.1, 1.0])
    for begun in ((), (0,), (2, 1)):
        left = [place for place in range(4) if place not in begun]
        chances = {place: SIZES[place] / SIZES[left].sum() for place in left}
        mean = sum(chances[p] * (numbers[list(begun)].sum() + numbers[p] / chances[p]) for p in left)
        assert mean == pytest.approx(numbers.sum())


def test_weights_are_the_expected_precision():
    squares = np.geomspace(1, 1e-4, 60)
    weights = precision_weights(squares, 60)
    generator, left = make_generator(3), np.zeros((400, 20))
    for run in range(400):
        places = draw(squares, 20, generator).places
        left[run] = squares.sum() - np.concatenate([[0], squares[places].cumsum()[:-1]])
    twin = (squares.sum() / left.mean(axis=0)) ** 2
    np.testing.assert_allclose(
        weights[:20], twin, rtol=0.25
    )  # a clock that is read once, and not when the k-th row rings
    assert weights[0] == 1
    assert (np.diff(weights) >= 0).all()
    assert np.isfinite(weights).all()


def test_weights_of_equal_rows_grow_as_they_run_out():
    np.testing.assert_allclose(precision_weights(np.ones(10), 9), (10 / (10 - np.arange(9))) ** 2, rtol=0.02)


def test_weights_of_many_rows_are_those_of_each_row_by_itself(monkeypatch):
    squares = np.sort(np.exp(np.random.default_rng(0).normal(0, 4, 3000)))[::-1]
    weights = precision_weights(squares, 3000)
    monkeypatch.setattr("hessbench.methods.rows.ordered_draws._MANY", 3000)
    np.testing.assert_allclose(weights, precision_weights(squares, 3000), rtol=2e-3)


def test_the_mean_is_weighted_and_one_large_deviation_counts_four_times():
    found = ordered_estimate(np.asarray([1.0, 1.0, 1.0, 5.0]), np.ones(4), 2.0)
    assert found.value == 2.0
    assert found.stderr**2 == pytest.approx((3 + 4 * 9) / 3 / 4)
    assert found.dof == 1.5
    wider = ordered_estimate(np.asarray([1.0, 1.0, 1.0, 5.0]), np.ones(4), 12.0)
    assert wider.stderr**2 == pytest.approx((12 + 10**2) / 3 / 4)
    assert ordered_estimate(np.asarray([1.0, 4.0]), np.asarray([1.0, 2.0]), 3.0).value == 3.0


def test_sizes_follow_the_samples_and_directions_that_are_seen():
    squares = np.ones(12)
    factors = np.outer([1.0, 10.0, 10.0, 1.0], [1.0, 0.5, 0.5]).ravel()
    seen = np.zeros(12, dtype=bool)
    np.testing.assert_array_equal(row_sizes(squares, np.zeros(12), seen, 3), squares)
    seen[[0, 3, 4]] = True
    sizes = row_sizes(squares, factors * seen, seen, 3)
    assert sizes[5] > 2 * sizes[2]  # a row of the heavy sample, and one of the light one
    seen[:] = True
    guesses = np.log(row_sizes(squares, factors, seen, 3))
    assert (guesses - np.log(factors)).std() < 0.4 * np.log(factors).std()


def test_rows_that_turn_out_to_be_nothing_leave_sizes_positive():
    seen = np.asarray([True, True, False, False])
    assert (row_sizes(np.ones(4), np.zeros(4), seen, 2) > 0).all()
