"""The study of a single probe: its laws against plain draws, and the whole of it at a tiny size."""

import re

import numpy as np
import pandas as pd
import pytest

from hessbench.estimand import Source
from hessbench.estimand.density import density_reference
from hessbench.reports.one_vector.page import errors_frame, write_one_vector_study
from hessbench.reports.one_vector.results import MEASURES, MOMENTS
from hessbench.studies.one_vector import (
    Climb,
    OneVectorDesign,
    density_errors,
    moment_deviations,
    probe_errors,
    run_one_vector,
)

SIZES = ((20, 4), (60, 4))
TINY = OneVectorDesign(
    climbs=(
        Climb("linear", "spectrum[name=linear,n={size}]", SIZES),
        Climb("t", "student-t[n={size},instance={draw}]", SIZES),
        Climb("exact", "spectrum[name=identity,n={size}]", SIZES),
    ),
    steps=4, group=2, alone=3,
)  # fmt: skip
SPECTRUM = np.array([3.0, 1.0, 1.0, 1.0, 0.0, 0.0, -2.0, -2.0])


@pytest.fixture(scope="module")
def results():
    return run_one_vector(TINY, lambda _: None)


def test_the_scatter_of_moments_and_the_measure_of_a_probe_are_those_of_plain_draws():
    reference = density_reference(SPECTRUM, Source.ANALYTIC)
    rng = np.random.default_rng(0)
    V = rng.standard_normal((20_000, SPECTRUM.size))
    V /= np.linalg.norm(V, axis=1, keepdims=True)
    powers = np.stack([SPECTRUM**degree for degree in range(1, 5)])
    plain = (V**2 @ powers.T - powers.mean(axis=1)) / np.abs(powers).mean(axis=1)
    expected = moment_deviations(reference, SPECTRUM.size)
    # A standard deviation from m draws is off by about 1 / sqrt(2 m) of itself, somewhat more for these tails.
    assert plain.std(axis=0) == pytest.approx(expected, rel=0.03)
    drawn = [probe_errors(reference, SPECTRUM.size, rng) for _ in range(4_000)]
    assert np.std([[row[name] for name in MOMENTS] for row in drawn], axis=0) == pytest.approx(expected, rel=0.06)
    cdf = np.abs(np.cumsum(V[:4_000, np.argsort(SPECTRUM)] ** 2, axis=1) - np.arange(1, 9) / 8)
    edges = [1, 3, 6, 7]  # the last of each group of equal eigenvalues
    ks = cdf[:, edges].max(axis=1)
    assert np.mean([row["ks"] for row in drawn]) == pytest.approx(ks.mean(), abs=6 * ks.std() / 4_000**0.5)


def test_the_errors_of_the_truth_are_zero_and_of_a_shift_what_it_is():
    reference = density_reference(SPECTRUM, Source.ANALYTIC)
    truth = {"nodes": np.sort(SPECTRUM), "weights": np.full(8, 1 / 8)}
    assert density_errors(truth, reference) == pytest.approx(dict.fromkeys(MEASURES, 0.0), abs=1e-14)
    shifted = density_errors({**truth, "nodes": truth["nodes"] + 0.1}, reference)
    assert shifted["moment1"] == pytest.approx(0.1 / np.abs(SPECTRUM).mean())


def test_every_rung_has_its_starts_and_groups_and_an_exact_one_no_error(results):
    for ladder in results.ladders:
        assert [rung.n for rung in ladder.rungs] == [20, 60]
        for rung in ladder.rungs:
            assert {name: it.shape for name, it in rung.single.items()} == dict.fromkeys(MEASURES, (4,))
            assert rung.pooled["ks"].shape == (2,)
    exact = results.ladders[2].rungs[1]
    assert max(np.abs(exact.single[name]).max() for name in MOMENTS) < 1e-12
    assert set(exact.predicted.values()) == {0.0}


def test_a_mean_of_rules_has_the_mean_of_their_moments(results):
    for rung in results.ladders[0].rungs:
        assert rung.single["moment1"].reshape(2, 2).mean(axis=1) == pytest.approx(rung.pooled["moment1"], abs=1e-13)


def test_the_same_design_gives_the_same_numbers(results):
    pd.testing.assert_frame_equal(errors_frame(results), errors_frame(run_one_vector(TINY, lambda _: None)))


def test_the_page_says_everything_and_holds_its_figures(results, tmp_path):
    page = write_one_vector_study(results, tmp_path / "out", "hessbench study one-vector --out <x>&'")
    text = page.read_text()
    assert "--out &lt;x&gt;&amp;" in text
    assert "exact" in text
    assert text.count("<figure>") == 4
    for name in (str(file.relative_to(page.parent)) for file in page.parent.rglob("*.svg")):
        assert re.search(rf'src="{re.escape(name)}" [^>]*width="\d+" height="\d+"', text)


def test_starts_that_do_not_fill_their_groups_are_refused():
    with pytest.raises(ValueError, match="starts must be a multiple of 5, got 7"):
        OneVectorDesign(climbs=(Climb("a", "spectrum[n={size}]", ((10, 7),)),))


def test_a_family_that_cannot_be_built_is_left_out_and_said(monkeypatch, tmp_path):
    monkeypatch.setenv("HESSBENCH_DATA", str(tmp_path))
    said = []
    spec = "mlp[data=mnist-7x7,widths={size}]"
    found = run_one_vector(OneVectorDesign(climbs=(Climb("nets", spec, ((2, 5),)),)), said.append)
    assert found.ladders == ()
    assert said[0].startswith("nets is left out: ")
