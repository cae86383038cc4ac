"""Every column is charged before it is computed, and nothing is charged when it is refused."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hessbench.counting import PRICES, BudgetExceeded, CountingOperator, Spending
from hessbench.operators import FunctionOperator, LinearOperator, OperatorInfo, ProductKind, dense_operator

N = 5


class Factor:
    num_samples = 4
    num_outputs = 3
    num_columns = 12

    def rmatmat(self, block, /):
        return torch.ones(N, block.shape[1], dtype=block.dtype)

    def squared_sum(self, block, /):
        return torch.ones(N, block.shape[1], dtype=block.dtype)


class Ggn:
    dim = N
    dtype = torch.float64
    device = torch.device("cpu")
    info = OperatorInfo(ProductKind.GGN, samples=4, population=16)
    factor = Factor()

    def matmat(self, block, /):
        return 2 * block


def plain(computed=None, dtype=torch.float64):
    def matmat(block):
        if computed is not None:
            computed.append(block.shape[1])
        return 2 * block

    return FunctionOperator(matmat, N, dtype)


def ones(k, n=N, dtype=torch.float64):
    return torch.ones(n, k, dtype=dtype)


widths = st.lists(st.integers(1, 7), max_size=12)


@given(widths=widths)
def test_columns_charged_are_columns_passed(widths):
    op = CountingOperator(plain())
    for k in widths:
        op.matmat(ones(k))
    assert op.matvecs == sum(widths)
    assert op.calls == len(widths)
    assert op.spending.counts.get(ProductKind.PRODUCT, 0) == sum(widths)
    assert op.spending.gradient_equivalents == sum(widths)


@given(widths=widths, budget=st.integers(0, 30))
def test_a_budget_is_never_passed_and_a_refused_block_costs_and_computes_nothing(widths, budget):
    computed = []
    op = CountingOperator(plain(computed), budget)
    fitted = 0
    for k in widths:
        if fitted + k <= budget:
            op.matmat(ones(k))
            fitted += k
        else:
            with pytest.raises(BudgetExceeded) as caught:
                op.matmat(ones(k))
            assert (caught.value.columns, caught.value.spent, caught.value.budget) == (k, fitted, budget)
        assert op.matvecs == sum(computed) == fitted <= budget
        assert op.calls == len(computed)
        assert op.remaining == budget - fitted


@pytest.mark.parametrize(
    ("block", "says"),
    [
        (torch.ones(N, dtype=torch.float64), "shape"),
        (torch.ones(N, 0, dtype=torch.float64), "at least 1"),
        (torch.ones(N + 1, 2, dtype=torch.float64), "shape"),
        (torch.ones(N, 2, 1, dtype=torch.float64), "shape"),
        (torch.ones(N, 2, dtype=torch.float32), "float64"),
        (torch.ones(N, 2, dtype=torch.int64), "float64"),
        (torch.ones(N, 2, dtype=torch.complex128), "float64"),
        (torch.ones(N, 2, dtype=torch.float64, device="meta"), "meta"),
    ],
)
@pytest.mark.parametrize("through", ["operator", "factor"])
def test_a_block_that_does_not_fit_is_refused_and_costs_nothing(through, block, says):
    op = CountingOperator(Ggn(), 100)
    multiply = op.matmat if through == "operator" else op.factor.rmatmat
    if through == "factor" and block.shape[0] == N and block.ndim > 1:
        block = torch.ones(Factor.num_columns, *block.shape[1:], dtype=block.dtype, device=block.device)
    with pytest.raises(ValueError, match=says):
        multiply(block)
    assert (op.matvecs, op.calls) == (0, 0)


@pytest.mark.parametrize(
    ("here", "there", "fits"), [("cuda", "cuda:0", True), ("cuda:1", "cuda:0", False), ("cpu", "cuda", False)]
)
def test_a_device_with_and_without_its_number_is_one_device(here, there, fits):
    class Block:
        ndim, shape, dtype = 2, (N, 1), torch.float64
        device = torch.device(there)

    op = CountingOperator(FunctionOperator(lambda b: b, N, torch.float64, here), 0)
    # With nothing left a block that fits is refused for the budget, any other for its device.
    with pytest.raises(BudgetExceeded if fits else ValueError, match="asked for" if fits else "lives on"):
        op.matmat(Block())


@pytest.mark.parametrize("columns", [0, -3])
def test_charging_fewer_than_one_column_is_refused(columns):
    op = CountingOperator(plain(), 10)
    op.matmat(ones(5))
    with pytest.raises(ValueError, match="columns"):
        op.charge(ProductKind.PRODUCT, columns)
    assert op.matvecs == 5


def test_non_contiguous_blocks_are_counted_like_others():
    op = CountingOperator(plain())
    op.matmat(ones(6).T.contiguous().T[:, ::2])
    assert op.matvecs == 3


def test_at_sign_is_counted():
    op = CountingOperator(plain())
    assert torch.equal(op @ torch.ones(N, dtype=torch.float64), torch.full((N,), 2.0, dtype=torch.float64))
    assert op.matvecs == 1
    assert isinstance(op, LinearOperator)


def test_a_product_of_another_kind_than_its_block_is_refused_after_it_was_charged():
    op = CountingOperator(FunctionOperator(lambda b: b[:1], N, torch.float64), 10)
    with pytest.raises(ValueError, match="returned shape"):
        op.matmat(ones(2))
    assert op.matvecs == 2


def test_products_are_priced_by_kind_and_by_share_of_the_data():
    op = CountingOperator(Ggn(), 100)
    op.matmat(ones(3))
    factor = op.factor
    factor.rmatmat(ones(2, Factor.num_columns))
    factor.squared_sum(ones(4, Factor.num_columns))
    op.charge(ProductKind.GRADIENT, 5)
    spending = op.spending
    assert spending.counts == {
        ProductKind.GGN: 3, ProductKind.VJP: 2, ProductKind.PER_EXAMPLE_SQUARE: 4, ProductKind.GRADIENT: 5,
    }  # fmt: skip
    assert (op.matvecs, op.calls) == (14, 4)
    assert spending.samples == 4 * (3 + 2 + 4)
    assert spending.gradient_equivalents == pytest.approx((3 * 4 / 3 + 2 * 2 / 3 + 4 * 2 / 3) * 4 / 16 + 5)


def test_prices_are_the_published_ones():
    published = {"product": 1, "gradient": 1, "hessian": 2, "ggn": 4 / 3, "jvp": 2 / 3, "vjp": 2 / 3}
    assert {kind.value: price for kind, price in PRICES.items()} == {**published, "per-example-square": 2 / 3}


def test_the_factor_shares_the_budget_of_its_operator():
    op = CountingOperator(Ggn(), 5)
    op.matmat(ones(3))
    with pytest.raises(BudgetExceeded):
        op.factor.rmatmat(ones(3, Factor.num_columns))
    op.factor.rmatmat(ones(2, Factor.num_columns))
    assert op.remaining == 0


def test_an_operator_without_a_factor_says_what_to_require():
    op = CountingOperator(plain())
    assert not hasattr(op, "factor")
    with pytest.raises(AttributeError, match="require the trait 'factor'"):
        _ = op.factor


def test_on_charge_is_told_the_total_before_the_product_is_computed():
    told, computed = [], []
    op = CountingOperator(plain(computed), 10, lambda total: told.append((total, len(computed))))
    op.matmat(ones(2))
    op.matmat(ones(3))
    assert told == [(2, 0), (5, 1)]


def test_nothing_is_left_without_a_budget_to_tell():
    assert CountingOperator(plain()).remaining is None


def test_a_nan_in_any_product_is_seen():
    op = CountingOperator(FunctionOperator(lambda b: b / b.sum(), N, torch.float64))
    op.matmat(ones(1))
    assert op.spending.is_finite
    op.matmat(torch.zeros(N, 1, dtype=torch.float64))
    op.matmat(ones(1))
    assert not op.spending.is_finite


def test_time_inside_products_is_added_up():
    spending = Spending()
    spending.timed(lambda b: sum((b @ b.T for _ in range(20)), b @ b.T), torch.ones(100, 100))
    once = spending.operator_s
    spending.timed(lambda b: b, torch.ones(2, 2))
    assert 0 < once <= spending.operator_s < 10


def test_products_are_those_of_the_inner_operator():
    A = torch.arange(25.0).reshape(5, 5)
    op = CountingOperator(dense_operator(A + A.T))
    assert torch.equal(op.matmat(torch.eye(5)), A + A.T)
