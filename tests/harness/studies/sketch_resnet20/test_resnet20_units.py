"""What the units of the ResNet20 study measure, on operators where the answer is known, and what it plans."""

import dataclasses

import numpy as np
import pytest
import torch

from hessbench.catalog import load_catalog
from hessbench.counting import CountingOperator
from hessbench.estimand import Trace
from hessbench.operators import dense_operator
from hessbench.problems.references.gram import gram_spectrum
from hessbench.problems.references.shipped import FOLDER, file_name
from hessbench.reports.claims.measured import measured_of
from hessbench.reports.sketch_resnet20 import named
from hessbench.reports.sketch_resnet20.readings import network
from hessbench.seeding import make_generator
from hessbench.studies.calls import split_calls
from hessbench.studies.scale import Scale, StudySetting
from hessbench.studies.sketch_resnet20.networks import ready_problem
from hessbench.studies.sketch_resnet20.plan import plan_units
from hessbench.studies.sketch_resnet20.runs import measure_lanczos, measure_runs, shared_range
from hessbench.studies.sketch_resnet20.sketches import measure_sketches
from hessbench.studies.sketch_resnet20.truths import measure_ggn, measure_truth
from hessbench.studies.units import UnitRecord

TINY = "digits-mlp[step=500,width=2]"


def test_a_shared_range_is_exact_for_a_matrix_of_rank_20():
    generator = make_generator(3)
    basis = torch.linalg.qr(torch.randn(80, 20, generator=generator, dtype=torch.float64)).Q
    values = torch.arange(1.0, 21.0, dtype=torch.float64)
    op = CountingOperator(dense_operator(basis * values @ basis.T), 50)
    found = shared_range(op, 50, generator)
    assert op.matvecs == 50
    assert found.value == pytest.approx(values.numpy())
    assert float(found.also[Trace].value) == pytest.approx(210.0)


def test_units_of_a_small_network_are_read_back_with_their_truth():
    record = UnitRecord()
    measure_truth(record, spec=TINY, trace=True)
    measure_lanczos(record, spec=TINY, method=named.LANCZOS, budgets=(60, 40), repeats=range(2), device="cpu")
    measure_runs(record, spec=TINY, method=named.SHARED, budgets=named.SIZES, repeats=range(1), device="cpu")
    measure_sketches(record, spec=TINY, repeats=range(1), device="cpu")
    measured = measured_of(
        [{"unit": "u", **row} for row in record.rows], {f"u/{name}": array for name, array in record.arrays.items()}
    )
    problem = load_catalog().problem(TINY)
    net = network(measured, problem.name)
    assert net is not None
    first, second = net.runs_of(named.LANCZOS)
    assert (first.repeat, second.repeat, first.products[-1], second.products[-1]) == (0, 1, 60, 40)
    assert first.errors()[-1] < 1e-3
    assert first.stop() <= 60
    assert (np.diff(first.seconds) >= 0).all()
    assert (first.own <= first.seconds).all()
    shared = net.runs_of(named.SHARED)
    assert [run.products[-1] for run in shared] == [50, 100]
    (sketch,) = net.sketches
    assert sketch.gram.shape == (100, 100)
    # Hutchinson's estimate of 100 signs: five standard deviations by the Frobenius norm, which the trace bounds here.
    assert abs(sketch.trace(100) - net.truth.trace) <= 5 * (2 / 100) ** 0.5 * net.truth.abs_sum


def test_the_ggn_has_at_most_as_many_eigenvalues_as_its_factor_has_columns():
    record = UnitRecord()
    spec = "mlp[operator=ggn,per_class=2,weights=random,widths=4]"
    measure_ggn(record, spec=spec)
    found = {row["measure"]: row["value"] for row in record.rows}
    spectrum = gram_spectrum(load_catalog().problem(spec).network(), "ggn")
    assert found[named.RANK] == (spectrum.eigenvalues > 1e-12 * spectrum.eigenvalues.max()).sum()
    assert found[named.RANK] <= found[named.COLUMNS]


def test_small_takes_twelve_minutes_at_most_and_medium_calls_of_eight():
    small, medium = (plan_units(StudySetting(scale)) for scale in (Scale.SMALL, Scale.MEDIUM))
    assert sum(unit.seconds for unit in small) <= 720
    for units in (small, medium):
        assert len({unit.name for unit in units}) == len(units)
        assert max(unit.seconds for unit in units) <= 480
    assert len(split_calls(medium)) >= 2
    assert {unit.name for unit in small} != {unit.name for unit in plan_units(StudySetting(seed=1))}


@pytest.mark.parametrize("trainable", [True, False])
def test_a_network_that_is_not_trained_yet_is_trained_and_what_cannot_be_had_is_refused(trainable):
    trained = []

    class Shelf:
        def problem(self, spec):
            return dataclasses.replace(
                load_catalog().problem(TINY),
                unavailable=lambda: None if trained else "its weights are not trained yet",
                train=(lambda *_: trained.append(spec) or ()) if trainable else None,
            )

    if not trainable:
        with pytest.raises(ValueError, match="net: its weights are not trained yet"):
            ready_problem(Shelf(), "net")
        return
    assert ready_problem(Shelf(), "net").refusal is None
    assert trained == ["net"]


def test_the_first_eigenvalues_of_every_resnet20_of_the_small_scale_ship_or_are_of_networks_that_are_quick():
    specs = {unit.measure.keywords["spec"] for unit in plan_units(StudySetting()) if unit.name.endswith(": truth")}
    shipped = [spec for spec in specs if (FOLDER / file_name(spec)).is_file()]
    assert {spec.partition("[")[0] for spec in specs - set(shipped)} == {"mlp"}
    assert sum(unit.seconds for unit in plan_units(StudySetting())) <= 720
