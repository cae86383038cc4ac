"""Lanczos on the heavy samples finds the eigenvalues of all, and its intervals hold as often as they say."""

import math

import numpy as np
import pytest
import torch
from scipy.stats import binom

from hessbench.catalog import load_catalog
from hessbench.counting import CountingOperator
from hessbench.estimand import TopEigenvalues
from hessbench.laws.small_structured import SmallGGN, small_ggn, small_hessian
from hessbench.methods.eigenvalues.light_rows import light_rows, most_rows, plus_rows
from hessbench.methods.eigenvalues.pruned_lanczos import pruned_lanczos
from hessbench.methods.eigenvalues.ritz_intervals import IntervalsAsked, RitzIntervals
from hessbench.methods.eigenvalues.sample_weights import heaviest, sample_weights
from hessbench.methods.krylov.enclosures import EigenvalueBounds
from hessbench.methods.krylov.tridiagonal import Tridiagonal
from hessbench.operator_parts import Parts
from hessbench.operators import ProductKind
from hessbench.seeding import make_generator


def last(op, num_matvecs=400, seed=0, **asked):
    counting = CountingOperator(op, num_matvecs)
    *_, estimate = pruned_lanczos(counting, num_matvecs=num_matvecs, generator=make_generator(seed), **asked)
    return estimate.resolve(), counting


def errors(op, estimate, order):
    """Of an estimate, its interval among them, against the dense matrix."""
    A = op.matmat(torch.eye(op.dim, dtype=op.dtype))
    truth = order.rank(torch.linalg.eigvalsh(A).numpy())[: order.k]
    values, (lower, upper) = estimate.value, estimate.interval
    if order.which == "magnitude":
        truth, values = np.abs(truth), np.abs(values)
    outside = (truth < lower - 1e-12) | (truth > upper + 1e-12)
    return np.abs(values - truth) / np.abs(truth), int(outside.sum())


def test_values_of_a_smaller_set_stand_until_those_of_a_larger_have_converged():
    op, order = small_ggn(48, torch.float64), TopEigenvalues(3)
    counting = CountingOperator(op, 400)
    run = pruned_lanczos(counting, num_matvecs=400, generator=make_generator(0), k=3, dropped=0.5, tolerance=1e-3)
    truth = order.rank(torch.linalg.eigvalsh(op.matmat(torch.eye(48, dtype=op.dtype))).numpy())[:3]
    found = [estimate.resolve() for estimate in run]
    samples = [estimate.diagnostics["samples"] for estimate in found]
    begun = found[samples.count(samples[0]) - 1 :]
    assert len(set(samples)) > 2
    assert all(estimate.value.size == 3 for estimate in begun)
    assert max(np.abs(estimate.value - truth).max() for estimate in begun) < 0.02 * truth[0]


@pytest.mark.parametrize("make", [small_ggn, small_hessian])
@pytest.mark.parametrize("which", ["magnitude", "algebraic"])
def test_the_values_of_all_samples_from_the_heavy_ones(make, which):
    op, order = make(48, torch.float64), TopEigenvalues(3, which)
    estimate, counting = last(op, k=3, which=which, dropped=0.05)
    relative, misses = errors(op, estimate, order)
    assert estimate.converged
    assert relative.max() < 0.01
    assert misses == 0
    assert estimate.diagnostics["samples"] < 6
    assert counting.spending.gradient_equivalents < 0.8 * counting.matvecs * (4 / 3 if make is small_ggn else 2)


def test_a_set_that_is_too_small_grows():
    op = small_ggn(48, torch.float64)
    estimate, _ = last(op, k=3, dropped=0.5, tolerance=1e-3)
    relative, misses = errors(op, estimate, TopEigenvalues(3))
    assert estimate.diagnostics["samples"] > 1
    assert estimate.converged
    assert relative.max() < 1e-3
    assert misses == 0


def test_intervals_come_with_what_they_are_worth():
    estimate, _ = last(small_ggn(48, torch.float64), k=3, confidence=0.9, tolerance=0.02)
    assert estimate.diagnostics["confidence"] == 0.9
    assert estimate.diagnostics["width"] <= 0.02
    lower, upper = estimate.interval
    assert (lower <= estimate.value).all()
    assert (estimate.value <= upper).all()
    assert (upper - lower <= 2 * 0.02 * estimate.value * 1.02).all()


