"""Distances between discrete measures, against SciPy and against what a distance is."""

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from hessbench.estimand.density import kolmogorov_smirnov, wasserstein1

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
