"""What a method needs follows the law of its error: made-up pilots of which the answer is known."""

import math

import numpy as np
import pytest

from hessbench.advising.agreement import disagreements
from hessbench.advising.candidates import AdviceCandidate, Knowledge
from hessbench.advising.forecast import (
    MARGIN,
    claimed_share,
    larger_budget,
    level_of,
    needed_by_agreement,
    needed_by_claims,
)
from hessbench.advising.observed import PilotPoint
from hessbench.estimand import Density, Diagonal
from hessbench.estimand.interval import half_width

INTERVAL = AdviceCandidate("mine", Knowledge.INTERVAL)
CERTIFIED = AdviceCandidate("mine", Knowledge.CERTIFIED, first=40)
RESIDUAL = AdviceCandidate("mine", Knowledge.RESIDUAL)
EXACT = AdviceCandidate("mine", Knowledge.EXACT, first=16)
BLIND = AdviceCandidate("mine", Knowledge.NONE)


def point(candidate, budget, repeat=0, spent=None, **fields):
    return PilotPoint(candidate, budget, spent or budget, repeat, **fields)


def of_mean(budgets, stderr_at_one, power=0.5, dof=None):
    return [point(INTERVAL, budget, repeat, stderr=stderr_at_one * budget**-power, dof=dof and dof(budget))
            for budget in budgets for repeat in range(2)]  # fmt: skip


def test_the_mean_of_independent_samples_needs_the_inverse_square():
    needed = needed_by_claims(of_mean((30, 60), 0.5), 0.01, 0.99)
    quantile = half_width(1.0, None, 0.99)
    expected = (0.5 * quantile * MARGIN / claimed_share(0.01)) ** 2
    assert needed.budget == pytest.approx(expected, rel=0.06)
    assert needed.pilot_budget == 60
    assert needed.starts == 2


def test_what_falls_faster_is_believed_by_half_of_what_is_more():
    slow, fast = (needed_by_claims(of_mean((30, 60), 3.0, power), 0.01, 0.99).budget for power in (0.5, 1.5))
    whole = (3.0 * half_width(1.0, None, 0.99) * MARGIN / claimed_share(0.01)) ** (1 / 1.5)
    assert whole < fast < slow


def test_a_pilot_that_is_near_enough_is_what_is_recommended():
    assert needed_by_claims(of_mean((30, 60, 120), 0.01), 0.01, 0.99).budget == 30
    # The second budget is not within, so the first was luck.
    lucky = [point(INTERVAL, budget, stderr=stderr) for budget, stderr in ((30, 1e-4), (60, 1e-2), (120, 1e-4))]
    assert needed_by_claims(lucky, 0.01, 0.99).budget == 120


def test_the_wider_of_two_starts_counts():
    points = [point(INTERVAL, 60, 0, stderr=0.001), point(INTERVAL, 60, 1, stderr=0.1)]
    assert needed_by_claims(points, 0.01, 0.99).budget > 6000


def test_few_samples_ask_for_students_quantile():
    few = needed_by_claims(of_mean((4,), 0.02, dof=lambda budget: budget - 1), 0.01, 0.99)
    many = needed_by_claims(of_mean((4,), 0.02), 0.01, 0.99)
    assert few.budget > many.budget


@pytest.mark.parametrize("stderr", [None, math.inf])
def test_a_pilot_without_a_standard_error_tells_nothing(stderr):
    assert needed_by_claims([point(INTERVAL, 60, stderr=stderr)], 0.01, 0.99).budget is None


def test_the_least_number_of_believed_probes_is_kept():
    hutchpp = AdviceCandidate("hutchinson[probe=sphere]", Knowledge.INTERVAL)
    needed = needed_by_claims([point(hutchpp, 10, stderr=1e-9)], 0.01, 0.99)
    assert needed.budget == 30


def test_a_certified_run_that_ended_needs_what_it_spent_and_some_more():
    points = [point(CERTIFIED, 40, width=None, residual=0.2), point(CERTIFIED, 80, spent=60, width=0.008)]
    assert needed_by_claims(points, 0.01, 0.99).budget == 75


