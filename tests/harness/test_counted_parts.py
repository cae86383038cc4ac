"""Rows, subsets and parts are charged to the operator they belong to, by the samples they touch."""

import pytest
import torch

from hessbench.counting import BudgetExceeded, CountingOperator
from hessbench.laws.small_structured import OUTPUTS, SAMPLES, small_ggn, small_hessian
from hessbench.operators import ProductKind, dense_operator, to_dense
from hessbench.tally import TalliedOperator

N = 8


def ggn(num_matvecs=None):
    return CountingOperator(TalliedOperator(small_ggn(N, torch.float64)), num_matvecs)


def hessian(num_matvecs=None):
    return CountingOperator(TalliedOperator(small_hessian(N, torch.float64)), num_matvecs)


def test_the_rows_add_up_to_the_operator():
    op = ggn()
    B = op.rows(torch.arange(op.rows.num_rows))
    torch.testing.assert_close(B @ B.T, to_dense(op))


def test_a_row_is_charged_as_a_forward_pass_and_a_vjp_of_one_sample():
    op = ggn()
    op.rows(torch.tensor([3, 0, 17]))
    assert op.spending.counts == {ProductKind.FORWARD: 2, ProductKind.VJP: 3}
    assert (op.matvecs, op.calls, op.spending.samples) == (3, 1, SAMPLES + 3 + 3)
    # The norms: one forward pass. Three rows: a third and two thirds of a gradient of one sample each.
    assert op.spending.gradient_equivalents == pytest.approx(1 / 3 + 3 / SAMPLES)


def test_norms_are_charged_once_and_without_a_product():
    op = ggn(num_matvecs=0)
    rows = op.rows
    assert rows.num_rows == SAMPLES * OUTPUTS
    assert torch.equal(rows.root_norms(), op.rows.root_norms())
    assert (op.matvecs, op.spending.counts) == (0, {ProductKind.FORWARD: 1})


def test_rows_beyond_the_budget_are_refused_and_nothing_is_charged():
    op = ggn(num_matvecs=2)
    norms = op.rows.root_norms()
    before = op.spending.gradient_equivalents
    with pytest.raises(BudgetExceeded):
        op.rows(torch.arange(3))
    assert (op.matvecs, op.spending.gradient_equivalents) == (0, before)
    norms.zero_()
    assert bool((op.rows.root_norms() > 0).all())


@pytest.mark.parametrize(
    "numbers",
    [torch.tensor([]), torch.tensor([0.0]), torch.tensor([[0]]), torch.tensor([-1]), torch.tensor([SAMPLES * OUTPUTS])],
    ids=["none", "floating", "matrix", "below", "above"],
)
def test_numbers_of_rows_out_of_range_are_refused(numbers):
    with pytest.raises(ValueError, match="rows takes numbers"):
        ggn().rows(numbers)
    with pytest.raises(ValueError, match="rows takes a tensor of numbers from 0 to"):
        ggn().rows(numbers.tolist())


def test_a_subset_is_charged_by_its_share_and_to_the_whole():
    op = ggn(num_matvecs=4)
    part = op.subset(torch.tensor([0, 4]))
    part.matmat(torch.ones(N, 3, dtype=torch.float64))
    assert (op.matvecs, part.matvecs, op.remaining) == (3, 3, 1)
    assert op.spending.gradient_equivalents == pytest.approx(3 * 4 / 3 * 2 / SAMPLES)
    with pytest.raises(BudgetExceeded):
        op.matmat(torch.ones(N, 2, dtype=torch.float64))


def test_subsets_add_up_and_weights_weigh():
    op = hessian()
    x = torch.randn(N, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    even, odd = op.subset(torch.tensor([4, 0, 2])), op.subset(torch.tensor([1, 3, 5]))
    torch.testing.assert_close(even.matmat(x) + odd.matmat(x), op.matmat(x))
    double = op.subset(torch.tensor([1, 3, 5]), torch.full((3,), 2.0))
    torch.testing.assert_close(double.matmat(x), 2 * odd.matmat(x))


def test_an_empty_subset_is_refused():
    with pytest.raises(ValueError, match="a subset takes numbers"):
        hessian().subset(torch.tensor([], dtype=torch.int64))


def test_the_parts_of_a_hessian_add_up_and_are_counted():
    inner = TalliedOperator(small_hessian(N, torch.float64))
    op = CountingOperator(inner)
    x = torch.ones(N, 2, dtype=torch.float64)
    torch.testing.assert_close(op.parts.ggn.matmat(x) + op.parts.residual.matmat(x), op.matmat(x))
    op.parts.ggn.rows(torch.tensor([0]))
    op.parts.residual.subset(torch.tensor([2])).matmat(x)
    assert op.matvecs == inner.columns == 6 + 1 + 2


def test_the_structure_is_charged_as_a_forward_pass_once():
    op = hessian()
    assert op.structure is op.structure
    assert op.spending.counts == {ProductKind.FORWARD: 1}
    assert bool(op.structure.flat.all())


@pytest.mark.parametrize("name", ["rows", "parts", "structure"])
def test_an_operator_without_them_says_which_trait_to_require(name):
    with pytest.raises(AttributeError, match="require the trait"):
        getattr(CountingOperator(dense_operator(torch.eye(3))), name)
    with pytest.raises(AttributeError, match="require the trait 'subset'"):
        CountingOperator(dense_operator(torch.eye(3))).subset(torch.tensor([0]))


def test_the_norms_of_the_slopes_come_with_those_of_the_roots():
    op = ggn(num_matvecs=0)
    slopes = op.rows.slope_norms()
    assert slopes.shape == (SAMPLES,)
    op.rows.root_norms()
    op.rows.sample_norms()
    assert op.spending.counts == {ProductKind.FORWARD: 1}
