"""Tails of known laws: what is fitted, and what is preferred."""

import numpy as np
import pytest

from hessbench.problems.spectra.power_tail import (
    LognormalTail,
    fit_lognormal_tail,
    fit_power_tail,
    power_against_exponential,
    power_against_lognormal,
    vuong,
)

SIZE = 2000


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def test_exponent_and_start_of_a_power_law_come_back(rng):
    below = rng.uniform(0.2, 1.0, SIZE)
    tail = fit_power_tail(np.concatenate([below, (1 - rng.random(SIZE)) ** (-1 / 1.5)]))
    # The standard deviation of the estimate is (a - 1) / sqrt(count): four of them.
    assert tail.exponent == pytest.approx(2.5, abs=4 * 1.5 / tail.count**0.5)
    assert 0.8 < tail.start < 1.6
    assert tail.ks < 1.63 / tail.count**0.5  # the 1 % level of a law that is known, and this one was fitted


def test_a_power_law_is_preferred_to_an_exponential_one_on_its_own_draws_alone(rng):
    power = (1 - rng.random(SIZE)) ** (-1 / 1.5)
    assert power_against_exponential(power, fit_power_tail(power)).prefers_first()
    flat = 1 + rng.exponential(0.3, SIZE)
    found = power_against_exponential(flat, fit_power_tail(flat, least=1500))
    assert found.ratio < 0
    assert found.p < 0.05


def test_a_lognormal_law_is_preferred_on_its_own_draws_and_never_loses_by_much_on_a_power_law(rng):
    bent = np.exp(0.5 * rng.standard_normal(SIZE))
    found = power_against_lognormal(bent, fit_power_tail(bent, least=1500))
    assert found.ratio < 0
    assert found.p < 1e-3
    power = (1 - rng.random(SIZE)) ** (-1 / 1.5)
    assert not power_against_lognormal(power, fit_power_tail(power)).prefers_first()


def test_a_lognormal_law_that_is_cut_off_comes_back_and_its_quantiles_are_those_of_its_draws(rng):
    x = np.exp(0.7 * rng.standard_normal(20_000) + 0.2)
    x = x[x >= 1.0]
    law = fit_lognormal_tail(x, 1.0)
    # Cut off near its middle the two parameters are told apart to a few hundredths by 12,000 values.
    assert (law.mean, law.deviation) == pytest.approx((0.2, 0.7), abs=0.08)
    exact = LognormalTail(0.2, 0.7, 1.0)
    for above in (0.5, 0.1, 0.01):
        share = float((x > exact.quantiles(np.asarray([above]))[0]).mean())
        assert share == pytest.approx(above, abs=4 * (above * (1 - above) / x.size) ** 0.5)


def test_the_density_of_a_cut_lognormal_law_integrates_to_one():
    law = LognormalTail(-1.0, 0.8, 0.5)
    x = np.geomspace(0.5, 200, 200_001)
    assert np.trapezoid(np.exp(law.log_density(x)), x) == pytest.approx(1, abs=1e-6)


def test_laws_that_are_alike_are_not_told_apart():
    assert vuong(np.zeros(5), np.zeros(5)).p == 1
    found = vuong(np.asarray([1.0, -1.0]), np.zeros(2))
    assert (found.ratio, found.p) == (0.0, 1.0)


@pytest.mark.parametrize(
    ("values", "said"),
    [(np.ones(10), "at least 50"), (np.zeros(60), "positive"), (np.ones(60), "all equal")],
)
def test_values_that_make_no_tail_are_refused(values, said):
    with pytest.raises(ValueError, match=said):
        fit_power_tail(values)
