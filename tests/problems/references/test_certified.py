"""Certified eigenvalues against known spectra: clusters, pairs, multiples, and what it refuses."""

import numpy as np
import pytest
import torch

from hessbench.counting import CountingOperator
from hessbench.estimand import Source, TopEigenvalues
from hessbench.operators import FunctionOperator
from hessbench.problems.curvature import curvature_operator
from hessbench.problems.references import certified
from hessbench.problems.references.certified import Limits, block_lanczos, certified_reference, certified_references
from hessbench.problems.references.dense import DENSE

WHICH = ("magnitude", "algebraic", "smallest")
uniform = np.random.default_rng(0).uniform

SPECTRA = {
    "heavy tails": (np.random.default_rng(1).standard_t(3, 300), 10),
    "pairs of opposite sign": (np.r_[[5, -5, 4, -4, 3, -3, 2, -2], uniform(-1, 1, 200)], 8),
    "a cluster": (np.r_[1 + 1e-9 * np.arange(6), uniform(0, 0.9, 200)], 6),
    "multiples wider than a block": (np.r_[np.full(3, 3.0), np.full(5, 2.0), uniform(-1, 1, 200)], 8),
    "a multiple wider than k": (np.r_[np.ones(20), uniform(0, 0.5, 200)], 10),
    "low rank": (np.r_[[3, 2, 1], np.zeros(200)], 10),
    "all": (np.random.default_rng(2).standard_normal(40), 40),
    "all but one": (np.random.default_rng(2).standard_normal(40), 39),
    "fewer than a block": ([2.0, -1.0], 2),
    "one": ([-3.0], 1),
}


def truth_of(eigenvalues, estimand):
    return estimand.rank(np.sort(np.asarray(eigenvalues, dtype=np.float64)))[: estimand.k]


@pytest.mark.parametrize("which", WHICH)
@pytest.mark.parametrize("name", SPECTRA)
def test_every_eigenvalue_is_found_within_the_bound(name, which, rotated):
    eigenvalues, k = SPECTRA[name]
    estimand = TopEigenvalues(k, which)
    found = certified_reference(rotated(eigenvalues), estimand, 10.0, name)
    truth, values = truth_of(eigenvalues, estimand), found.arrays["eigenvalues"]
    if which == "magnitude":
        truth, values = np.abs(truth), np.abs(values)
    norm = np.abs(eigenvalues).max()
    assert values.shape == (k,)
    assert np.abs(values - truth).max() <= found.bound + 1e-14 * norm
    assert found.bound <= 1e-9 * norm
    assert found.norm == pytest.approx(norm, rel=0.3)
    assert (found.source, found.rounding) == (Source.CERTIFIED, 10.0)


@pytest.mark.parametrize("factor", [0.0, 1.0, -2.5])
@pytest.mark.parametrize("which", WHICH)
def test_multiples_of_the_identity_are_found_whole(factor, which):
    op = FunctionOperator(lambda block: factor * block, 50, torch.float64)
    found = certified_reference(op, TopEigenvalues(7, which), 10.0)
    np.testing.assert_allclose(found.arrays["eigenvalues"], np.full(7, factor), atol=1e-14)
    assert found.bound <= 1e-14


@pytest.mark.parametrize("which", WHICH)
def test_a_basis_that_is_full_is_restarted(which, rotated):
    eigenvalues = np.random.default_rng(3).standard_t(2, 400)
    limits = Limits(basis=24)
    counted = CountingOperator(rotated(eigenvalues))
    found = certified_reference(counted, TopEigenvalues(5, which), 10.0, limits=limits)
    truth = truth_of(eigenvalues, TopEigenvalues(5, which))
    np.testing.assert_allclose(found.arrays["eigenvalues"], truth, atol=1e-9 * np.abs(eigenvalues).max())
    assert counted.matvecs > 2 * 24