def test_residuals_fall_on_a_line():
    points = [point(RESIDUAL, budget, residual=math.exp(-budget / 20)) for budget in (40, 80)]
    needed = needed_by_claims(points, 1e-3, 0.99)
    assert needed.budget == pytest.approx(1.25 * 20 * math.log(1e3), rel=0.02)
    flat = [point(RESIDUAL, budget, residual=0.5) for budget in (40, 80)]
    assert needed_by_claims(flat, 1e-3, 0.99).budget is None


def test_an_exact_method_is_only_known_once_all_is_made():
    assert needed_by_claims([point(EXACT, 64, converged=False)], 0.01, 0.99).budget is None
    assert needed_by_claims([point(EXACT, 256, spent=100, converged=True)], 0.01, 0.99).budget == 125


def test_agreement_follows_the_slope_it_has_and_no_steeper():
    errors = {80: 0.4, 160: 0.4 / math.sqrt(2)}
    needed = needed_by_agreement(BLIND, errors, 0.05, may_flatten=True, starts=3)
    assert needed.budget == pytest.approx(80 * (1.5 * 0.4 / 0.05) ** 2, rel=0.01)
    assert needed_by_agreement(BLIND, {80: 0.4, 160: 0.4}, 0.05, may_flatten=True, starts=3).budget is None
    assert needed_by_agreement(BLIND, {80: 0.4, 160: 0.4}, 0.05, may_flatten=False, starts=3).budget is not None
    assert needed_by_agreement(BLIND, {}, 0.05, may_flatten=True, starts=3).budget is None
    assert needed_by_agreement(BLIND, {80: 0.01, 160: 0.005}, 0.05, may_flatten=True, starts=3).budget == 80


def test_looks_share_the_probability_of_failure():
    levels = [level_of(look, 0.99) for look in range(30)]
    assert sum(1 - level for level in levels) <= 0.01
    assert levels == sorted(levels)


def test_a_second_look_is_at_least_half_as_large_again():
    near = point(INTERVAL, 100, stderr=0.0041, dof=99.0)
    assert larger_budget(near, 0.01, 0.99) >= 150
    far = point(INTERVAL, 100, stderr=0.1, dof=99.0)
    assert larger_budget(far, 0.01, 0.99) > 10_000
    assert larger_budget(point(CERTIFIED, 100), 0.01, 0.99) == 200


def diagonals(size, seed, noise):
    rng = np.random.default_rng(seed)
    truth = 1 + np.arange(size) / size
    return [{"diagonal": truth * (1 + noise * rng.standard_normal(size))} for _ in range(3)]


def test_unbiased_diagonals_are_as_far_off_as_from_one_another():
    points = [point(BLIND, 60, repeat, arrays=arrays) for repeat, arrays in enumerate(diagonals(4000, 0, 0.1))]
    (error,) = disagreements(points, Diagonal(), "float64").values()
    assert 0.1 <= error <= 0.1 * math.sqrt(1.5) * 1.05


def test_an_exact_answer_is_what_the_others_are_held_against():
    exact = point(EXACT, 64, converged=True, arrays={"diagonal": np.ones(100)})
    other = [point(BLIND, 60, repeat, arrays={"diagonal": np.full(100, 1.2)}) for repeat in range(2)]
    assert disagreements([exact, *other], Diagonal(), "float64") == {("mine", 60): pytest.approx(0.2)}


def test_a_density_that_all_agree_on_is_not_off():
    arrays = {"nodes": np.arange(10.0), "weights": np.full(10, 0.1)}
    points = [point(BLIND, 80, repeat, arrays=arrays) for repeat in range(3)]
    assert disagreements(points, Density(), "float64")[("mine", 80)] == pytest.approx(0.0, abs=1e-12)


def test_one_start_or_answers_that_were_not_kept_tell_nothing():
    assert disagreements([point(BLIND, 60, repeat) for repeat in range(3)], Diagonal(), "float64") == {}
    assert disagreements([point(BLIND, 60, arrays={"diagonal": np.ones(3)})], Diagonal(), "float64") == {}
