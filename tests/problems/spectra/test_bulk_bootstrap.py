"""Gaps of bulks with and without planted outliers."""

import numpy as np
import pytest

from hessbench.problems.spectra.bulk_bootstrap import count_gaps, gap_ratios


def covariance(population, samples, seed):
    X = np.random.default_rng(seed).standard_normal((samples, population.size)) * np.sqrt(population)
    return np.linalg.eigvalsh(X.T @ X / samples)


def test_planted_outliers_are_counted_and_a_bulk_alone_has_none():
    rng = np.random.default_rng(0)
    bulk = np.exp(0.5 * rng.standard_normal(200))
    alone = covariance(bulk, 1000, 1)
    assert count_gaps(alone, 1000, last=12, draws=50).count == 0
    spiked = covariance(np.concatenate([bulk, [40.0, 200.0, 1000.0, 1300.0]]), 1000, 2)
    found = count_gaps(spiked, 1000, last=12, draws=50)
    assert found.count == 3  # the pair at the top is no gap, and its place is not looked at
    assert found.largest.shape == (50,)
    assert found.ratios.shape == (11,)


def test_gaps_are_the_ratios_of_neighbours_from_a_place_to_a_place():
    assert gap_ratios(np.asarray([1.0, 8.0, 4.0, 0.5]), 2, 3).tolist() == [4.0, 2.0]
    with pytest.raises(ValueError, match="must be positive"):
        gap_ratios(np.asarray([1.0, 0.0]), 1, 1)


def test_a_bulk_of_few_values_is_refused():
    with pytest.raises(ValueError, match="at least 50"):
        count_gaps(np.arange(1.0, 60.0), 100, last=10)
