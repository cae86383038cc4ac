"""The calibration study: all of it at a tiny size, and the promises that are strict."""

import numpy as np
import pytest

from hessbench.reports.calibration.page import write_calibration_study
from hessbench.reports.calibration.verdicts import all_coverage, exact_interval
from hessbench.studies.calibration import NETWORKS, PRODUCTS, CalibrationDesign, run_calibration

TINY = CalibrationDesign(n=24, spectra=("flat", "signed"), networks=NETWORKS[:1], probes=(2, 12), seeds=2)
STRICT = {"hutchinson": 1, "hutchinson[probe=sphere]": 1, "hutchpp": 3}


@pytest.fixture(scope="module")
def results():
    return run_calibration(TINY, lambda _: None)


def test_every_method_that_claims_an_error_is_in_it_where_it_can_answer(results):
    assert {cell.method for cell in results.cells} == set(PRODUCTS)
    assert {cell.problem for cell in results.cells if cell.method == "xnystrace"} == {"flat", NETWORKS[0]}
    assert {cell.problem for cell in results.cells if cell.method == "ggn-diagonal-mc"} == {NETWORKS[0]}
    assert all(cell.errors.shape == (2,) and cell.claimed.shape == cell.corrected.shape == (2, 2)
               for cell in results.cells)  # fmt: skip


def test_intervals_of_few_probes_are_wider_than_they_claim(results):
    # Student's t of one degree of freedom at 95 %: 12.7 in place of 1.96 standard errors.
    two = [cell for cell in results.cells if cell.method == "hutchinson" and cell.probes == 2]
    for cell in two:
        assert cell.corrected[1] == pytest.approx(cell.claimed[1] * 12.7062 / 1.95996, rel=1e-4)


def test_the_page_holds_the_rule_the_answers_and_the_figures(results, tmp_path):
    page = write_calibration_study(results, tmp_path / "study", "hessbench study calibration --out study")
    text = page.read_text(encoding="utf-8")
    assert "- nearly, where one is" in text
    assert all(f"<code>{method}</code>" in text for method in PRODUCTS)
    assert {path.name for path in (tmp_path / "study").rglob("*.*")} == {
        "index.html", "coverage.csv", "believed.csv", "coverage.svg", "widths.svg",
    }  # fmt: skip


@pytest.mark.slow
def test_intervals_of_hutchinson_and_hutchpp_hold_on_flat_and_on_step():
    # What is left to Hutch++ of `step` after 10 columns is skewed; from 30 probes on all are near normal.
    design = CalibrationDesign(spectra=("flat", "step"), networks=(), methods=STRICT, probes=(5, 10, 30), seeds=600)
    for found in all_coverage(run_calibration(design, lambda _: None).cells):
        if found.kind == "corrected":
            for coverage, level in zip(found.coverage, (0.68, 0.95), strict=True):
                low, high = exact_interval(round(coverage.share * 600), 600, 0.9999)
                assert low <= level <= high or np.isclose(coverage.share, 1), (found.cell, coverage)
