"""Smoothed densities: the width of the document, mass kept, and the same from many nodes as from few."""

import math

import numpy as np
import pytest
from scipy.integrate import trapezoid

from hessbench.reports.spectra.axis import axis_for
from hessbench.reports.spectra.measure import Measure, mean_measure
from hessbench.reports.spectra.smoothing import density_on, distribution, heuristic_sigma, outside, shared_steps


@pytest.mark.parametrize("steps", [5, 20, 90])
def test_the_width_is_that_of_the_document(steps):
    assert heuristic_sigma(steps) == pytest.approx(2 / ((steps - 1) * math.sqrt(8 * math.log(1.25))))


@pytest.mark.parametrize("steps", [1, 2, 10**6])
def test_a_width_is_never_zero_or_the_whole_axis(steps):
    assert 0 < heuristic_sigma(steps) < 0.5


def test_the_middle_number_of_steps_chooses_the_width():
    assert shared_steps([1, 20, 40]) == 20
    assert shared_steps([20, 40]) == 20
    assert shared_steps([]) >= 1


@pytest.mark.parametrize("scale", ["linear", "symlog"])
def test_all_of_the_mass_is_under_the_curve(scale):
    measure = Measure.of(np.asarray([-1.0, 0.0, 2.0]), np.asarray([0.2, 0.5, 0.3]))
    axis = axis_for(scale, [np.asarray([-9.0, -0.1, 0.1, 9.0])], 0.0, 0.0, 400.0)
    at, heights = density_on(measure, axis, 0.02, 4001)
    assert trapezoid(heights, at) == pytest.approx(1.0, abs=1e-6)


def test_a_logarithmic_axis_leaves_zeros_and_negative_values_out():
    measure = Measure.of(np.asarray([-1.0, 0.0, 2.0]), np.asarray([0.2, 0.5, 0.3]))
    axis = axis_for("log", [np.asarray([0.01, 100.0])], 0.0, 0.0, 400.0)
    at, heights = density_on(measure, axis, 0.02, 4001)
    assert trapezoid(heights, at) == pytest.approx(0.3, abs=1e-6)
    assert outside(measure, axis) == pytest.approx(0.7)


def test_many_nodes_are_put_together_without_a_trace():
    nodes = np.sort(np.random.default_rng(0).normal(size=100_000))
    measure = Measure.of(nodes, np.full(nodes.size, 1 / nodes.size))
    axis = axis_for("linear", [nodes], 0.0, 0.0, 400.0)
    at, heights = density_on(measure, axis, 0.02, 101)
    width = 0.02 * axis.half_range
    naive = [np.exp(-0.5 * ((place - nodes) / width) ** 2).mean() / (width * math.sqrt(2 * math.pi)) for place in at]
    np.testing.assert_allclose(heights, naive, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("sigma", [0.0, -1.0, math.nan, math.inf])
def test_a_width_of_nothing_is_refused(sigma):
    measure = Measure.of(np.ones(1), np.ones(1))
    with pytest.raises(ValueError, match="sigma must be above 0"):
        density_on(measure, axis_for("linear", [np.ones(1)], 0.0, 0.0, 1.0), sigma, 10)


def test_the_mean_of_measures_is_that_of_their_distribution_functions():
    one, other = Measure.of(np.asarray([0.0]), np.ones(1)), Measure.of(np.asarray([1.0, -1.0]), np.asarray([0.5, 0.5]))
    np.testing.assert_allclose(distribution(mean_measure([one, other]), np.asarray([-1, 0, 1.0])), [0.25, 0.75, 1.0])


@pytest.mark.parametrize("bad", [([], []), ([1.0], [1.0, 2.0]), ([math.nan], [1.0]), ([[1.0]], [[1.0]])])
def test_what_is_no_measure_is_refused(bad):
    with pytest.raises(ValueError, match="nodes and weights of a density must"):
        Measure.of(np.asarray(bad[0]), np.asarray(bad[1]))


def test_a_quadrature_holds_the_mass_below_any_value():
    """Against the measure itself, whose quadratures are those of its Jacobi matrix."""
    rng = np.random.default_rng(3)
    eigenvalues, weights = np.sort(rng.normal(size=200)), rng.dirichlet(np.ones(200))
    vector, basis = np.sqrt(weights), []
    alphas, betas = [], []
    q = vector / np.linalg.norm(vector)
    for _ in range(8):
        basis.append(q)
        z = eigenvalues * q
        alphas.append(z @ q)
        for _twice in range(2):
            z = z - np.asarray(basis).T @ (np.asarray(basis) @ z)
        betas.append(np.linalg.norm(z))
        q = z / betas[-1]
    nodes, S = np.linalg.eigh(np.diag(alphas) + np.diag(betas[:-1], 1) + np.diag(betas[:-1], -1))
    quadrature = Measure.of(nodes, S[0] ** 2)
    for value in np.linspace(-4, 4, 161):
        least, most = quadrature.bracket_below(float(value))
        assert least - 1e-12 <= weights[eigenvalues < value].sum() <= most + 1e-12
