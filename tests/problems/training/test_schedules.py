"""Schedules: pure functions of the step."""

import pytest

from hessbench.problems.training.schedules import check_schedule, rate_factor

STEPS = ((10, 0.1), (20, 0.01))
LINE = ((10, 0.5), (20, 1.0), (40, 0.0))


@pytest.mark.parametrize("step", [0, 1, 10**9])
def test_constant_is_one(step):
    assert rate_factor("constant", (), step) == 1.0


@pytest.mark.parametrize(("step", "factor"), [(0, 1.0), (9, 1.0), (10, 0.1), (19, 0.1), (20, 0.01), (10**6, 0.01)])
def test_step_holds_the_factor_of_the_last_milestone(step, factor):
    assert rate_factor("step", STEPS, step) == factor


@pytest.mark.parametrize(
    ("step", "factor"), [(0, 0.5), (10, 0.5), (15, 0.75), (20, 1.0), (25, 0.75), (30, 0.5), (40, 0.0), (99, 0.0)]
)
def test_piecewise_linear_joins_the_knots_and_is_flat_beyond_them(step, factor):
    assert rate_factor("piecewise-linear", LINE, step) == pytest.approx(factor, abs=1e-15)


def test_one_knot_is_a_constant_line():
    assert {rate_factor("piecewise-linear", ((5, 0.3),), step) for step in range(10)} == {0.3}


@pytest.mark.parametrize(
    ("schedule", "knots", "said"),
    [
        ("steps", (), r"schedule must be one of constant, step, piecewise-linear, got 'steps' \(did you mean 'step'"),
        ("constant", ((0, 1.0),), "knots must be empty for a constant schedule"),
        ("step", (), "at least one"),
        ("piecewise-linear", (), "at least one"),
        ("step", ((10, 0.1), (10, 0.2)), "rising steps from 0 on"),
        ("step", ((-1, 0.1),), "rising steps from 0 on"),
        ("step", ((1, -0.1),), "finite factors"),
        ("step", ((1, float("nan")),), "finite factors"),
    ],
)
def test_what_does_not_fit_is_refused(schedule, knots, said):
    with pytest.raises(ValueError, match=said):
        check_schedule(schedule, knots)