@pytest.mark.parametrize(
    ("order", "lower", "upper", "expected"),
    [
        (TopEigenvalues(2, "algebraic"), [9.9, 4.95], [10.05, 5.04], [10.0, 5.0]),  # within the tolerance already
        (TopEigenvalues(2, "algebraic"), [10.0, 5.0], [10.15, 5.09], [10.05, 5.04]),  # as far as it asks for
        (TopEigenvalues(2, "algebraic"), [10.0, 5.0], [10.5, 5.0], [10.0, 5.0]),  # too wide for it: left alone
        (TopEigenvalues(2, "algebraic"), [10.04, 5.0], [10.06, 5.0], [10.04, 5.0]),  # never outside
        (TopEigenvalues(2), [10.0, 6.0], [10.15, 6.11], [10.05, -6.05]),
    ],
)
def test_values_move_in_their_intervals_as_far_as_the_tolerance_asks_for(order, lower, upper, expected):
    ritz = [10.0, -6.0] if order.which == "magnitude" else [10.0, 5.0]
    T = Tridiagonal([torch.tensor(value, dtype=torch.float64) for value in ritz], [torch.zeros(())] * 2, 2, 0, None)
    state = RitzIntervals(T, IntervalsAsked(order, 0.01, 0.9, torch.float64, 9, vectors=False), 1, 1)
    np.testing.assert_allclose(state.moved(EigenvalueBounds(np.array(lower), np.array(upper))), expected, rtol=1e-12)


@pytest.mark.parametrize("make", [small_ggn, small_hessian])
def test_the_intervals_of_many_runs_miss_no_more_often_than_they_say(make):
    op, order, trials, confidence = make(24, torch.float64), TopEigenvalues(2), 30, 0.8
    missed = 0
    for seed in range(trials):
        estimate, _ = last(op, seed=seed, k=2, dropped=0.1, tolerance=0.2, confidence=confidence)
        missed += errors(op, estimate, order)[1] > 0
    assert binom.sf(missed - 1, trials, 1 - confidence) > 1e-4


def test_a_hessian_weighs_samples_by_their_slopes_too():
    ggn, hessian = small_ggn(48, torch.float64), small_hessian(48, torch.float64)
    one, other = sample_weights(CountingOperator(ggn)), sample_weights(CountingOperator(hessian))
    torch.testing.assert_close(other - one, ggn.rows.slope_norms().double())


def test_a_hessian_takes_heavy_rows_in_place_of_samples_where_the_budget_holds_them():
    op = small_hessian(48, torch.float64)
    counts = [last(op, num_matvecs, k=3, dropped=0.05)[1].spending.counts for num_matvecs in (14, 15, 400)]
    assert ProductKind.VJP not in counts[0]
    assert counts[1][ProductKind.VJP] == counts[2][ProductKind.VJP] <= most_rows(3)


def test_where_rows_spare_few_samples_all_are_taken_and_no_rows(monkeypatch):
    op = small_hessian(48, torch.float64)
    found = light_rows(op, 0.05, 3, 0, 6)
    monkeypatch.setattr("hessbench.methods.eigenvalues.heavy_parts._ALL", found.kept.numel() / 6)
    estimate, counted = last(op, 400, k=3, dropped=0.05)
    assert estimate.diagnostics["samples"] == 6
    assert ProductKind.VJP not in counted.spending.counts


