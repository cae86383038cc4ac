"""Intervals of traces and bounds of densities: that they hold, how often, and against exact references."""

import numpy as np
import pytest
import scipy.integrate
import torch
from scipy.stats import binom

from hessbench.counting import CountingOperator
from hessbench.estimand import Density, Source, TopEigenvalues, Trace
from hessbench.estimand.density import wasserstein1
from hessbench.operators import FunctionOperator
from hessbench.problems.curvature.matrices import curvature_operator
from hessbench.problems.held_out.interval_trials import DRAWS, interval_trial, trial_spectrum
from hessbench.problems.held_out.spectra import HeldOutSpectrum, held_out_spectrum
from hessbench.problems.references import statistical
from hessbench.problems.references.gram import gram_references
from hessbench.problems.references.statistical import (
    gauss_quadrature,
    kernel,
    lanczos,
    statistical_density,
    statistical_references,
    statistical_trace,
)
from hessbench.problems.references.trace_interval import Effort, trace_interval

draw = np.random.default_rng(0)
SPECTRA = {
    "uniform": draw.uniform(-1, 1, 200),
    "heavy tails": draw.standard_t(3, 200),
    "mostly zeros": np.r_[np.zeros(170), draw.lognormal(0, 1.5, 30)],
    "outliers": np.r_[np.linspace(100, 300, 9), -50, 0.01 * draw.standard_t(3, 190)],
}
SMALL = Effort(sketch=5, samples=20, probes=6, steps=15)


def distance(reference, eigenvalues):
    truth = np.sort(eigenvalues)
    arrays = reference.arrays
    return wasserstein1(arrays["nodes"], arrays["weights"], truth, np.full(truth.size, 1 / truth.size))


@pytest.mark.slow
@pytest.mark.parametrize("name", SPECTRA)
def test_a_trace_lies_in_its_interval_as_often_as_said(name, rotated):
    """At 99 %, misses among independent starts are binomial: more than the quantile at 1e-6 are no chance."""
    op, trace = rotated(SPECTRA[name]), SPECTRA[name].sum()
    starts = 300
    found = [trace_interval(op, torch.Generator().manual_seed(seed), SMALL) for seed in range(starts)]
    misses = sum(abs(interval.value - trace) > interval.half_width for interval in found)
    assert misses <= binom.ppf(1 - 1e-6, starts, 0.01)
    # Nor are they wide for nothing: half widths are within a factor of what the errors call for.
    spread = np.std([interval.value for interval in found])
    assert np.mean([interval.half_width for interval in found]) < 1.3 * 2.861 * spread


def test_one_large_eigenvalue_outside_the_sketch_is_covered():
    """Where an interval from the spread of the samples alone misses 65 times of 1000."""
    effort, starts = Effort(sketch=5, samples=20), 500
    spectra = [HeldOutSpectrum("", np.r_[np.ones(6), np.zeros(94)], TopEigenvalues(1), seed) for seed in range(starts)]
    misses = sum(not interval_trial(spectrum, spectrum.seed, effort).covers for spectrum in spectra)
    assert misses <= binom.isf(0.01, starts, 0.01)


@pytest.mark.slow
def test_traces_of_every_held_out_draw_lie_in_their_intervals_as_often_as_said():
    counts = {name: [interval_trial(trial_spectrum(name, seed), seed).covers for seed in range(60)] for name in DRAWS}
    for name, covered in counts.items():
        assert covered.count(False) <= binom.isf(1e-3, len(covered), 0.01), name
    every = [held for covered in counts.values() for held in covered]
    assert every.count(False) <= binom.isf(0.01, len(every), 0.01)


def test_a_sketch_that_holds_everything_leaves_rounding_and_the_bound_holds_it():
    """Of ranks below the sketch the half width is nothing, and the trace of the sketch is off by up to 30 eps norm."""
    for seed in range(4, 244, 12):
        spectrum = held_out_spectrum(seed, low=30, high=600)
        assert spectrum.name.startswith("low-rank")
        assert interval_trial(spectrum, seed).covers, spectrum.name


