"""The density study: its runs against runs by hand, and the whole of it at a tiny size."""

import re

import numpy as np
import pandas as pd
import pytest
import torch

from hessbench.catalog import load_catalog
from hessbench.estimand import Density
from hessbench.reports.density.page import errors_frame, write_density_study
from hessbench.seeding import cell_seed, make_generator
from hessbench.studies.density import METHODS, DensityCase, DensityDesign, run_density, synthetic_cases
from hessbench.studies.single_run import last_estimate

TINY = DensityDesign(
    methods=("slq[steps=100]", "kpm", "kpm[damping=lanczos]", "slq[steps=10]"),
    synthetic=False,
    cases=(
        DensityCase("draws", ("student-t[n=40,instance=0]", "student-t[n=40,instance=1]")),
        DensityCase("identity", ("spectrum[name=identity,n=30]",)),
        DensityCase("spiked", ("spectrum[name=spiked,n=120]",), is_network=True),
    ),
    repeats=3,
    shown=("draws", "identity", "spiked", "not run"),
)  # fmt: skip


@pytest.fixture(scope="module")
def results():
    return run_density(TINY, lambda _: None)


def test_the_third_repeat_is_on_the_first_draw_again_from_a_seed_that_no_method_chooses(results):
    catalog = load_catalog()
    problem = catalog.problem("student-t[n=40]")
    operator = problem.build(torch.device("cpu"), torch.float64)
    method = catalog.method("kpm", Density())
    estimate = last_estimate(method, operator, 40, make_generator(cell_seed(problem.name, "density", 2)))
    arrays = Density().to_arrays(estimate.value, 40)
    expected = Density().errors(arrays, problem.references[Density](Density()), "float64")
    assert results.cases[0].errors["kpm"]["ks"][2] == expected["ks"]


def test_every_method_has_every_repeat_of_every_problem_and_the_exact_one_no_error(results):
    for case in results.cases:
        for method in TINY.methods:
            assert case.errors[method]["wasserstein1"].shape == (3,)
    assert results.cases[1].largest_atom == 1.0
    assert results.cases[2].outlier_reach > 3
    assert results.shown == ("draws", "identity", "spiked")


def test_a_run_without_a_density_says_why(monkeypatch):
    nothing = (np.full(1, np.nan), np.full(1, np.nan))
    from hessbench.estimand import Estimate

    monkeypatch.setattr(
        "hessbench.studies.density.last_estimate", lambda *_: Estimate(nothing, diagnostics={"reason": "it escaped"})
    )
    case = run_density(TINY, lambda _: None).cases[0]
    assert case.reasons["kpm"] == ("it escaped",)
    assert case.rules == {}


def test_the_same_design_gives_the_same_numbers(results):
    pd.testing.assert_frame_equal(errors_frame(results), errors_frame(run_density(TINY, lambda _: None)))


def test_the_page_says_everything_and_holds_its_figures(results, tmp_path):
    page = write_density_study(results, tmp_path / "out", "hessbench study density --out <x>&'")
    text = page.read_text()
    assert "--out &lt;x&gt;&amp;" in text
    assert text.count("<figure>") == 3
    for name in (str(file.relative_to(page.parent)) for file in page.parent.rglob("*.svg")):
        assert re.search(rf'src="{re.escape(name)}" [^>]*width="\d+" height="\d+"', text)


def test_the_whole_synthetic_registry_is_in_and_every_method_is_known():
    catalog = load_catalog()
    names = [case.name for case in synthetic_cases(catalog)]
    assert {"wigner", "student-t", "spectrum[name=rank-one]", "wishart"} <= set(names)
    assert not any("mlp" in name for name in names)
    for spec in METHODS:
        assert catalog.method(spec, Density()).spec
    for name in DensityDesign().shown:
        assert name in names or name in [case.name for case in DensityDesign().cases]
