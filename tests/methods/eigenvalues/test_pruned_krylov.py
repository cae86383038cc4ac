"""Block Krylov on the heavy samples finds the eigenvalues of all, and grows where what it left out is too large."""

import numpy as np
import pytest
import torch

from hessbench.counting import CountingOperator
from hessbench.estimand import TopEigenvalues
from hessbench.laws.small_structured import SmallGGN, small_ggn, small_hessian
from hessbench.methods.eigenvalues import pruned_krylov as module
from hessbench.methods.eigenvalues.block_krylov import block_krylov
from hessbench.methods.eigenvalues.light_rows import most_rows
from hessbench.methods.eigenvalues.pruned_krylov import pruned_krylov
from hessbench.operators import ProductKind
from hessbench.seeding import make_generator

DIM = 48


@pytest.fixture(autouse=True)
def pruned(monkeypatch):
    """Even a small matrix is worth pruning."""
    monkeypatch.setattr(module, "_WORTH", 0)


def run(op, num_matvecs=400, seed=0, **asked):
    counting = CountingOperator(op, num_matvecs)
    asked = {"k": 3, "block": 4, **asked}
    steps = pruned_krylov(counting, num_matvecs=num_matvecs, generator=make_generator(seed), **asked)
    return [(estimate.resolve(), counting.matvecs) for estimate in steps], counting


def truth_of(op, order):
    return order.rank(torch.linalg.eigvalsh(op.matmat(torch.eye(op.dim, dtype=op.dtype))).numpy())[: order.k]


@pytest.mark.parametrize("make", [small_ggn, small_hessian])
@pytest.mark.parametrize("which", ["magnitude", "algebraic"])
def test_the_values_of_all_samples_from_the_heavy_ones(make, which):
    op, order = make(DIM, torch.float64), TopEigenvalues(3, which)
    found, counting = run(op, which=which, dropped=0.05)
    estimate, truth = found[-1][0], truth_of(op, order)
    assert estimate.converged
    assert estimate.diagnostics["samples"] < 6
    assert (np.abs(estimate.value - truth) <= 0.01 * np.abs(truth)).all()
    assert np.abs(estimate.value - truth).max() <= estimate.diagnostics["left_out"] <= 0.01 * np.abs(truth).min()
    assert counting.spending.gradient_equivalents < 0.8 * counting.matvecs * (4 / 3 if make is small_ggn else 2)


@pytest.mark.parametrize("make", [small_ggn, small_hessian])
def test_a_set_that_is_too_small_grows_and_the_values_before_stand_until_the_new_have_settled(make):
    op, order = make(DIM, torch.float64), TopEigenvalues(3)
    found, _ = run(op, dropped=0.5, tolerance=1e-3)
    truth, samples = truth_of(op, order), [estimate.diagnostics["samples"] for estimate, _ in found]
    assert len(set(samples)) > 1
    assert samples == sorted(samples)
    begun = [estimate for estimate, _ in found][samples.count(samples[0]) - 1 :]
    assert max(np.abs(estimate.value - truth).max() for estimate in begun) < 0.05 * truth[0]
    assert found[-1][0].converged
    assert (np.abs(found[-1][0].value - truth) <= 1e-3 * np.abs(truth)).all()


def test_nothing_is_claimed_before_what_was_left_out_is_bounded():
    found, _ = run(small_ggn(DIM, torch.float64), dropped=0.05)
    bounded = ["left_out" in estimate.diagnostics for estimate, _ in found]
    assert bounded == sorted(bounded)
    assert not all(bounded)
    assert not any(estimate.converged for estimate, _ in found if "left_out" not in estimate.diagnostics)


def test_where_no_sample_may_be_left_out_it_is_block_krylov():
    op = small_ggn(DIM, torch.float64)
    found, counting = run(op, 40, dropped=0.0)
    plain = block_krylov(op, num_matvecs=40, generator=make_generator(0), k=3, block=4)
    for (estimate, _), expected in zip(found, plain, strict=True):
        np.testing.assert_array_equal(estimate.value, expected.resolve().value)
    assert counting.spending.counts == {ProductKind.FORWARD: 1, ProductKind.GGN: 40}


