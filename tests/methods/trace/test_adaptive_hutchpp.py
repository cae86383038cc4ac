"""Adaptive Hutch++: its bounds, a literal twin on the same probes, and how often a tolerance met is missed."""

import math

import numpy as np
import pytest
import torch
from scipy.stats import binom, chi2

from hessbench.counting import CountingOperator
from hessbench.methods.probes import draw_normal
from hessbench.methods.trace.adaptive_hutchpp import adaptive_hutchpp
from hessbench.methods.trace.normal_tails import deviation, frobenius_share
from hessbench.operators import FunctionOperator, dense_operator
from hessbench.seeding import make_generator

N = 40
SPECTRA = {
    "flat": np.linspace(1, 3, N),
    "indefinite": np.linspace(-1, 3, N),
    "decaying": 0.7 ** np.arange(N),
    "low rank": np.r_[np.linspace(1, 2, 7), np.zeros(N - 7)],
    "step": np.r_[np.ones(8), np.full(N - 8, 1e-3)],
}


def adaptive(op, num_matvecs, seed=0, **keywords):
    counted = CountingOperator(op, num_matvecs)
    return adaptive_hutchpp(counted, num_matvecs=num_matvecs, generator=make_generator(seed), **keywords), counted


def without(A, Q):
    """B = (I - Q Q^T) A (I - Q Q^T) for the range of Q."""
    P = np.eye(A.shape[0]) - Q @ np.linalg.pinv(Q)
    return P @ A @ P


