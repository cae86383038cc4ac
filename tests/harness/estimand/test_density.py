"""Distances between discrete measures, against SciPy and against what a distance is."""

from dataclasses import replace

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from hessbench.estimand import Density, Source
from hessbench.estimand.base import EPS
from hessbench.estimand.density import bulk_of, density_reference, kolmogorov_smirnov, wasserstein1

counts = st.lists(st.tuples(st.integers(-8, 8), st.integers(1, 4)), min_size=1, max_size=8)


def measure(atoms):
    nodes = np.array([node / 4 for node, _ in atoms])
    weights = np.array([count for _, count in atoms], dtype=float)
    order = np.argsort(nodes, kind="stable")
    return nodes[order], weights[order] / weights.sum()


@given(counts, counts)
def test_wasserstein_distance_is_that_of_scipy(one, two):
    (x, p), (y, q) = measure(one), measure(two)
    assert wasserstein1(x, p, y, q) == pytest.approx(scipy.stats.wasserstein_distance(x, y, p, q), abs=1e-12)


@given(counts, counts)
def test_kolmogorov_smirnov_distance_is_that_of_scipy(one, two):
    samples = [np.repeat([node / 4 for node, _ in atoms], [count for _, count in atoms]) for atoms in (one, two)]
    with np.errstate(all="ignore"):  # its p-value, which is not used, overflows for small samples
        expected = scipy.stats.ks_2samp(*samples, method="asymp").statistic
    (x, p), (y, q) = measure(one), measure(two)
    assert kolmogorov_smirnov(x, p, y, q) == pytest.approx(expected, abs=1e-12)


@given(counts, st.floats(0, 0.99))
def test_a_shift_within_the_slack_is_free_and_a_larger_one_is_not(atoms, part):
    x, p = measure(atoms)
    assert kolmogorov_smirnov(x, p, x + 0.1 * part, p, slack=0.1) == pytest.approx(0, abs=1e-12)
    assert kolmogorov_smirnov(x, p, x + 0.2, p, slack=0.1) > 0.01


@given(counts, counts)
def test_both_distances_are_symmetric_and_zero_only_between_equals(one, two):
    (x, p), (y, q) = measure(one), measure(two)
    for distance in (wasserstein1, kolmogorov_smirnov):
        assert distance(x, p, y, q) == pytest.approx(distance(y, q, x, p), abs=1e-12)
        assert distance(x, p, x, p) == pytest.approx(0, abs=1e-12)


def alone(eigenvalues):
    return np.sort(eigenvalues), np.full(eigenvalues.size, 1 / eigenvalues.size)


def test_the_bulk_is_what_the_largest_magnitudes_leave():
    eigenvalues = np.array([-9.0, 5.0, 4.0, -0.5, 0.25, 0.0, 0.0, 1.0])
    nodes, weights = bulk_of(*alone(eigenvalues), 3 / 8)
    kept = np.sort(eigenvalues[np.argsort(-np.abs(eigenvalues))[3:]])
    assert weights.sum() == pytest.approx(1)
    assert nodes[weights > 0].tolist() == kept.tolist()
    assert weights[weights > 0] == pytest.approx(np.full(5, 1 / 5))
    # Half an eigenvalue of mass, and two of one magnitude of which one goes.
    assert bulk_of(np.array([0.0, 2.0]), np.array([0.5, 0.5]), 0.25)[1] == pytest.approx([2 / 3, 1 / 3])
    assert bulk_of(np.array([-2.0, 0.0, 2.0]), np.full(3, 1 / 3), 1 / 3)[1] == pytest.approx([0.25, 0.5, 0.25])


@given(counts, st.integers(0, 7))
def test_nothing_taken_away_leaves_the_measure_and_mass_stays_one(atoms, taken):
    nodes, weights = measure(atoms)
    left = bulk_of(nodes, weights, taken / 8)[1]
    assert left.sum() == pytest.approx(1)
    assert (left >= 0).all()
    if not taken:
        assert left == pytest.approx(weights)


def test_outliers_that_are_missed_cost_the_whole_distance_but_not_that_of_the_bulk():
    bulk = np.linspace(0, 1, 98)
    reference = density_reference(np.concatenate([bulk, [1000.0, -2000.0]]), Source.ANALYTIC)
    estimand = Density(outliers=2)

    def errors(eigenvalues):
        return estimand.errors(estimand.to_arrays(alone(eigenvalues), 100), reference, "float64")

    missed = errors(np.concatenate([bulk, [900.0, -1800.0]]))
    assert missed["wasserstein1"] > 0.05
    assert missed["bulk_wasserstein1"] == pytest.approx(0, abs=1e-9)
    moved = errors(np.concatenate([bulk + 0.25, [1000.0, -2000.0]]))
    assert moved["wasserstein1"] < 0.01
    assert moved["bulk_wasserstein1"] == pytest.approx(1.0, rel=0.02)  # the spread of the bulk is 0.25


def test_one_point_at_the_mean_has_the_errors_that_stand_beside_those_of_every_estimate():
    rng = np.random.default_rng(0)
    for eigenvalues in (rng.standard_t(3, size=60), np.zeros(60), np.ones(60), np.repeat([0.0, 5.0], 30)):
        reference = density_reference(eigenvalues, Source.ANALYTIC)
        for estimand in (Density(), Density(outliers=3), Density(outliers=0)):
            point = estimand.to_arrays((np.array([eigenvalues.mean()]), np.ones(1)), 60)
            other = estimand.to_arrays(alone(eigenvalues + 0.1), 60)
            its_own, told = (estimand.errors(arrays, reference, "float64") for arrays in (point, other))
            for name in estimand.side_by_side:
                assert Density.trivial_error(name, told) == pytest.approx(its_own[name], abs=1e-9)
    assert Density.trivial_error("wasserstein1", {"ks": 0.5}) == 1
    assert Density.trivial_error("ks", {"ks": 0.5}) is None


def test_a_bulk_is_told_only_where_the_dimension_is_known_and_leaves_one():
    reference = density_reference(np.arange(5.0), Source.ANALYTIC)
    arrays = Density().to_arrays(alone(np.arange(5.0)), 5)
    for estimand, truth in ((Density(outliers=5), reference), (Density(outliers=2), replace(reference, dim=0))):
        assert "bulk_wasserstein1" not in estimand.errors(arrays, truth, "float64")
    assert Density(outliers=4).errors(arrays, reference, "float64")["bulk_wasserstein1"] == 0


@pytest.mark.parametrize("rounding", [10.0, 1000.0])
@pytest.mark.parametrize("rank", [1, 20, 400])
def test_the_density_of_squares_is_known_as_far_as_singular_values_can_move(rank, rounding):
    singular = np.concatenate([np.linspace(1.0, 30.0, rank), np.zeros(400 - rank)])
    truth = replace(density_reference(singular**2, Source.GRAM), rounding=rounding, semidefinite=True)
    # Every singular value by the most that B may round in the 2-norm, c eps |B| / 2.
    moved = (singular + rounding * EPS["float32"] / 2 * singular.max()) ** 2
    nodes, weights = Density().to_arrays((moved, np.full(400, 1 / 400)), 400).values()
    error = Density().errors({"nodes": nodes, "weights": weights}, truth, "float32")["wasserstein1"]
    assert Density().floor(truth, "float32") == pytest.approx(error, rel=1e-4)
    unknown = Density().floor(replace(truth, semidefinite=False), "float32")
    assert unknown > error * (10 if rank == 1 else 1)