@pytest.mark.slow
@pytest.mark.parametrize("name", SPECTRA)
@pytest.mark.parametrize("memory", [0, 2**31])
def test_a_density_lies_within_its_bound_as_often_as_said(name, memory, rotated):
    op, starts = rotated(SPECTRA[name]), 60
    effort = Effort(probes=6, steps=15, memory=memory)
    found = [statistical_density(op, 10.0, str(seed), effort) for seed in range(starts)]
    misses = sum(distance(reference, SPECTRA[name]) > reference.bound for reference in found)
    assert misses <= binom.ppf(1 - 1e-6, starts, 0.01)


@pytest.mark.parametrize("name", SPECTRA)
def test_one_seeded_reference_of_each_is_within_its_bound(name, rotated):
    op, eigenvalues = rotated(SPECTRA[name]), SPECTRA[name]
    references = statistical_references(lambda: op, 10.0, name, effort=SMALL)
    trace, density = references[Trace](Trace()), references[Density](Density())
    assert abs(trace.arrays["trace"][0] - eigenvalues.sum()) <= trace.bound
    assert 0 < distance(density, eigenvalues) <= density.bound
    assert {trace.source, density.source} == {Source.STATISTICAL}
    assert (trace.rounding, density.rounding) == (10.0, 10.0)
    assert trace.arrays["abs_sum"][0] == pytest.approx(np.abs(eigenvalues).sum(), rel=0.5)
    assert density.norm == pytest.approx(np.abs(eigenvalues).max(), rel=0.1)
    assert density.arrays["weights"].sum() == pytest.approx(1)
    assert np.all(np.diff(density.arrays["nodes"]) >= 0)


def test_the_references_of_a_network_agree_with_its_gram_references(network_of):
    network = network_of((3, 4))
    exact = gram_references(lambda: network, 10.0)
    found = statistical_references(lambda: curvature_operator(network, "ggn"), 10.0, psd=True, effort=SMALL)
    truth, trace = exact[Trace](Trace()), found[Trace](Trace())
    assert abs(trace.arrays["trace"][0] - truth.arrays["trace"][0]) <= trace.bound
    assert trace.arrays["abs_sum"][0] == trace.arrays["trace"][0]
    truth, density = exact[Density](Density()).arrays, found[Density](Density())
    gap = wasserstein1(density.arrays["nodes"], density.arrays["weights"], truth["nodes"], truth["weights"])
    assert gap <= density.bound


def test_a_sketch_of_the_whole_space_is_exact(rotated):
    found = trace_interval(rotated([3.0, -1.0, 0.5]), torch.Generator().manual_seed(0), SMALL)
    assert found.value == pytest.approx(2.5, rel=1e-13)
    assert (found.half_width, found.norm) == (0.0, pytest.approx(3))


def test_the_products_spent_are_those_the_note_says(rotated):
    counted = CountingOperator(rotated(SPECTRA["uniform"]))
    reference = statistical_trace(counted, 10.0, psd=True, effort=SMALL)
    assert counted.matvecs == 30
    assert "of 30 products" in reference.note
    counted = CountingOperator(rotated(SPECTRA["uniform"]))
    reference = statistical_density(counted, 10.0, effort=SMALL)
    assert counted.matvecs == 90
    assert "6 probes of 15 Lanczos steps" in reference.note
    counted = CountingOperator(rotated(SPECTRA["uniform"]))
    reference = statistical_trace(counted, 10.0, effort=SMALL)
    assert counted.matvecs == 30 + 120
    assert "estimated from 120 more" in reference.note


def test_the_same_name_gives_the_same_bits_and_another_name_other_probes(rotated):
    op = rotated(SPECTRA["uniform"])
    for find in (statistical_trace, statistical_density):
        one, same, other = (find(op, 10.0, name, effort=SMALL) for name in ("a", "a", "b"))
        assert one.bound == same.bound != other.bound
        for key, array in one.arrays.items():
            np.testing.assert_array_equal(array, same.arrays[key])


