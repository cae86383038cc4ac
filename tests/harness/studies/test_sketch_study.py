"""The sketch study: its numbers against the plain formula, and the whole of it at a tiny size."""

import re

import numpy as np
import pandas as pd
import pytest
import torch

from hessbench.methods.eigenvalues.sketch import sketch
from hessbench.operators import dense_operator
from hessbench.reports.sketch.page import write_sketch_study
from hessbench.seeding import make_generator
from hessbench.studies.race import Races
from hessbench.studies.sketch import Design, negative_counts, run_study, sketch_errors

TINY = Design(
    n=40, zero_fractions=(0.2, 0.5), ratios=(0.2, 0.6), matrices=3, document_matrices=2, sketches=2, signed_sketches=1,
    ranks=5, races=Races(problems=("spectrum[n=50]", "spectrum[n=50,name=linear]"), budgets=(4, 8, 16), starts=2, k=3),
)  # fmt: skip


@pytest.fixture(scope="module")
def results():
    return run_study(TINY, lambda _: None)


@pytest.mark.parametrize("r", [6, 30])
def test_errors_are_those_of_the_sketch_as_it_is_defined(r):
    rng = np.random.default_rng(r)
    values, V = rng.random(r) + 0.1, np.linalg.qr(rng.standard_normal((40, 40)))[0][:, :r]
    S = 2.0 * rng.integers(0, 2, (40, 20)) - 1
    errors, traces = sketch_errors(values, V.T @ S, [5, 8, 20], 5)
    A = (V * values) @ V.T
    truth = np.sort(values)[::-1][:5]
    for row, m in enumerate((5, 8, 20)):
        G = S[:, :m].T @ A @ S[:, :m] / m
        expected = 100 * (np.linalg.eigvalsh(G)[::-1][:5] - truth) / truth
        assert errors[row] == pytest.approx(expected, rel=1e-9, abs=1e-9)
        assert traces[row] == pytest.approx(np.trace(G) / np.trace(A) - 1, abs=1e-12)


def test_the_study_agrees_with_the_registered_method():
    values = np.linspace(1, 3, 30)
    signs = torch.randint(0, 2, (30, 10), generator=make_generator(0), dtype=torch.float64).mul_(2).sub_(1)
    op = dense_operator(torch.diag(torch.as_tensor(values)))
    found = sketch(op, num_matvecs=10, generator=make_generator(0), k=5, which="algebraic").value
    errors, _ = sketch_errors(values, signs.numpy(), [10], 5)
    truth = np.sort(values)[::-1][:5]
    assert errors[0] == pytest.approx(100 * (found - truth) / truth, rel=1e-9)


def test_negative_eigenvalues_are_counted_and_rounding_is_not():
    values = np.array([3.0, -2.0, -1.0, *np.full(3, 0.5)])
    S = np.eye(6)[:, :4]
    assert negative_counts(values, S, [1, 2, 4]) == [0, 1, 2]
    assert negative_counts(np.ones(2), np.random.default_rng(0).standard_normal((2, 30)), [30]) == [0]


def test_matrices_are_nested_and_the_diagonal_basis_keeps_the_trace(results):
    assert np.abs(results.traces["diagonal"]).max() < 1e-13
    assert np.abs(results.traces["rotated"]).max() > 1e-3
    # A larger share of zeros leaves fewer negative eigenvalues, since they are some of the same.
    assert (results.negatives_of_matrix[1] <= results.negatives_of_matrix[0]).all()
    assert results.errors["rotated"].shape == (2, 2, 3, 2, 5)


def test_the_same_design_gives_the_same_bits(results):
    again = run_study(TINY, lambda _: None)
    assert all(np.array_equal(results.errors[basis], again.errors[basis]) for basis in results.errors)
    assert all(
        np.array_equal(one.errors[name], two.errors[name], equal_nan=True)
        for one, two in zip(results.races, again.races, strict=True) for name in one.errors
    )  # fmt: skip


def test_races_start_where_a_method_can_and_end_at_the_budget(results):
    race = results.races[0]
    assert race.errors["lanczos"].shape == (2, 3)
    assert np.isfinite(race.errors["sketch-and-refine[refine=davidson]"]).all()
    assert (np.median(race.errors["lanczos"], axis=0)[-1:] < 1e-2).all()


@pytest.fixture(scope="module")
def page(results, tmp_path_factory):
    return write_sketch_study(results, tmp_path_factory.mktemp("study"), "hessbench study sketch --out <x>&'")


def contents(folder):
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def test_the_page_says_everything_and_is_the_same_twice(results, page):
    text = page.read_text()
    assert "--out &lt;x&gt;&amp;" in text
    assert text.count("<figure>") == 1 + 2 * 5
    files = contents(page.parent)
    write_sketch_study(results, page.parent, "hessbench study sketch --out <x>&'")
    assert contents(page.parent) == files
    for name in (name for name in files if name.endswith(".svg")):
        assert re.search(rf'src="{re.escape(name)}" [^>]*width="\d+" height="\d+"', text)
        assert len(files[name]) < 300_000


def test_the_numbers_behind_the_figures_are_whole(page):
    folder = page.parent
    errors = pd.read_csv(folder / "errors.csv")
    assert len(errors) == 2 * 2 * 2 * 5
    assert (errors.low_percent <= errors.median_error_percent).all()
    assert len(pd.read_csv(folder / "verdicts.csv")) == 10
    assert len(pd.read_csv(folder / "race.csv")) == 2 * 5 * 2 * 3