@pytest.mark.parametrize("operator", ["hessian", "ggn", "gradient-second-moment"])
def test_eigenvalues_of_a_network_are_those_of_the_dense_matrix(operator, network_of):
    network = network_of((20, 9, 13))
    estimand = TopEigenvalues(5)
    find = certified_references(lambda: curvature_operator(network, operator), 10.0)[TopEigenvalues]
    truth = estimand.rank(np.linalg.eigvalsh(DENSE[operator](network)))[:5]
    found = find(estimand)
    np.testing.assert_allclose(found.arrays["eigenvalues"], truth, rtol=0, atol=found.bound + 1e-13 * found.norm)


def test_the_note_says_what_speaks_for_completeness(rotated):
    counted = CountingOperator(rotated(SPECTRA["heavy tails"][0]))
    note = certified_reference(counted, TopEigenvalues(4), 10.0).note
    assert "argued by two independent block starts that agree" in note
    spent = [int(part.split()[0].strip("(")) for part in note.split("agree ")[1].split(" and ")]
    assert sum(spent) == counted.matvecs
    assert "blocks of 2" in note
    assert "blocks of 3" in note


def test_the_same_name_gives_the_same_bits_and_another_name_another_start(rotated):
    op = rotated(SPECTRA["heavy tails"][0])
    one, same, other = (certified_reference(op, TopEigenvalues(4), 10.0, name) for name in ("a", "a", "b"))
    np.testing.assert_array_equal(one.arrays["eigenvalues"], same.arrays["eigenvalues"])
    assert one.bound == same.bound != other.bound


def test_starts_that_do_not_agree_are_an_error_that_says_so(rotated, monkeypatch):
    op = rotated([3.0, 2.0, 1.0, *uniform(-0.5, 0.5, 50)])
    run = block_lanczos

    def blind(op, estimand, width, generator, limits):
        """A run with an even block never sees the largest eigenvalue."""
        found = run(op, TopEigenvalues(estimand.k + 1), width, generator, limits)
        values = found.eigenvalues[1:] if width % 2 == 0 else found.eigenvalues[:-1]
        return certified.Certificate(values, found.bound, found.norm, found.products, width)

    monkeypatch.setattr(certified, "block_lanczos", blind)
    with pytest.raises(ValueError, match=r"two independent starts do not agree .* blocks of 2 and 3 nor 3 and 4"):
        certified_reference(op, TopEigenvalues(3), 10.0)


def test_a_run_out_of_products_is_an_error_that_says_so(rotated):
    op = CountingOperator(rotated(np.linspace(0, 1, 300)), 80)
    with pytest.raises(ValueError, match=r"top-eigenvalues\[k=10\]: residuals did not reach 1e-10 .* in 40 products"):
        certified_reference(op, TopEigenvalues(10), 10.0, limits=Limits(max_products=40))
    assert op.matvecs <= 40


def test_products_of_no_one_operator_are_refused(rotated):
    exact = rotated(np.linspace(0, 1, 40))
    generator = torch.Generator().manual_seed(0)

    def noisy(block):
        return exact.matmat(block) + 1e-6 * torch.randn(block.shape, generator=generator, dtype=block.dtype)

    with pytest.raises(ValueError, match="the products are not those of one symmetric operator in float64"):
        certified_reference(FunctionOperator(noisy, 40, torch.float64), TopEigenvalues(40), 10.0)


@pytest.mark.parametrize(
    ("op", "limits", "message"),
    [
        (FunctionOperator(torch.clone, 50), Limits(), "needs an operator in float64, got torch.float32"),
        (FunctionOperator(lambda b: b * torch.nan, 50, torch.float64), Limits(), "values that are not finite"),
        (FunctionOperator(torch.clone, 50, torch.float64), Limits(memory=999), "need 12400 bytes of vectors, 999 are"),
    ],
)
def test_bad_input_is_refused_in_one_sentence(op, limits, message):
    with pytest.raises(ValueError, match=message):
        certified_reference(op, TopEigenvalues(5), 10.0, limits=limits)


def test_more_eigenvalues_than_the_dimension_are_refused(rotated):
    with pytest.raises(ValueError, match="k must be between 1 and the dimension 2, got 3"):
        certified_reference(rotated([1.0, 2.0]), TopEigenvalues(3), 10.0)
