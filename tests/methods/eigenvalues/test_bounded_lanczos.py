"""Intervals of the first eigenvalues of any operator hold as often as they say, at the tolerance asked for."""

import numpy as np
import pytest
import torch
from scipy.stats import binom

from hessbench.counting import CountingOperator
from hessbench.estimand import TopEigenvalues
from hessbench.methods.eigenvalues.bounded_lanczos import bounded_lanczos
from hessbench.operators import dense_operator
from hessbench.seeding import make_generator


def rotated(values, seed=0):
    basis = np.linalg.qr(np.random.default_rng(seed).standard_normal((len(values), len(values))))[0]
    return torch.from_numpy((basis * values) @ basis.T)


def last(values, num_matvecs=60, seed=0, **asked):
    counting = CountingOperator(dense_operator(rotated(values)), num_matvecs)
    *_, estimate = bounded_lanczos(counting, num_matvecs=num_matvecs, generator=make_generator(seed), **asked)
    return estimate.resolve(), counting.matvecs


SPECTRA = {
    "power law": 1 / np.arange(1.0, 61) ** 2,
    "signed": np.concatenate([-1 / np.arange(1.0, 31), 1.5 / np.arange(1.0, 31) ** 2]),
    "zeros": np.concatenate([[5.0, 4.0, -3.0, 2.0], np.zeros(56)]),
}


@pytest.mark.parametrize("values", SPECTRA.values(), ids=SPECTRA)
@pytest.mark.parametrize("which", ["magnitude", "algebraic", "smallest"])
def test_values_are_within_the_tolerance_that_the_run_ended_at(values, which):
    order = TopEigenvalues(3, which)
    estimate, spent = last(values, k=3, which=which, tolerance=0.01)
    truth = order.rank(values)[:3]
    lower, upper = estimate.interval
    held, found = (np.abs(truth), np.abs(estimate.value)) if which == "magnitude" else (truth, estimate.value)
    scale = 1e-9 * np.abs(values).max()
    assert ((lower - scale <= held) & (held <= upper + scale)).all()
    assert (np.abs(found - held) <= 0.0101 * np.abs(held) + scale).all()
    assert estimate.converged or spent == 60


def test_what_is_known_of_the_lower_end_is_used_and_costs_nothing():
    free, spent = last(SPECTRA["power law"], k=3)
    known, spent_knowing = last(SPECTRA["power law"], k=3, known_low=0.0)
    np.testing.assert_allclose(free.value, known.value, rtol=0.01)
    assert spent_knowing <= spent


def test_the_intervals_of_many_runs_miss_no_more_often_than_they_say():
    values, trials, confidence = 1 / np.arange(1.0, 41), 25, 0.8
    missed = 0
    for seed in range(trials):
        estimate, _ = last(values, 40, seed, k=2, tolerance=0.3, confidence=confidence)
        if estimate.interval is not None:
            lower, upper = estimate.interval
            missed += not ((lower <= values[:2] + 1e-12) & (values[:2] <= upper + 1e-12)).all()
    assert binom.sf(missed - 1, trials, 1 - confidence) > 1e-4


def test_a_run_that_is_cut_short_does_not_say_that_it_has_converged():
    values = np.linspace(1, 2, 60)
    estimate, spent = last(values, 20, k=5)
    assert spent == 20
    assert not estimate.converged
    lower, upper = estimate.interval or (np.zeros(5), np.full(5, np.inf))
    assert ((lower <= values[:-6:-1]) & (values[:-6:-1] <= upper)).all()


@pytest.mark.parametrize("asked", [{"tolerance": 0.0}, {"confidence": 1.0}, {"k": 0}])
def test_what_is_out_of_range_is_refused(asked):
    with pytest.raises(ValueError, match="must be"):
        last(SPECTRA["zeros"], **{"k": 2, **asked})
