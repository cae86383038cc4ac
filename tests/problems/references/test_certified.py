"""Certified eigenvalues against known spectra: clusters, pairs, multiples, and what it refuses."""

import itertools

import numpy as np
import pytest
import torch
from torch import nn

from hessbench.counting import CountingOperator
from hessbench.estimand import Source, TopEigenvalues
from hessbench.operators import FunctionOperator, to_dense
from hessbench.problems import from_model
from hessbench.problems.curvature.matrices import curvature_operator
from hessbench.problems.references import certified
from hessbench.problems.references.block_lanczos import Known, block_lanczos
from hessbench.problems.references.certified import LanczosLimits, certified_reference, certified_references
from hessbench.problems.references.dense import DENSE
from hessbench.seeding import make_generator

CPU = torch.device("cpu")
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
    assert 1e-10 * found.norm <= found.bound <= 1e-9 * norm
    assert found.norm == pytest.approx(norm, rel=0.3)
    assert (found.source, found.rounding) == (Source.CERTIFIED, 10.0)


@pytest.mark.parametrize("factor", [0.0, 1.0, -2.5])
@pytest.mark.parametrize("which", WHICH)
def test_multiples_of_the_identity_are_found_whole(factor, which):
    op = FunctionOperator(lambda block: factor * block, 50, torch.float64)
    found = certified_reference(op, TopEigenvalues(7, which), 10.0)
    np.testing.assert_allclose(found.arrays["eigenvalues"], np.full(7, factor), atol=1e-14)
    assert found.bound == pytest.approx(1e-10 * abs(factor), rel=1e-4)


@pytest.mark.parametrize("which", WHICH)
def test_a_basis_that_is_full_is_restarted(which, rotated):
    eigenvalues = np.random.default_rng(3).standard_t(2, 400)
    limits = LanczosLimits(basis=24)
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
    assert "but for random starts of probability 1e-08 a run" in note
    assert "beginning with blocks of 2" in note
    spent = [int(part.split()[-1]) for part in note.replace(" from a fresh", " products").split(" products")[:2]]
    assert sum(spent) == counted.matvecs


def test_the_same_name_gives_the_same_bits_and_another_name_another_start(rotated):
    op = rotated(SPECTRA["heavy tails"][0])
    one, same, other = (certified_reference(op, TopEigenvalues(4), 10.0, name) for name in ("a", "a", "b"))
    np.testing.assert_array_equal(one.arrays["eigenvalues"], same.arrays["eigenvalues"])
    assert one.bound == same.bound != other.bound


def test_what_the_search_is_blind_to_the_proof_finds(rotated, monkeypatch):
    eigenvalues = np.r_[3.0, 3.0, 2.0, 1.0, uniform(-0.5, 0.5, 50)]
    op, estimand = rotated(eigenvalues), TopEigenvalues(3)
    U = torch.linalg.eigh(to_dense(op)).eigenvectors[:, -2:]
    run = block_lanczos

    def blind(op, estimand, width, generator, limits, known, **how):
        """The first run, with both of the largest eigenvalues taken out."""
        if not len(known.X):
            op = FunctionOperator(lambda V, whole=op: whole.matmat(V - U @ (U.T @ V)), op.dim, torch.float64)
        return run(op, estimand, width, generator, limits, known, **how)

    monkeypatch.setattr(certified, "block_lanczos", blind)
    found = certified_reference(op, estimand, 10.0)
    np.testing.assert_allclose(found.arrays["eigenvalues"], [3.0, 3.0, 2.0], atol=1e-14)


@pytest.mark.parametrize("basis", [12, 200])
@pytest.mark.parametrize("which", WHICH)
def test_no_run_overlooks_what_its_start_has_a_part_in(which, basis):
    """The largest eigenvalue's vector is laid almost across the start, the more the nearer it is to the next."""
    n, sign = 300, -1.0 if which == "smallest" else 1.0
    q = torch.randn(1, n, generator=make_generator(5), dtype=torch.float64)
    for gap, part in itertools.product((0.5, 1e-2, 1e-4), (1e-2, 1e-5, 1e-8)):
        # Columns: one known, the start but for its part in the next, that next, and others.
        basis_of = torch.randn(n, n, generator=make_generator(1), dtype=torch.float64)
        x = basis_of[:, 0] / basis_of[:, 0].norm()
        start = q[0] - (q[0] @ x) * x
        start /= start.norm()
        basis_of[:, 1] = start
        Q = torch.linalg.qr(basis_of).Q
        x, across = Q[:, 0].clone(), Q[:, 2].clone()
        u = part * start + (1 - part**2) ** 0.5 * across
        others = torch.cat([((1 - part**2) ** 0.5 * start - part * across)[:, None], Q[:, 3:]], 1)
        mixing = torch.linalg.qr(torch.randn(n - 2, n - 2, generator=make_generator(2), dtype=torch.float64)).Q
        V = torch.cat([x[:, None], u[:, None], others @ mixing], 1)
        eigenvalues = sign * torch.cat([torch.tensor([1.0, 1 + gap]), torch.linspace(-0.9, 0.9, n - 2)]).double()
        A = V * eigenvalues @ V.T
        known = Known(eigenvalues[:1], x[None], (A @ x)[None], 1.0)
        op = FunctionOperator(lambda block, A=A: A @ block, n, torch.float64)
        found = block_lanczos(op, TopEigenvalues(1, which), 1, make_generator(5), LanczosLimits(basis=basis), known)
        assert found.Z.shape == (1, n), (gap, part)
        assert float((found.Z[0] @ u).abs()) == pytest.approx(1, abs=1e-8)


