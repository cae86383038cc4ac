"""What the capstone takes from a spectrum, and which units it measures."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm

from hessbench.reports.capstone.measures import GRANTED, METHODS, TEN_MILLION
from hessbench.studies.capstone.design import design
from hessbench.studies.capstone.ledger import FEW, SIZES, network_spec
from hessbench.studies.capstone.spectra import ks_to_normal, largest_gap, near_zero_share
from hessbench.studies.capstone.trained import catalog, spec
from hessbench.studies.scale import Scale, StudySetting


def test_the_largest_gap_is_numbered_from_the_largest_eigenvalue_and_the_first_does_not_count():
    values = np.concatenate([[1000.0], np.linspace(10, 9, 8), np.linspace(1, 0.9, 40), [-50.0]])
    assert largest_gap(values) == (9, pytest.approx(9.0))


def test_a_share_near_zero_counts_magnitudes_within_a_hundredth_of_the_largest():
    assert near_zero_share(np.asarray([-10.0, 0.1, -0.1, 0.0, 0.2])) == 0.6


def test_normal_quantiles_are_near_the_normal_and_two_atoms_are_not():
    n = 400
    # Half a step of the distribution function, and what rounding the standard deviation to n quantiles adds.
    assert ks_to_normal(norm.ppf((np.arange(n) + 0.5) / n)) < 2 / n
    assert ks_to_normal(np.repeat([-1.0, 1.0], n // 2)) == pytest.approx(norm.cdf(1) - 0.5)


def test_specs_are_those_of_a_registered_problem_of_the_documents_size():
    problem = catalog().problem(spec(4, 500))
    assert problem.dim == 1930
    assert "run=4" in problem.name
    assert catalog().problem(spec(4, 500, "ntk", test=True)).dim == 200


def test_the_ledger_asks_ten_million_parameters_of_methods_that_take_fewer_products():
    assert abs(catalog().problem(network_spec(TEN_MILLION, METHODS[0])).dim - 10**7) < 10**4
    for method in METHODS:
        few = FEW[method]
        bound = catalog().method(few.method, few.estimand)
        assert bound.min_matvecs(10**4) <= few.products < GRANTED[method]
    assert list(SIZES)[-1] == TEN_MILLION


def test_another_seed_trains_other_networks_and_the_medium_scale_adds_a_width():
    small, other = design(StudySetting()), design(StudySetting(seed=1))
    assert not {unit.name for unit in small if "run=" in unit.name} & {it.name for it in other if "run=" in it.name}
    assert sum(unit.seconds for unit in small) < 12 * 60
    medium = {unit.name for unit in design(StudySetting(scale=Scale.MEDIUM))} - {unit.name for unit in small}
    assert medium == {f"width=32768, run={run}" for run in range(5)}
