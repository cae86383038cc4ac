"""The heaviest rows first: lower bounds that grow to the matrix itself, eigenpairs by the Gram matrix of the rows."""

import itertools

import numpy as np
import pytest
import torch

from hessbench.catalog import load_catalog
from hessbench.counting import CountingOperator
from hessbench.estimand import Density, Diagonal, TopEigenspace, TopEigenvalues, Trace
from hessbench.methods.rows.heavy_rows import heavy_rows
from hessbench.seeding import make_generator

FROM_ROWS = {"chunk": 4}


def by_norm(B):
    return B[:, (-B.norm(dim=0)).argsort(stable=True)]


def test_trace_and_diagonal_are_those_of_the_heaviest_rows(run, dense_ggn):
    ggn = dense_ggn()
    outcome = run("heavy-rows", ggn.op, 18, **FROM_ROWS)
    assert [point.matvecs for point in outcome.checkpoints] == [4, 8, 12, 16, 18]
    for point in outcome.checkpoints:
        found = point.estimate.resolve()
        twin = by_norm(ggn.B)[:, : point.matvecs].square().sum(dim=1)
        torch.testing.assert_close(found.also[Diagonal].value, twin)
        assert found.value == pytest.approx(float(twin.sum()), rel=1e-13)
        assert found.diagnostics["lower_bound"] == found.value


def test_what_stands_is_a_lower_bound_that_grows_to_the_trace(run, dense_ggn):
    ggn = dense_ggn()
    found = [point.estimate.resolve() for point in run("heavy-rows", ggn.op, 18, **FROM_ROWS).checkpoints]
    bounds = [estimate.diagnostics["lower_bound"] for estimate in found]
    assert all(low < high for low, high in itertools.pairwise(bounds))
    assert bounds[-1] == pytest.approx(float(ggn.A.trace()), rel=1e-13)
    assert [estimate.converged for estimate in found] == [False] * 4 + [True]
    assert [estimate.stderr for estimate in found] == [None] * 4 + [0.0]
    shares = [estimate.diagnostics["left_share"] for estimate in found]
    assert shares == sorted(shares, reverse=True)
    assert shares[-1] == 0


def test_eigenpairs_are_those_of_the_sum_of_the_rows(run, dense_ggn):
    ggn = dense_ggn()
    outcome = run("heavy-rows", ggn.op, 18, **FROM_ROWS, spectrum=True, k=3)
    truth = np.linalg.eigvalsh(ggn.A)[::-1]
    for point in outcome.checkpoints:
        kept = by_norm(ggn.B)[:, : point.matvecs].numpy()
        values, vectors = np.linalg.eigh(kept @ kept.T)
        also = point.estimate.resolve().also
        np.testing.assert_allclose(also[TopEigenvalues].value, values[::-1][:3], rtol=1e-12)
        assert np.all(also[TopEigenvalues].value <= truth[:3] * (1 + 1e-12))
        V = also[TopEigenspace].value.numpy()
        np.testing.assert_allclose(V.T @ V, np.eye(3), atol=1e-12)
        np.testing.assert_allclose(V @ V.T, vectors[:, -3:] @ vectors[:, -3:].T, atol=1e-10)


@pytest.mark.parametrize("dim", [48, 18, 7, 1])
def test_the_density_of_all_rows_is_that_of_the_matrix(run, dense_ggn, dim):
    ggn = dense_ggn(B=torch.randn(dim, 18, generator=torch.Generator().manual_seed(2), dtype=torch.float64))
    nodes, weights = run("heavy-rows", ggn.op, 18, **FROM_ROWS, spectrum=True).last.also[Density].value
    assert weights.sum() == pytest.approx(1.0)
    spread = np.repeat(np.sort(nodes), np.rint(weights[np.argsort(nodes)] * dim).astype(int))
    np.testing.assert_allclose(spread, np.linalg.eigvalsh(ggn.A.numpy()), atol=1e-12 * float(ggn.A.trace()))


def test_more_eigenvalues_than_rows_are_zeros_once_every_row_is_made(run, dense_ggn):
    values = run("heavy-rows", dense_ggn().op, 24, **FROM_ROWS, spectrum=True, k=20).last.also[TopEigenvalues].value
    assert values.shape == (20,)
    assert (values[18:] == 0).all()
    assert (values[:18] > 0).all()