def literal(A, num_matvecs, seed, epsilon, delta, relative, block=5):
    """The same decisions from explicit matrices, no quantity updated."""
    op, generator, n = dense_operator(torch.from_numpy(A)), make_generator(seed), A.shape[0]
    width = min(block, num_matvecs // 3)

    def allowed(t):
        return epsilon / (1 + epsilon) * abs(t) if relative else epsilon

    Omega = np.empty((n, 0))
    norms = [np.linalg.norm(A) ** 2]
    for _ in range(num_matvecs // 3 // width):
        Omega = np.hstack([Omega, draw_normal(n, width, op, generator).numpy()])
        norms.append(np.linalg.norm(without(A, A @ Omega)) ** 2)
        saved = 4 * math.log(4 / delta) * (norms[-2] - norms[-1]) / allowed(np.mean((Omega * (A @ Omega)).sum(0))) ** 2
        if np.linalg.matrix_rank(A @ Omega) < Omega.shape[1] or saved <= 2 * width:
            break
    B = without(A, A @ Omega)
    blocks = (num_matvecs - 2 * Omega.shape[1]) // width
    places = [blocks]
    while places[0] > 1:
        places = [min(places[0] - 1, math.ceil(places[0] / 1.5)), *places]
    X = np.empty((n, 0))
    for place in places:
        while X.shape[1] < place * width:
            X = np.hstack([X, draw_normal(n, width, op, generator).numpy()])
        value = np.trace(A) - np.trace(B) + np.mean((X * (B @ X)).sum(axis=0))
        share = chi2.ppf(delta / 2 / len(places), X.shape[1]) / X.shape[1]
        norm = math.sqrt(np.mean(((B @ X) ** 2).sum(axis=0)) / share)
        radius = norm * deviation(X.shape[1], delta / 2 / (len(places) if relative else 1))
        if radius <= allowed(value):
            break
    return value, radius, X.shape[1], radius <= allowed(value)


@pytest.mark.parametrize("name", SPECTRA)
def test_it_decides_and_answers_as_a_literal_twin_on_the_same_probes(rotated, name):
    A = rotated(SPECTRA[name]).numpy()
    for seed, (num_matvecs, epsilon, relative) in enumerate(
        ((3, 0.1, True), (20, 0.5, True), (90, 0.2, True), (300, 0.1, True), (90, 5.0, False), (60, 1e-6, False))
    ):
        keywords = {"epsilon": epsilon, "relative": relative, "delta": 0.1}
        value, radius, probes, converged = literal(A, num_matvecs, seed, **keywords)
        found, counted = adaptive(dense_operator(torch.from_numpy(A)), num_matvecs, seed, **keywords)
        assert found.value == pytest.approx(value, rel=1e-9)
        assert found.converged is bool(converged) or found.diagnostics["probes"] == 0
        if found.diagnostics["probes"]:
            assert found.diagnostics["probes"] == probes
            assert found.diagnostics["radius"] == pytest.approx(radius, rel=1e-7, abs=1e-12)
        assert counted.matvecs <= num_matvecs


def test_a_radius_is_the_chernoff_bound_and_holds_the_one_of_bernsteins_form():
    for probes in (1, 5, 100, 10**6):
        for level in (1e-300, 1e-3, 0.3):
            d = deviation(probes, level)
            assert 2 * math.exp(-probes / 2 * (d - math.log1p(d))) == pytest.approx(level, rel=1e-9)
            # 2 exp(-k e^2 / (4 F^2 + 4 e |B|)), the paper's, allows no smaller radius for |B| = F = 1.
            assert 2 * math.exp(-probes * d * d / (4 + 4 * d)) >= level * (1 - 1e-9)


@pytest.mark.parametrize("values", [[1.0], [1.0, -1.0], [3.0, 1, 1, 1, 1], np.ones(30), 0.8 ** np.arange(30)], ids=len)
def test_the_tails_hold_for_any_spectrum_and_are_met_by_one_eigenvalue(values):
    values, rng, draws = np.asarray(values), np.random.default_rng(0), 20_000
    norm = np.linalg.norm(values)
    for probes in (1, 3, 10):
        squares = rng.chisquare(probes, (draws, values.size))
        means, norms = (squares @ values) / probes, (squares @ values**2) / probes
        for level in (0.02, 0.3):
            low = int((norms < frobenius_share(probes, level) * norm**2).sum())
            out = int((np.abs(means - values.sum()) > deviation(probes, level) * norm).sum())
            # More than four standard deviations above the level has a chance below 1e-4.
            most = level * draws + 4 * (level * draws) ** 0.5
            assert max(low, out) <= most
            if values.size == 1:
                assert low >= level * draws - 4 * (level * draws) ** 0.5


@pytest.mark.parametrize(("name", "rank"), [("zero", 0), ("one", 1), ("seven", 7), ("whole", 30)])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
def test_an_operator_of_low_rank_is_answered_exactly_and_known_to_be(name, rank, dtype):
    # Unrotated, so that what a column has left is exactly zero or lies in the range of the others.
    values = torch.zeros(30, dtype=dtype)
    values[:rank] = torch.linspace(1, 2, rank, dtype=dtype)
    op = FunctionOperator(lambda block: values[:, None] * block, 30, dtype)
    for seed in range(40):
        found, _ = adaptive(op, 120, seed, epsilon=1e-3)
        assert found.converged
        assert found.diagnostics["sketched"] == rank
        assert found.value == pytest.approx(float(values.sum()), rel=2e-6)


def test_a_tolerance_that_the_budget_does_not_reach_is_not_said_to_be_reached(rotated):
    found, counted = adaptive(dense_operator(rotated(SPECTRA["flat"])), 30, epsilon=1e-4)
    assert found.converged is False
    assert counted.matvecs == 30
    assert found.diagnostics["radius"] > 1e-4 * found.value
    assert found.stderr_dof == found.diagnostics["probes"] - 1


@pytest.mark.parametrize(
    ("keywords", "says"),
    [
        ({"num_matvecs": 2}, "num_matvecs must be at least 3, got 2"),
        ({"epsilon": 0.0}, "epsilon must be above 0 and below 1, got 0.0"),
        ({"epsilon": 1.0}, "epsilon must be above 0 and below 1, got 1.0"),
        ({"epsilon": math.nan}, "epsilon must be above 0 and below 1, got nan"),
        ({"epsilon": math.inf, "relative": False}, "epsilon must be above 0 and below inf, got inf"),
        ({"epsilon": -1.0, "relative": False}, "epsilon must be above 0 and below inf, got -1.0"),
        ({"delta": 0.0}, "delta must be above 0 and below 1, got 0.0"),
        ({"delta": 1.0}, "delta must be above 0 and below 1, got 1.0"),
        ({"block": 0}, "block must be at least 1, got 0"),
    ],
)
def test_what_is_out_of_range_is_refused_by_its_range(keywords, says):
    with pytest.raises(ValueError, match=says):
        adaptive_hutchpp(dense_operator(torch.eye(5)), generator=make_generator(0), **{"num_matvecs": 20, **keywords})


@pytest.mark.slow
@pytest.mark.parametrize("delta", [0.05, 0.5])
@pytest.mark.parametrize("relative", [True, False])
@pytest.mark.parametrize(
    "values",
    [
        np.linspace(1, 3, 200),
        np.linspace(-1, 2, 200),
        1 / np.arange(1.0, 201),
        np.r_[np.ones(50), np.full(150, 1e-3)],
        np.r_[[100.0], np.full(199, 0.1)],
    ],
    ids=["flat", "signed", "power law", "step", "spiked"],
)
def test_the_rate_of_misses_over_many_seeds_is_below_delta(values, delta, relative):
    kept = torch.from_numpy(values)
    op = FunctionOperator(lambda block: kept[:, None] * block, kept.numel(), torch.float64)
    truth, seeds = values.sum(), 500
    epsilon = 0.1 if relative else 0.1 * truth
    misses = answered = 0
    for seed in range(seeds):
        found, _ = adaptive(op, 600, seed, epsilon=epsilon, delta=delta, relative=relative, block=5)
        answered += found.converged
        misses += found.converged and abs(found.value - truth) > 0.1 * truth
    assert answered == seeds
    # Misses above this bound have a chance below 1e-3 where the rate is delta.
    assert misses <= binom.ppf(1 - 1e-3, seeds, delta)