def test_multiple_eigenvalues_whose_krylov_space_closes_are_found_whole(rotated):
    generator = torch.Generator().manual_seed(0)
    X, Y = (torch.randn(3, size, generator=generator) for size in (500, 10))
    tied = np.repeat(np.linalg.eigvalsh(X.double() @ X.double().T)[::-1] / 3, 10)
    linear = from_model(nn.Linear(500, 10, bias=False), "squared", (X, Y))
    tokens = (torch.arange(300), torch.randn(300, 8, generator=generator))
    embedding = from_model(nn.Embedding(600, 8), "squared", tokens)
    step = np.where(np.arange(1000) < 12, 1.0, 0.5)
    rank_two = np.r_[2.0, 1.0, np.zeros(998)]
    for op, estimand, truth, name in (
        (linear.build(CPU, torch.float64), TopEigenvalues(20), tied[:20], linear.name),
        (embedding.build(CPU, torch.float64), TopEigenvalues(10), np.full(10, 1 / 300), embedding.name),
        (rotated(step), TopEigenvalues(10), np.ones(10), "step"),
        (rotated(rank_two), TopEigenvalues(5, "smallest"), np.zeros(5), "rank 2"),
    ):
        found = certified_reference(op, estimand, 10.0, name)
        gap = np.abs(found.arrays["eigenvalues"] - truth).max()
        # The data of the two networks are in float32; their truth is of those numbers.
        assert gap <= found.bound_in("float64"), (name, gap, found.bound)


def test_eigenvalues_below_the_tolerance_are_within_a_bound_that_says_so(rotated):
    small = 1e-11 * uniform(size=400)
    for which in WHICH:
        estimand = TopEigenvalues(8, which)
        found = certified_reference(rotated(np.r_[1.7, 1.2, small]), estimand, 10.0, which)
        truth = truth_of(np.r_[1.7, 1.2, small], estimand)
        assert np.abs(np.abs(found.arrays["eigenvalues"]) - truth).max() <= found.bound_in("float64")


def test_a_run_out_of_products_is_an_error_that_says_so(rotated):
    op = CountingOperator(rotated(np.linspace(0, 1, 300)), 80)
    with pytest.raises(ValueError, match=r"top-eigenvalues\[k=10\]: residuals did not reach 1e-10 .* in 40 products"):
        certified_reference(op, TopEigenvalues(10), 10.0, limits=LanczosLimits(max_products=40))
    assert op.matvecs <= 40


def test_a_proof_out_of_products_is_an_error_that_says_so(rotated):
    # One loose value is soon found; that no other lies beyond takes a polynomial that grows there.
    op = CountingOperator(rotated(np.linspace(-1, 1, 500)))
    with pytest.raises(ValueError, match=r"\[k=1\]: it was not shown in the 60 products left that none is missed"):
        certified_reference(op, TopEigenvalues(1), 10.0, limits=LanczosLimits(max_products=60, tolerance=0.01))
    assert op.matvecs <= 120


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
        (FunctionOperator(torch.clone, 50), LanczosLimits(), "needs an operator in float64, got torch.float32"),
        (FunctionOperator(lambda b: b * torch.nan, 50, torch.float64), LanczosLimits(), "values that are not finite"),
        (
            FunctionOperator(torch.clone, 50, torch.float64),
            LanczosLimits(memory=999),
            "need 12400 bytes of vectors, 999 are",
        ),
    ],
)
def test_bad_input_is_refused_in_one_sentence(op, limits, message):
    with pytest.raises(ValueError, match=message):
        certified_reference(op, TopEigenvalues(5), 10.0, limits=limits)


def test_more_eigenvalues_than_the_dimension_are_refused(rotated):
    with pytest.raises(ValueError, match="k must be between 1 and the dimension 2, got 3"):
        certified_reference(rotated([1.0, 2.0]), TopEigenvalues(3), 10.0)
