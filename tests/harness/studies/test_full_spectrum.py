"""What the study of whole spectra measures, on spectra with a known answer and on one tiny network."""

import numpy as np
import pandas as pd
import pytest
import torch
from click.testing import CliRunner

from hessbench.cli import main
from hessbench.problems.spectra.rotation import rotated_operator
from hessbench.reports.claims.measured import measured_of
from hessbench.reports.full_spectrum import bulk_verdicts, figures, first_rules, outlier_verdicts
from hessbench.reports.full_spectrum import method_verdicts as names
from hessbench.reports.full_spectrum.groups import BY_SIZE, MAIN, TrainedGroup
from hessbench.reports.full_spectrum.verdicts import CLAIMS
from hessbench.studies.full_spectrum import costs, larger, networks, pipelines, units
from hessbench.studies.full_spectrum import exact as exact_spectra
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


@pytest.fixture
def tiny(monkeypatch, tmp_path):
    """One epoch of one or two rates on a few images, weights in a cache of its own, and few products."""
    monkeypatch.setenv("HESSBENCH_CACHE", str(tmp_path / "cache"))
    networks.chosen_rate.cache_clear()
    for module, name, value in (
        (networks, "_EPOCHS", 1), (networks, "RATES", (0.01, 0.1)), (networks, "TEST_PER_CLASS", 2),
        (networks, "_SELECTING", 2), (larger, "_DEFLATION", 40), (larger, "_BOUNDS", 16), (larger, "_CHECK", 8),
        (names, "STARTS", 2), (costs, "_DATA", "digits"), (costs, "_STEPS", (4, 8)), (costs, "_PER_CLASS", (1, 2)),
        (costs, "_WIDTHS", (4, 8)), (costs, "_MIDDLE", (4, 1, 4)),
    ):  # fmt: skip
        monkeypatch.setattr(module, name, value)
    yield
    networks.chosen_rate.cache_clear()


def test_lanczos_without_reorthogonalisation_holds_as_many_vectors_whatever_the_steps():
    without = [costs.vectors_alive(5_000, steps, "none") for steps in (8, 40)]
    # Two of the recurrence, the start and its copy.
    assert without == [4, 4]
    assert costs.vectors_alive(5_000, 40, "full") - costs.vectors_alive(5_000, 8, "full") == pytest.approx(32)


@pytest.mark.slow
def test_what_only_the_medium_scale_runs_works_on_a_network_without_a_known_spectrum(tiny, monkeypatch):
    monkeypatch.setattr(names, "BUDGET", 80)
    # Without the name of an architecture it is the perceptron of the group, small enough to be made whole.
    group, family = TrainedGroup("digits-7x7", "6", per_class=2), ""
    record = UnitRecord()
    for rate in networks.RATES:
        larger.measure_training(record, family, group, 0, rate)
    assert [row["problem"] for row in record.rows] == [f" digits-7x7 n=2 rate={rate:g}" for rate in (0.01, 0.1)]
    right = [row["value"] for row in record.rows]
    record = UnitRecord()
    splits = ("train", "test")
    larger.measure_convolutional(record, family, group, 0, 0, "cpu", splits=splits)
    found = by_measure(record)
    assert found["rate", ""] == networks.RATES[int(np.argmax(right))]
    for split in splits:
        for operator in ("hessian", "ggn", "residual"):
            what = f"{operator} {split}"
            spec = networks.spec_of(group, 0, found["rate", ""], operator, split, family=family)
            exact = np.linalg.eigvalsh(networks.dense(spec).numpy())
            first = np.sort(exact)[::-1] if operator != "residual" else exact[np.argsort(-np.abs(exact))]
            ours = [found[f"{what}: value {place}", names.BY_LANCZOS] for place in (1, 2)]
            if operator == "residual":  # its first two may be of one size and opposite signs
                first, ours = np.abs(first), [abs(value) for value in ours]
            assert ours == pytest.approx(first[:2], rel=1e-3, abs=1e-5 * np.abs(exact).max())
            assert found[f"{what}: escape", ""] == 0
            nodes, weights = record.arrays[what]
            assert weights.sum() == pytest.approx(1, abs=0.02)
            assert (np.diff(nodes) >= 0).all()


@pytest.mark.slow
def test_the_whole_study_of_tiny_networks_writes_a_page_with_every_verdict(tiny, monkeypatch, tmp_path):
    digits = "digits-7x7"
    groups = {
        "MAIN": (TrainedGroup(digits, "6", per_class=8), TrainedGroup(digits, "7", per_class=8)),
        "SHALLOW": (TrainedGroup(digits, "8", per_class=8), TrainedGroup(digits, "9", per_class=8)),
        "SMOOTH": (TrainedGroup(digits, "6", "tanh", per_class=8),),
        "BY_SIZE": (TrainedGroup(digits, "6", per_class=6), TrainedGroup(digits, "6", per_class=8)),
    }
    for module in (units, figures, bulk_verdicts, outlier_verdicts, names, first_rules):
        for name, value in groups.items():
            monkeypatch.setattr(module, name, value, raising=False)
    monkeypatch.setattr(units, "RUNS", 1)
    monkeypatch.setattr(units, "LARGE_GROUP", TrainedGroup(digits, "8-8", per_class=2))
    monkeypatch.setattr(pipelines, "TOTALS", (names.BUDGET,))
    finished = CliRunner().invoke(main, ["study", "full-spectrum", "--out", str(tmp_path / "out")])
    assert finished.exit_code == 0, finished.output
    rows = pd.read_csv(tmp_path / "out" / "verdicts.csv", keep_default_na=False)
    assert set(rows["claim"]) == {claim.title for claim in CLAIMS}
    assert not rows["seen"].str.contains("no number|no spectrum|fewer than two|no seconds|no memory").any()
    assert rows.loc[rows["former_rule"] != "", "claim"].nunique() == 6
    page = (tmp_path / "out" / "index.html").read_text()
    drawn = {file.stem for file in (tmp_path / "out" / "figures").glob("*.svg")}
    assert all(f"figures/{name}.svg" in page for name in drawn)
    assert drawn >= {"deflation", "gaps", "hessians", "parts", "sizes", "tail"}


def test_generators_are_those_of_the_network_and_not_of_the_pipeline():
    a, b = (torch.randn(3, generator=pipelines.start_generator("p", 1)) for _ in range(2))
    assert torch.equal(a, b)