def test_rows_below_rounding_are_never_made(run, dense_ggn):
    B = torch.randn(20, 18, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    B[:, 2::3] *= 1e-17
    outcome = run("heavy-rows", dense_ggn(B=B).op, 18, **FROM_ROWS)
    assert outcome.op.matvecs == 12
    assert outcome.last.diagnostics["null_rows"] == 6
    assert outcome.last.converged


def test_weights_that_are_all_zero_give_zero(run, dense_ggn):
    found = run(
        "heavy-rows", dense_ggn(B=torch.zeros(9, 6, dtype=torch.float64)).op, 6, **FROM_ROWS, spectrum=True
    ).last
    assert found.value == 0
    assert found.stderr == 0
    assert found.converged
    assert not found.also[Diagonal].value.any()
    assert not found.also[TopEigenvalues].value.any()
    assert found.also[TopEigenspace].value.shape == (9, 0)
    nodes, weights = found.also[Density].value
    assert not nodes.any()
    assert weights.sum() == pytest.approx(1.0)


def test_float32_rows_are_summed_in_float64(run, dense_ggn):
    B = torch.ones(1, 3000, dtype=torch.float32)
    B[0, 0] = 2.0**13  # in float32 the square of it, 2^26, does not see ones any more
    found = run("heavy-rows", dense_ggn(B=B).op, 3000).last
    assert found.value == 2.0**26 + 2999


def test_a_hessian_whose_residual_has_no_diagonal_has_trace_and_diagonal_of_its_ggn(run, dense_hessian):
    hessian = dense_hessian(shift=0.5)
    found = run("heavy-rows", hessian.op, 20, **FROM_ROWS).last
    assert found.value == pytest.approx(float(hessian.A.trace()), rel=1e-12)
    torch.testing.assert_close(found.also[Diagonal].value, hessian.A.diagonal())


def test_a_hessian_pays_for_the_check_of_its_structure(run, dense_hessian):
    outcome = run("heavy-rows", dense_hessian().op, 20, **FROM_ROWS)
    assert [point.matvecs for point in outcome.checkpoints] == [1 + made for made in (4, 8, 12, 16, 18)]


def test_a_hessian_that_may_have_another_diagonal_is_refused(run, dense_hessian):
    with pytest.raises(ValueError, match="24 of 48 parameters may have another: split-trace"):
        run("heavy-rows", dense_hessian(curved=(1,), claimed_flat=(0,)).op, 20, **FROM_ROWS)


@pytest.mark.parametrize("seed", range(5))
def test_a_wrong_claim_is_caught(run, dense_hessian, seed):
    with pytest.raises(ValueError, match="parameters 0 to 23 or 24 to 47, where it claims 0"):
        run("heavy-rows", dense_hessian(curved=(1,)).op, 20, seed=seed, **FROM_ROWS)


def test_a_budget_below_a_chunk_is_refused(run, dense_ggn, dense_hessian):
    with pytest.raises(ValueError, match="num_matvecs must be at least 16, got 15"):
        run("heavy-rows", dense_ggn().op, 15)
    with pytest.raises(ValueError, match="num_matvecs must be at least 17, got 16"):
        run("heavy-rows", dense_hessian().op, 16)


def test_norms_that_are_not_finite_are_refused(run, dense_ggn):
    B = torch.ones(4, 6, dtype=torch.float64)
    B[1, 2] = float("nan")
    with pytest.raises(ValueError, match="1 of 6 that are not"):
        run("heavy-rows", dense_ggn(B=B).op, 6, **FROM_ROWS)


def test_the_smallest_eigenvalues_are_refused(run, dense_ggn):
    with pytest.raises(ValueError, match="which must be magnitude or algebraic"):
        run("heavy-rows", dense_ggn().op, 18, spectrum=True, which="smallest")


@pytest.mark.slow
def test_a_perceptron_by_rows_is_the_perceptron():
    problem = load_catalog().problem("digits-mlp[operator=ggn]")
    op = CountingOperator(problem.build_rows(torch.device("cpu"), torch.float64))
    *_, last = heavy_rows(op, num_matvecs=5000, generator=make_generator(0), chunk=500)
    found = last.resolve()
    for estimand, answer in ((Trace(), found), (Diagonal(), found.also[Diagonal])):
        reference = problem.references[type(estimand)](estimand)
        error = estimand.errors(estimand.to_arrays(answer.value, op.dim), reference, "float64")[estimand.primary]
        assert error <= max(2 * estimand.floor(reference, "float64"), 1e-10), estimand
    assert found.converged
    assert op.spending.gradient_equivalents == pytest.approx((op.matvecs + 500 / 3) / 500, rel=1e-12)
