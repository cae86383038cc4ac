"""Limit laws against closed forms, and sampled spectra against the laws."""

import numpy as np
import pytest
from scipy.integrate import quad

from hessbench.estimand import Density, Diagonal
from hessbench.estimand.density import wasserstein1
from hessbench.problems.spectra.limit_laws import NODES, marchenko_pastur, outlier_positions, semicircle
from hessbench.problems.spectra.random_matrix import spiked_wishart_problem, wigner_problem, wishart_problem


def reference(problem):
    return problem.references[Density](Density())


def moment(law, power):
    return float(law["law_weights"] @ law["law_nodes"] ** power)


def distance(known):
    """Wasserstein-1 between the sampled spectrum and the law in the same reference."""
    arrays = known.arrays
    return wasserstein1(arrays["nodes"], arrays["weights"], arrays["law_nodes"], arrays["law_weights"])


def test_the_semicircle_has_catalan_moments():
    law = semicircle()
    assert law["law_weights"].sum() == pytest.approx(1)
    # Quantiles at the middles of m cells are off in a moment by less than (range of x^p) / m.
    for power, catalan in ((2, 1), (4, 2), (6, 5)):
        assert moment(law, power) == pytest.approx(catalan, abs=2.0**power / NODES)


@pytest.mark.parametrize("ratio", [0.1, 0.5, 1.0, 2.0, 10.0])
def test_marchenko_pastur_has_mass_one_its_atom_and_its_moments(ratio):
    law = marchenko_pastur(ratio)
    top = (1 + ratio**0.5) ** 2
    assert law["law_weights"].sum() == pytest.approx(1)
    assert law["law_weights"][law["law_nodes"] == 0].sum() == pytest.approx(max(0, 1 - 1 / ratio))
    assert moment(law, 1) == pytest.approx(1, abs=top / NODES)
    assert moment(law, 2) == pytest.approx(1 + ratio, abs=top**2 / NODES)


@pytest.mark.parametrize("ratio", [0.5, 1.0, 2.0])
def test_marchenko_pastur_nodes_are_quantiles_of_its_density(ratio):
    a, b = (1 - ratio**0.5) ** 2, (1 + ratio**0.5) ** 2
    law = marchenko_pastur(ratio)
    nodes = law["law_nodes"][law["law_nodes"] > 0]
    for level in (0.1, 0.5, 0.9):
        node = nodes[round(level * NODES)]
        mass = quad(lambda x: ((b - x) * (x - a)) ** 0.5 / (2 * np.pi * ratio * x), a, node, limit=200)[0]
        assert mass / min(1, 1 / ratio) == pytest.approx(level, abs=1 / NODES)


def test_outliers_are_those_above_the_threshold_at_their_closed_form():
    # Ratio 1/4: threshold 1.5; population 3 settles at 3 (1 + 0.25 / 2) = 3.375.
    np.testing.assert_allclose(outlier_positions(np.asarray([3.0, 1.4, 1.0]), 0.25), [3.375])


@pytest.mark.parametrize("n", [200, 600])
def test_a_sampled_wigner_matrix_follows_the_semicircle(n):
    known = reference(wigner_problem(n=n))
    # Eigenvalues of the Gaussian ensembles are rigid: each is within order log(n) / n of its quantile.
    assert distance(known) < 2 * np.log(n) / n
    # Mean square: expectation 1 + 1 / n, variance (4 n^2 + 4 n) / n^4 by the fourth moments of its entries.
    square = float(known.arrays["weights"] @ known.arrays["nodes"] ** 2)
    assert abs(square - 1 - 1 / n) < 5 * (4 * n**2 + 4 * n) ** 0.5 / n**2


@pytest.mark.parametrize("aspect", [0.5, 1.0, 2.0])
def test_a_sampled_wishart_matrix_follows_marchenko_pastur(aspect):
    n = 400
    known = reference(wishart_problem(n=n, aspect=aspect))
    assert distance(known) < 2 * (1 + aspect**0.5) ** 2 * np.log(n) / n
    # The mean eigenvalue is a mean of n m squared normals: variance 2 / (n m).
    assert abs(float(known.arrays["weights"] @ known.arrays["nodes"]) - 1) < 5 * (2 * aspect) ** 0.5 / n
    zeros = known.arrays["weights"][np.abs(known.arrays["nodes"]) <= known.bound].sum()
    assert zeros == pytest.approx(max(0, 1 - 1 / aspect))


@pytest.mark.parametrize("aspect", [0.5, 2.0])
def test_strong_spikes_settle_at_their_limits_and_weak_ones_stay_in_the_bulk(aspect):
    n, spikes = 1000, 3
    known = reference(spiked_wishart_problem(n=n, aspect=aspect, spikes=spikes))
    sampled = known.arrays["nodes"][::-1]
    law = known.arrays["law_nodes"][::-1]
    population = 1 + 2.0 * aspect**0.5 * np.arange(spikes, 0, -1)
    # A lone outlier of population l has variance near 2 l^2 (1 - g / (l - 1)^2) / m around its limit.
    deviation = population * (2 * (1 - aspect / (population - 1) ** 2) * aspect / n) ** 0.5
    np.testing.assert_allclose(law[:spikes], outlier_positions(population, aspect))
    assert (np.abs(sampled[:spikes] - law[:spikes]) < 5 * deviation).all()
    edge = (1 + aspect**0.5) ** 2
    # The bulk ends within a few n^(-2/3) of its edge.
    assert sampled[spikes] < edge + 6 * edge * n ** (-2 / 3)
    assert law[spikes] <= edge
    weak = reference(spiked_wishart_problem(n=n, aspect=aspect, spikes=spikes, strength=0.3))
    assert weak.arrays["law_nodes"].max() <= edge
    assert weak.arrays["nodes"].max() < edge + 6 * edge * n ** (-2 / 3)


def test_the_density_error_reports_the_distance_to_the_law():
    known = reference(wishart_problem(n=50))
    own = {"nodes": known.arrays["nodes"], "weights": known.arrays["weights"]}
    errors = Density().errors(own, known, "float64")
    assert errors["wasserstein1"] < 1e-12
    assert errors["wasserstein1_to_law"] > 1e-4


def test_another_instance_is_another_matrix():
    first, second = (wigner_problem(n=20, instance=i).references[Diagonal](Diagonal()) for i in (0, 1))
    assert not np.allclose(first.arrays["diagonal"], second.arrays["diagonal"])