def test_a_space_that_closes_ends_lanczos_and_gives_the_measure_exactly(rotated):
    """Three distinct eigenvalues: three steps, and a quadrature that cannot be off."""
    op = rotated(np.repeat([1.0, 2.0, 5.0], 10))
    start = torch.randn(30, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    alphas, betas = lanczos(op, start, SMALL)
    assert alphas.size == 3
    quadrature = gauss_quadrature(alphas, betas)
    np.testing.assert_allclose(quadrature.nodes, [1, 2, 5], rtol=1e-12)


def test_the_zero_operator_has_a_density_of_one_node():
    op = FunctionOperator(torch.zeros_like, 20, torch.float64)
    reference = statistical_density(op, 10.0, effort=SMALL)
    assert not reference.arrays["nodes"].any()
    assert reference.bound == reference.norm == 0
    assert statistical_trace(op, 10.0, effort=SMALL).arrays["trace"][0] == 0


def test_the_kernel_is_the_sum_of_squares_of_legendre_polynomials():
    """The uniform measure on [-1, 1]: beta_i = i / sqrt(4 i^2 - 1), p_i = sqrt(2 i + 1) P_i."""
    i = np.arange(1, 8)
    alphas, betas = np.zeros(8), i / np.sqrt(4 * i**2 - 1)
    points = np.linspace(-1, 1, 11)
    expected = sum((2 * j + 1) * np.polynomial.legendre.Legendre.basis(j)(points) ** 2 for j in range(8))
    np.testing.assert_allclose(kernel(alphas, betas, points), expected, rtol=1e-12)


def test_the_resolution_is_the_integral_of_the_reciprocal_kernel():
    i = np.arange(1, 8)
    alphas, betas = np.zeros(8), i / np.sqrt(4 * i**2 - 1)
    quadrature = gauss_quadrature(alphas, betas)
    low, high = quadrature.nodes[[0, -1]]
    expected, _ = scipy.integrate.quad(
        lambda x: float(1 / kernel(alphas, betas, np.array([x]))[0]), low, high, limit=200
    )
    assert quadrature.resolution == pytest.approx(expected, rel=1e-3)
    # And it bounds what it is said to bound: the distance of the quadrature to the uniform measure.
    grid = np.linspace(-1, 1, 20001)
    gap = wasserstein1(quadrature.nodes, quadrature.weights, grid, np.full(grid.size, 1 / grid.size))
    outside = (low + 1) + (1 - high)
    assert gap <= quadrature.resolution + outside * quadrature.weights[0]


def test_without_room_for_the_vectors_the_note_says_so(rotated):
    reference = statistical_density(rotated(SPECTRA["uniform"]), 10.0, effort=Effort(probes=2, steps=10, memory=0))
    assert "without reorthogonalisation" in reference.note


@pytest.mark.parametrize(
    ("find", "effort", "message"),
    [
        (statistical_trace, Effort(samples=1), "sketch must be at least 1 and samples 2, got 20 and 1"),
        (statistical_trace, Effort(sketch=0), "sketch must be at least 1 and samples 2, got 0 and 100"),
        (statistical_density, Effort(probes=1), "two probes of one step are needed at least, got 1 of 80"),
        (statistical_density, Effort(steps=0), "two probes of one step are needed at least, got 10 of 0"),
    ],
)
def test_too_little_effort_is_refused(find, effort, message, rotated):
    with pytest.raises(ValueError, match=message):
        find(rotated([1.0, 2.0, 3.0]), 10.0, effort=effort)


def test_products_that_are_not_finite_are_refused():
    op = FunctionOperator(lambda block: block * torch.nan, 30, torch.float64)
    with pytest.raises(ValueError, match="not finite"):
        statistical_density(op, 10.0, effort=SMALL)


def test_probes_that_all_agree_have_no_spread():
    quadrature = statistical.Quadrature(np.array([0.0, 1.0]), np.array([0.5, 0.5]), 0.1)
    assert statistical.probe_spread([quadrature] * 4, np.random.default_rng(0)) == pytest.approx(0, abs=1e-12)