@pytest.mark.parametrize("dropped", [0.1, 0.05, 0.02])
def test_the_rows_that_are_made_leave_no_more_than_is_asked_for(dropped):
    op = small_hessian(48, torch.float64)
    rows = op.parts.ggn.rows
    roots, slopes = rows.root_norms().square().view(6, -1), rows.slope_norms() / 4
    found = light_rows(op, dropped, 3, 0, 6)
    assert found is not None
    assert sorted([*found.kept.tolist(), *found.dropped.tolist()]) == list(range(6))
    assert set((found.rows // rows.per_sample).tolist()) <= set(found.dropped.tolist())
    left = slopes[found.dropped].sum() + roots[found.dropped].sum() - roots.flatten()[found.rows].sum()
    assert float(left) <= dropped * float(roots.sum() + slopes.sum()) * (1 + 1e-12)
    assert light_rows(op, dropped, 3, 0, found.kept.numel()) is None


def test_samples_and_rows_and_the_rest_are_the_whole():
    op = small_hessian(48, torch.float64)
    found, x = light_rows(op, 0.1, 3, 0, 6), torch.eye(48, dtype=torch.float64)
    B = op.parts.ggn.rows(found.rows)
    S, E = plus_rows(op.subset(found.kept), B, 1.0), plus_rows(op.subset(found.dropped), B, -1.0)
    torch.testing.assert_close(S.matmat(x) + E.matmat(x), op.matmat(x))


def test_a_shift_is_in_the_values_and_in_the_intervals():
    hessian = small_hessian(48, torch.float64)

    class Shifted:
        dim, dtype, device, info = hessian.dim, hessian.dtype, hessian.device, hessian.info
        parts = Parts(hessian.parts.ggn, hessian.parts.residual, 0.5)
        subset = staticmethod(hessian.subset)

        def matmat(self, block):
            return hessian.matmat(block) + 0.5 * block

    estimate, _ = last(Shifted(), k=3, which="algebraic")
    relative, misses = errors(Shifted(), estimate, TopEigenvalues(3, "algebraic"))
    assert relative.max() < 0.01
    assert misses == 0


@pytest.mark.parametrize(
    ("dropped", "count"), [(0.0, 4), (0.05, 3), (0.2, 2), (0.45, 1), (0.9, 1)]
)  # fmt: skip
def test_as_few_samples_as_leave_the_share(dropped, count):
    assert heaviest(torch.tensor([3.0, 0.3, 6.0, 0.7, 0.0]), dropped) == count


def test_where_nothing_weighs_all_samples_are_taken():
    assert heaviest(torch.zeros(5), 0.1) == 5
    op = SmallGGN(torch.zeros(8, 18, dtype=torch.float64))
    estimate, _ = last(op, k=2)
    np.testing.assert_array_equal(estimate.value, [0.0, 0.0])
    assert estimate.converged
    np.testing.assert_allclose(estimate.interval, 0.0, atol=1e-300)


@pytest.mark.parametrize(("dim", "k"), [(1, 1), (3, 3), (4, 1)])
def test_dimensions_below_the_number_of_rows(dim, k):
    B = torch.randn(dim, 18, generator=make_generator(4), dtype=torch.float64)
    op = SmallGGN(B)
    estimate, _ = last(op, k=k, dropped=0.0)
    relative, misses = errors(op, estimate, TopEigenvalues(k))
    assert relative.max() < 0.01
    assert misses == 0


def test_a_weight_that_is_not_finite_is_refused():
    op = SmallGGN(torch.full((8, 18), math.nan, dtype=torch.float64))
    with pytest.raises(ValueError, match="outputs of the network must be finite"):
        last(op, k=2)


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ({"dropped": 1.0}, "dropped must be at least 0 and below 1"),
        ({"dropped": -0.1}, "dropped must be at least 0 and below 1"),
        ({"tolerance": 0.0}, "tolerance must be above 0"),
        ({"confidence": 1.0}, "confidence must be above 0 and below 1"),
        ({"k": 49}, "k must be between 1 and the dimension 48"),
        ({"k": 2.5}, "k must be between 1 and the dimension 48, got 2.5"),
        ({"dropped": "few"}, "dropped must be at least 0 and below 1, got 'few'"),
    ],
)
def test_arguments_out_of_range_are_refused(asked, sentence):
    with pytest.raises(ValueError, match=sentence):
        last(small_ggn(48, torch.float64), **{"k": 3, **asked})


def test_float32_gives_the_same_to_its_rounding():
    one, other = (last(small_ggn(48, dtype), k=3)[0] for dtype in (torch.float32, torch.float64))
    np.testing.assert_allclose(one.value, other.value, rtol=1e-2)


def test_products_are_charged_by_the_share_of_samples():
    _, counting = last(small_ggn(48, torch.float64), num_matvecs=4, k=3, dropped=0.05)
    assert counting.spending.counts[ProductKind.GGN] == 4
    assert counting.spending.samples == 6 + 4 * 2  # a forward pass, then two of six samples a product


@pytest.mark.slow
@pytest.mark.parametrize(
    ("spec", "k", "dropped", "tolerance"),
    [
        ("digits-mlp", 3, 0.1, 0.2),  # a third of the samples is left out
        ("digits-mlp[operator=ggn]", 3, 0.1, 0.2),
        ("digits-mlp", 10, 1e-3, 0.05),
        ("digits-mlp[step=100]", 10, 1e-3, 0.05),
        ("digits-mlp[step=0]", 3, 1e-3, 0.1),
    ],
)
def test_intervals_on_a_network_miss_no_more_often_than_they_say(spec, k, dropped, tolerance):
    problem, order = load_catalog().problem(spec), TopEigenvalues(k)
    reference, op = problem.references[TopEigenvalues](order), problem.build_rows("cpu", torch.float64)
    trials, missed = 200, 0
    for seed in range(trials):
        estimate, _ = last(op, seed=seed, k=k, dropped=dropped, confidence=0.9, tolerance=tolerance)
        arrays = order.to_arrays(estimate.value, op.dim) | order.claimed(estimate.interval, estimate.value, op.dim)
        missed += order.errors(arrays, reference, "float64")["interval_misses"] > 0
    assert binom.sf(missed - 1, trials, 0.1) > 1e-4
