"""What the study of whole spectra measures, on spectra with a known answer and on one tiny network."""

import numpy as np
import pytest
import torch

from hessbench.problems.spectra.rotation import rotated_operator
from hessbench.reports.claims.measured import measured_of
from hessbench.reports.full_spectrum import method_verdicts as names
from hessbench.reports.full_spectrum.groups import BY_SIZE, MAIN, TrainedGroup
from hessbench.studies.full_spectrum import exact as exact_spectra
from hessbench.studies.full_spectrum import pipelines
from hessbench.studies.full_spectrum.lines import line_fit
from hessbench.studies.full_spectrum.units import units_of
from hessbench.studies.scale import Scale, StudySetting
from hessbench.studies.units import UnitRecord

SPIKED = np.concatenate([np.linspace(20, 60, 10), np.linspace(-1, 1, 190)])


def by_measure(record):
    return {(row["measure"], row["method"]): row["value"] for row in record.rows}


def test_the_exact_spectrum_has_no_error_and_one_point_at_the_mean_has_one():
    ordered = np.sort(SPIKED)
    mass = np.full(ordered.size, 1 / ordered.size)
    assert pipelines.density_errors((ordered, mass), ordered) == pytest.approx((0, 0), abs=1e-12)
    whole, _ = pipelines.density_errors((np.asarray([ordered.mean()]), np.ones(1)), ordered)
    assert whole == pytest.approx(1)
    assert np.isnan(pipelines.density_errors((np.asarray([np.nan]), np.ones(1)), ordered)).all()


def test_every_pipeline_stays_within_its_total_and_deflation_finds_planted_outliers():
    record = UnitRecord()
    op = rotated_operator(SPIKED, 0, *pipelines.HOST)
    pipelines.score_pipelines(record, "p", op, np.sort(SPIKED), 0, 100, pipelines.PIPELINES)
    assert {row["method"] for row in record.rows} == {it.name for it in pipelines.PIPELINES}
    assert all(0 < row["num_matvecs"] <= 100 for row in record.rows)
    found = by_measure(record)
    assert found["outlier-error at 100", names.BY_LANCZOS] < 1e-8
    assert all(found["w1 at 100", it.name] < 0.5 for it in pipelines.PIPELINES)


def test_starts_and_seeds_are_said_and_a_second_run_gives_the_same_intervals(monkeypatch):
    monkeypatch.setattr(pipelines.names, "STARTS", 3)
    records = [UnitRecord(), UnitRecord()]
    for record in records:
        pipelines.measure_intervals(record, "p", "H", SPIKED, 0)
    assert records[0].rows == records[1].rows
    assert by_measure(records[0])["interval-misses", "explicit"] == 0


def test_a_line_fits_a_power_law_and_its_slope_is_the_exponent():
    values = np.random.default_rng(0).pareto(1.5, 3000) * 0.01
    r2, slope, density = line_fit(np.concatenate([values, -values]), "power law", 0)
    assert r2 > 0.9
    assert slope < -1
    assert density.shape == (2, 1024)


def test_units_have_names_of_their_own_and_another_seed_other_trainings():
    first, second = ({it.name for it in units_of(StudySetting(seed=seed))} for seed in (0, 1))
    assert len(first) == len(units_of(StudySetting()))
    assert not first & second
    assert sum(it.seconds for it in units_of(StudySetting())) <= 720
    medium = units_of(StudySetting(Scale.MEDIUM, "cuda"))
    assert all(it.seconds <= 480 for it in medium)
    assert first < {it.name for it in medium}


def test_groups_that_are_judged_are_run():
    names_of = {it.name for it in units_of(StudySetting())}
    for group in (*MAIN, *BY_SIZE):
        assert f"{group.name} run=0" in names_of


@pytest.mark.slow
def test_a_tiny_network_gives_every_number_that_its_rules_ask_for(monkeypatch, tmp_path):
    monkeypatch.setenv("HESSBENCH_CACHE", str(tmp_path))
    monkeypatch.setattr(pipelines.names, "STARTS", 2)
    monkeypatch.setattr(pipelines, "TOTALS", (320,))
    monkeypatch.setattr(exact_spectra, "measure_intervals", pipelines.measure_intervals)
    group = TrainedGroup("digits-7x7", "8", per_class=10)
    monkeypatch.setattr("hessbench.studies.full_spectrum.networks.TEST_PER_CLASS", 10)
    monkeypatch.setattr("hessbench.studies.full_spectrum.networks._SELECTING", 10)
    record = UnitRecord()
    exact_spectra.measure_network(record, group, 0, 0, whole=True)
    found = by_measure(record)
    assert found["weyl", ""] <= 1 + 1e-9
    assert abs(found["trace-share-of-r", ""]) < 1e-9
    assert found["symmetry-p", ""] > 0.99  # one hidden layer: exactly symmetric
    assert 0 < found["rayleigh-share", ""] <= 1.5
    assert found["span-cross", ""] >= found["span-class", ""] - 1e-9
    assert record.arrays["h"].shape == (490,)
    rows = [{"unit": "u", **row} for row in record.rows]
    assert measured_of(rows).by_unit("gap-place", problem=group.name)


def test_generators_are_those_of_the_network_and_not_of_the_pipeline():
    a, b = (torch.randn(3, generator=pipelines.start_generator("p", 1)) for _ in range(2))
    assert torch.equal(a, b)
