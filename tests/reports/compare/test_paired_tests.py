"""Student's paired test over problems and Holm's correction, against SciPy and by hand."""

import math

import numpy as np
import pytest
from scipy import stats

from hessbench.reports.compare.paired_tests import holm, paired_test, paired_test_of_one

RNG = np.random.default_rng(3)


@pytest.mark.parametrize("number", [3, 5, 40])
def test_one_problem_is_the_test_of_one_sample(number):
    logs = RNG.normal(0.3, 1, size=number)
    found = paired_test([logs])
    known = stats.ttest_1samp(logs, 0)
    interval = known.confidence_interval()
    assert found.runs == number
    assert found.p == pytest.approx(known.pvalue, rel=1e-9)
    assert math.log(found.ratio) == pytest.approx(logs.mean())
    assert math.log(found.low) == pytest.approx(interval.low)
    assert math.log(found.high) == pytest.approx(interval.high)


def test_two_problems_are_the_test_of_welch():
    """The mean of x and y is 0 where x and -y have the same mean."""
    x, y = RNG.normal(0.2, 2, size=5), RNG.normal(0.2, 0.1, size=7)
    assert paired_test([x, y]).p == pytest.approx(stats.ttest_ind(x, -y, equal_var=False).pvalue, rel=1e-9)


def test_problems_of_one_run_each_are_taken_together():
    logs = RNG.normal(0.3, 1, size=6)
    assert paired_test([[value] for value in logs]).p == paired_test([logs]).p


def test_a_change_of_one_problem_alone_is_no_scatter():
    noise = RNG.normal(0, 0.1, size=(2, 5))
    apart = paired_test([noise[0] + 4, noise[1]])
    assert apart.p < 1e-5 < paired_test([np.concatenate([noise[0] + 4, noise[1]])]).p
    assert math.log(apart.ratio) == pytest.approx(2, abs=0.1)


@pytest.mark.parametrize("logs", [[2.0] * 5, [1e6] * 3, [-1.0, -1.0 + 1e-9, -1.0 - 1e-9, -1.0]])
def test_runs_that_agree_are_no_surer_than_two_values_by_chance(logs):
    """Errors that are 1 or 10, equally likely, give n ratios of 10, or n of 1/10, with chance 2 / 4^n."""
    found = paired_test([logs])
    assert found.p == 2 / 4 ** len(logs)
    assert found.low == pytest.approx(found.ratio, rel=1e-6)
    assert found.high == pytest.approx(found.ratio, rel=1e-6)


def test_equals_are_equal():
    assert paired_test([[0.0] * 5]).p == 1.0


def test_one_problem_is_held_against_the_scatter_of_all_about_their_means():
    noise = RNG.normal(0, 0.1, size=(3, 5))
    one, *others = noise + np.array([[2.0], [0.0], [-7.0]])
    found = paired_test_of_one(one, others)
    assert (found.runs, found.ratio) == (5, paired_test([one]).ratio)
    by_all = one.mean() / np.sqrt(noise.var(axis=1, ddof=1).mean() / 5)
    assert found.p == pytest.approx(max(2 * stats.t.sf(by_all, 12), stats.ttest_1samp(one, 0).pvalue, 2 / 4**15))


def test_one_problem_that_scatters_alone_is_held_against_its_own():
    one = [4.0, 0.1, 2.0, 6.0, 0.2]
    assert paired_test_of_one(one, [[0.01, -0.01] * 20]).p == paired_test([one]).p > 0.01


def test_runs_that_agree_by_themselves_meet_the_scatter_of_all():
    one = [1.5, 1.51, 1.49, 1.5, 1.5]
    assert paired_test([one]).p < 0.01 < paired_test_of_one(one, [[3.0, -3.0, 0.0, 3.0, -3.0]]).p
    assert paired_test_of_one(one, [[3.0], [-3.0, 0.0], [2.0]]).p > 0.01


def test_two_problems_that_moved_against_each_other_stand_out():
    noise = RNG.normal(0, 0.3, size=(2, 5))
    up, down = noise[0] + 4, noise[1] - 4
    assert paired_test([up, down]).p > 0.01
    assert max(paired_test_of_one(up, [down]).p, paired_test_of_one(down, [up]).p) < 1e-4


def test_fewer_than_three_runs_are_refused():
    with pytest.raises(ValueError, match="at least 3 ratios, got 2"):
        paired_test([[1.0], [2.0]])
    with pytest.raises(ValueError, match="at least 2 ratios"):
        paired_test_of_one([1.0, 2.0, 3.0], [[2.0]])


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


def test_a_share_of_the_level_is_a_price():
    assert holm([0.2, 0.01], [0.9, 0.1]) == pytest.approx([0.2, 0.1])
    assert holm([0.02], [0.1]) == pytest.approx([0.02])


@pytest.mark.parametrize("hypotheses", [1, 5, 20])
def test_holm_keeps_the_level_over_all(hypotheses):
    rng = np.random.default_rng(hypotheses)
    trials = 4000
    false = sum(min(holm(list(rng.random(hypotheses)))) <= 0.05 for _ in range(trials))
    assert false <= stats.binom.ppf(1 - 1e-6, trials, 0.05)
