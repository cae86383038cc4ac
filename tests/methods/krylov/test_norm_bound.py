"""A norm is bounded by powers on a few normal vectors, and passes its bound no more often than is said."""

import math

import pytest
import torch
from scipy.stats import binom

from hessbench.methods.krylov.norm_bound import norm_steps
from hessbench.operators import FunctionOperator, dense_operator
from hessbench.seeding import make_generator

SPECTRA = {
    "one large": [5.0] + [0.01] * 30,
    "flat": [1.0, -1.0] * 15,
    "decaying": [(-0.8) ** i for i in range(40)],
}


def operator(values):
    return dense_operator(torch.diag(torch.tensor(values, dtype=torch.float64)))


def bounds(op, level, seed=0, width=2, num_calls=4):
    return list(norm_steps(op, level, make_generator(seed), width=width, num_calls=num_calls))


@pytest.mark.parametrize("width", [1, 3])
@pytest.mark.parametrize("name", SPECTRA)
def test_the_norm_passes_any_bound_no_more_often_than_is_said(name, width):
    op, norm, level, trials = operator(SPECTRA[name]), max(map(abs, SPECTRA[name])), 0.3, 300
    missed = 0
    for seed in range(trials):
        found = bounds(op, level, seed, width)
        assert all(each.low <= norm * (1 + 1e-12) for each in found)
        missed += min(each.high for each in found) < norm
    assert binom.sf(missed - 1, trials, level) > 1e-4
    if name == "one large" and width == 1:  # where the bound is attained, but that P(|N| <= t) is below t sqrt(2 / pi)
        assert missed > trials * level / 2


def test_more_powers_are_nearer():
    op = operator(SPECTRA["flat"])
    highs = [sorted(bounds(op, 1e-3, seed, 10, 6)[q].high for seed in range(20))[10] for q in (0, 2, 5)]
    assert highs[0] > highs[1] > highs[2] > 1
    assert highs[2] < 2


@pytest.mark.parametrize("scale", [1e-100, 1e100])
def test_powers_neither_vanish_nor_overflow(scale):
    first, last = bounds(operator([3.0 * scale, scale]), 1e-3, width=10, num_calls=5)[::4]
    assert 3 * scale <= last.high <= first.high < 20 * scale
    assert last.low == pytest.approx(3 * scale, rel=1e-3)


def test_an_operator_that_is_zero_has_the_norm_zero_at_once():
    assert bounds(operator([0.0, 0.0]), 0.01) == [(0.0, 0.0)]


def test_what_is_not_a_number_bounds_nothing():
    broken = FunctionOperator(lambda block: block * math.nan, 2, torch.float64, torch.device("cpu"))
    (found,) = bounds(broken, 0.01)
    assert not found.high <= math.inf


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"level": 0.0}, "level must be above 0 and below 1"),
        ({"width": 0}, "width must be at least 1"),
        ({"num_calls": 0}, "num_calls must be at least 1"),
    ],
)
def test_what_is_out_of_range_is_refused(changed, said):
    with pytest.raises(ValueError, match=said):
        bounds(operator([1.0]), **{"level": 0.1, **changed})
