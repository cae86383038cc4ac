"""What the capstone takes from a spectrum, and which units it measures."""

from __future__ import annotations

import os

import numpy as np
import pytest
from scipy.stats import norm

from hessbench.reports.capstone.measures import (
    BLOCKS,
    GRANTED,
    HUTCHINSON,
    LANCZOS,
    METHODS,
    RANDOMIZED,
    STEPS,
    TEN_MILLION,
    step,
    width,
)
from hessbench.reports.claims.measured import measured_of
from hessbench.studies.capstone.design import design, measure_net
from hessbench.studies.capstone.influence import measure_influence
from hessbench.studies.capstone.kernels import measure_laziness
from hessbench.studies.capstone.ledger import FEW, SIZES, measure_costs, network_spec
from hessbench.studies.capstone.spectra import ks_to_normal, largest_gap, near_zero_share
from hessbench.studies.capstone.trained import catalog, network_of, spec
from hessbench.studies.scale import Scale, StudySetting
from hessbench.studies.unit import UnitRecord

needs_mnist = pytest.mark.skipif(not os.environ.get("HESSBENCH_DATA"), reason="HESSBENCH_DATA is not set")


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


@needs_mnist
def test_a_network_too_wide_to_be_trained_on_the_way_is_trained_when_it_is_made(tmp_path, monkeypatch):
    monkeypatch.setenv("HESSBENCH_CACHE", str(tmp_path))
    monkeypatch.setattr("hessbench.problems.training.recipes.SHORT_PARAMETERS", 100)
    assert catalog().problem(spec(0, 10, units=4)).refusal
    assert network_of(0, 10, units=4).parameters.numel() == 60 * 4 + 10


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


def measured(measure, **asked):
    record = UnitRecord()
    measure(record, **asked)
    return measured_of([{"unit": "one", **row} for row in record.rows], record.arrays)


@needs_mnist
@pytest.mark.slow
def test_one_network_is_measured_consistently_at_every_step():
    found = measured(measure_net, run=0, drawn=False)
    for number in STEPS:
        at = step(number)

        def one(measure, method=None, at=at):
            (value,) = found.values(measure, problem=at, method=method)
            return value

        # Five standard errors of 200 probes: missed once in a million.
        assert abs(one("trace_estimate") - one("trace")) < 5 * one("trace_stderr", HUTCHINSON)
        assert one("top_error", LANCZOS) < 0.01
        assert one("kernel_error", RANDOMIZED) < 0.05
        assert one("products", RANDOMIZED) == GRANTED[RANDOMIZED]
        assert found.values("layer_share", problem=at).sum() == pytest.approx(1)
        assert found.values("block_top", problem=at).max() <= one("top") * (1 + 1e-9)  # Cauchy
        assert one("distance_to_blocks", BLOCKS) == 0
    assert found.values("kernel_drift_by_step", problem=step(0)).tolist() == [0]
    assert found.values("loss", problem=step(STEPS[-1])) < found.values("loss", problem=step(0))


@needs_mnist
@pytest.mark.slow
def test_the_trainings_without_an_example_end_where_the_stored_one_did():
    found = measured(measure_influence, run=0)
    assert abs(found.values("same_loss")[0]) < 1e-6  # stored weights are rounded to float32
    assert found.arrays["solve errors"][-1] < 1e-6
    assert found.values("left_out").tolist() == [60]


@needs_mnist
@pytest.mark.slow
def test_a_wide_network_moves_its_kernel_less_than_a_narrow_one():
    narrow, wide = (measured(measure_laziness, run=0, units=units, device="cpu") for units in (32, 512))
    assert wide.values("kernel_drift", problem=width(512)) < narrow.values("kernel_drift", problem=width(32))


@needs_mnist
@pytest.mark.slow
def test_all_products_of_the_ledger_follow_from_a_few():
    found = measured(measure_costs, size="P = 10^5", method=HUTCHINSON, device="cpu")
    assert found.values("products").tolist() == [200]
    assert found.values("products_measured").tolist() == [FEW[HUTCHINSON].products]
    assert found.values("gradient_equivalents").tolist() == pytest.approx([400])  # a Hessian product is two gradients
    assert found.values("product_seconds")[0] > 0