def test_a_product_that_is_short_is_not_pruned_and_nothing_is_weighed(monkeypatch):
    monkeypatch.setattr(module, "_WORTH", DIM * 6)
    _, counting = run(small_hessian(DIM, torch.float64), 40)
    assert counting.spending.counts == {ProductKind.HESSIAN: 40}


@pytest.mark.parametrize("num_matvecs", [4, 5, 12, 16, 17, 50, 61, 100])
@pytest.mark.parametrize("make", [small_ggn, small_hessian])
def test_no_budget_is_passed_and_less_than_a_block_stays_unspent_but_for_the_whole_space(make, num_matvecs):
    found, counting = run(make(DIM, torch.float64), num_matvecs, dropped=0.5, tolerance=1e-6)
    assert num_matvecs - 4 < counting.matvecs <= num_matvecs
    assert [spent for _, spent in found] == sorted({spent for _, spent in found})


def test_a_hessian_takes_heavy_rows_in_place_of_samples_where_the_budget_holds_them():
    op = small_hessian(DIM, torch.float64)
    counts = [run(op, 4 + most_rows(3) - less, dropped=0.05)[1].spending.counts for less in (1, 0)]
    assert ProductKind.VJP not in counts[0]
    assert 0 < counts[1][ProductKind.VJP] <= most_rows(3)


def test_repeated_eigenvalues_are_found_with_their_number():
    op = SmallGGN(torch.diag(torch.tensor([2.0, 2.0, 2.0, 1.0, 0.5, 0.25, *[1e-3] * 12], dtype=torch.float64)))
    estimate = run(op, k=5, dropped=0.01)[0][-1][0]
    np.testing.assert_allclose(estimate.value, [4, 4, 4, 1, 0.25], rtol=0.01)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_where_the_rank_is_below_k_the_set_grows_until_only_rounding_is_left_out(dtype):
    B = torch.zeros(DIM, 18, dtype=dtype)
    B[0, 0], B[1, 3], B[2, 6], B[3, 9] = 10.0, 3.0, 1.0, 0.1
    estimate = run(SmallGGN(B), k=6, dropped=0.05)[0][-1][0]
    np.testing.assert_allclose(estimate.value, [100, 9, 1, 0.01, 0, 0], rtol=1e-3, atol=1e-4)


def test_a_network_that_is_sure_of_every_sample_has_the_eigenvalue_zero():
    op = SmallGGN(torch.zeros(DIM, 18, dtype=torch.float64))
    estimate = run(op)[0][-1][0]
    assert np.abs(estimate.value).max() == 0


def test_vectors_come_where_they_are_asked_for():
    op = small_ggn(DIM, torch.float64)
    estimate = run(op, dropped=0.05, vectors=True)[0][-1][0]
    V = estimate.vectors
    residual = op.matmat(V) - V * torch.from_numpy(estimate.value)
    assert float(residual.norm(dim=0).max()) <= 0.02 * estimate.value.min()


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"block": 0}, "block must be at least 1"),
        ({"dropped": 1.0}, "dropped must be at least 0 and below 1"),
        ({"tolerance": 0.0}, "tolerance must be above 0"),
        ({"confidence": 1.0}, "confidence must be above 0 and below 1"),
        ({"k": 49}, "k must be between 1 and the dimension 48"),
    ],
)
def test_what_is_out_of_range_is_refused(asked, said):
    with pytest.raises(ValueError, match=said):
        run(small_ggn(DIM, torch.float64), **asked)


def test_outputs_that_are_not_finite_are_refused():
    op = SmallGGN(torch.full((DIM, 18), float("nan"), dtype=torch.float64))
    with pytest.raises(ValueError, match="must be finite"):
        run(op)
