"""Every column is charged before it is computed, and nothing is charged when it is refused."""

import copy
import os
import pickle
from contextlib import nullcontext

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hessbench.counting import PRICES, BudgetExceeded, CountingOperator, Spending
from hessbench.operators import FunctionOperator, LinearOperator, OperatorInfo, ProductKind, check_block, dense_operator

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

    with nullcontext() if fits else pytest.raises(ValueError, match="lives on"):
        check_block(Block(), N, torch.float64, torch.device(here))


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


ROWS = torch.ones(3, N, dtype=torch.float64)
FORMS = {
    "a row": (lambda op: ROWS[0] @ op, 1),
    "rows": (lambda op: ROWS @ op, 3),
    "rows that track a derivative": (lambda op: ROWS.clone().requires_grad_() @ op, 3),
    "the transpose": (lambda op: op.T @ ROWS.T, 3),
    "the adjoint": (lambda op: op.adjoint() @ ROWS[0], 1),
    "SciPy, a vector": (lambda op: op.to_scipy() @ np.ones(N), 1),
    "SciPy, a column": (lambda op: op.to_scipy().matvec(np.ones((N, 1))), 1),
    "SciPy, a block": (lambda op: op.to_scipy() @ np.ones((N, 4)), 4),
    "SciPy, transposed": (lambda op: op.to_scipy().T @ np.ones(N), 1),
    "SciPy, transposed block": (lambda op: op.to_scipy().H @ np.ones((N, 4)), 4),
    "SciPy, a row": (lambda op: np.ones(N) @ op.to_scipy(), 1),
    "SciPy, a copy of the view": (lambda op: copy.copy(op.to_scipy()) @ np.ones(N), 1),
    "SciPy, a deep copy of the view": (lambda op: copy.deepcopy(op.to_scipy()) @ np.ones(N), 1),
    "SciPy, twice the view": (lambda op: (2 * op.to_scipy()) @ np.ones((N, 2)), 2),
    "SciPy, squared": (lambda op: op.to_scipy() ** 2 @ np.ones(N), 2),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_a_product_is_counted_and_held_to_the_budget(form):
    multiplied, columns = FORMS[form]
    computed = []
    op = CountingOperator(plain(computed), columns)
    product = torch.as_tensor(multiplied(op))
    assert not product.requires_grad
    assert set(product.flatten().tolist()) <= {2.0, 4.0}
    assert op.matvecs == sum(computed) == columns
    with pytest.raises(BudgetExceeded):
        multiplied(op)
    assert op.matvecs == sum(computed) == columns


def test_the_operator_has_the_shape_of_its_matrix_and_is_not_taken_for_an_array():
    op = CountingOperator(plain())
    assert op.shape == (N, N)
    with pytest.raises(TypeError, match="takes a tensor, got ndarray"):
        np.ones(N) @ op
    with pytest.raises(TypeError, match="takes a tensor, got ndarray"):
        op @ np.ones(N)
    assert op.matvecs == 0


def test_the_scipy_view_holds_no_operator_that_is_not_counted():
    view = CountingOperator(plain()).to_scipy()
    assert not [value for value in vars(view).values() if isinstance(value, FunctionOperator)]


def test_a_product_of_another_kind_than_its_block_is_refused_after_it_was_charged():
    op = CountingOperator(FunctionOperator(lambda b: b[:1], N, torch.float64), 10)
    with pytest.raises(ValueError, match="returned shape"):
        op.matmat(ones(2))
    assert op.matvecs == 2


class SummingFactor(Factor):
    def summed_squares(self, block, /):
        return self.squared_sum(block).sum(dim=1)

    def summed_work(self, columns, /):
        return 0.5 + 1 / columns


def test_a_sum_of_squares_is_charged_at_what_it_takes():
    for factor, share in ((Factor(), 1.0), (SummingFactor(), 0.75)):
        ggn = Ggn()
        ggn.factor = factor
        op = CountingOperator(ggn, 100)
        found = op.factor.summed_squares(ones(4, Factor.num_columns))
        assert torch.equal(found, factor.squared_sum(ones(4, Factor.num_columns)).sum(dim=1))
        assert op.spending.counts == {ProductKind.PER_EXAMPLE_SQUARE: 4}
        assert op.spending.gradient_equivalents == pytest.approx(share * 4 * 2 / 3 * 4 / 16)
    with pytest.raises(ValueError, match="factor"):
        op.factor.summed_squares(torch.ones(Factor.num_columns, dtype=torch.float64))
    with pytest.raises(TypeError):
        op.factor.summed_squares([1.0] * Factor.num_columns)


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
    ours = {"per-example-square": 2 / 3, "forward": 1 / 3}
    assert {kind.value: price for kind, price in PRICES.items()} == {**published, **ours}


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


MATRIX = torch.diag(torch.arange(1.0, N + 1, dtype=torch.float64))


def batched_gradients(op):
    x = torch.zeros(N, 1, dtype=torch.float64, requires_grad=True)
    return torch.autograd.grad(op.matmat(x), x, torch.eye(N, dtype=torch.float64)[:, :, None], is_grads_batched=True)


def by_dual_numbers(op):
    with torch.autograd.forward_ad.dual_level():
        return op.matmat(torch.autograd.forward_ad.make_dual(ones(1), ones(1)))


WAYS_ROUND = {
    "batched gradients": batched_gradients,
    "jacrev": lambda op: torch.func.jacrev(op.matmat)(ones(1)),
    "jacfwd": lambda op: torch.func.jacfwd(op.matmat)(ones(1)),
    "jvp": lambda op: torch.func.jvp(op.matmat, (ones(1),), (ones(1),)),
    "dual numbers": by_dual_numbers,
    "vmap": lambda op: torch.func.vmap(op.matmat)(torch.ones(7, N, 1, dtype=torch.float64)),
    "sparse": lambda op: op.matmat(ones(1).to_sparse()),
    "csr": lambda op: op.matmat(ones(1).to_sparse_csr()),
    "vmap from the left": lambda op: torch.func.vmap(lambda x: x @ op)(torch.ones(7, N, dtype=torch.float64)),
    "jacrev from the left": lambda op: torch.func.jacrev(lambda x: x @ op)(torch.ones(N, dtype=torch.float64)),
}


@pytest.mark.filterwarnings("ignore:Sparse CSR:UserWarning", "ignore:.*torch.jit.script:DeprecationWarning")
@pytest.mark.parametrize("way", WAYS_ROUND)
def test_no_derivative_or_transform_gives_more_products_than_are_charged(way):
    op = CountingOperator(dense_operator(MATRIX), 100)
    with pytest.raises((ValueError, RuntimeError), match=r"plain tensor|does not require grad|dense block"):
        WAYS_ROUND[way](op)
    assert op.matvecs <= 1


def test_a_product_carries_no_derivative_of_what_the_operator_is_made_of():
    weight = torch.nn.Parameter(MATRIX.clone())
    op = CountingOperator(FunctionOperator(lambda block: weight @ block, N, torch.float64))
    assert not op.matmat(ones(2)).requires_grad
    factor = CountingOperator(Ggn()).factor
    assert not factor.rmatmat(torch.ones(12, 2, dtype=torch.float64, requires_grad=True)).requires_grad


class Narrow(torch.Tensor):
    """Says that it has one column."""

    @property
    def shape(self):
        return torch.Size([N, 1])

    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        return super().__torch_function__(func, types, args, kwargs or {})


def test_a_subclass_is_charged_the_columns_it_has():
    op = CountingOperator(dense_operator(MATRIX), 100)
    product = op.matmat(ones(40).as_subclass(Narrow))
    assert op.matvecs == 40
    assert type(product) is torch.Tensor
    assert op.matmat(torch.nn.Parameter(ones(2))).shape == (N, 2)
    assert (ones(7).T.contiguous().as_subclass(Narrow) @ op).shape == (7, N)
    assert op.matvecs == 49


class Computing(torch.Tensor):
    """Computes by itself."""

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        return func(*args, **(kwargs or {}))


def test_a_subclass_that_computes_by_itself_is_refused():
    op = CountingOperator(dense_operator(MATRIX), 100)
    with pytest.raises(ValueError, match="plain dense tensor, got Computing"):
        op.matmat(ones(40).as_subclass(Computing))
    assert op.matvecs == 0


@pytest.mark.parametrize("made", [copy.copy, copy.deepcopy, pickle.dumps])
def test_what_counts_is_neither_copied_nor_pickled(made):
    op = CountingOperator(Ggn(), 10)
    for counted in (op, op.factor, op.spending, [op]):
        with (
            pytest.raises(TypeError, match="cannot be copied or pickled")
            if made is not copy.copy or not isinstance(counted, list)
            else nullcontext()
        ):
            made(counted)


def test_a_forked_process_is_refused_its_products():
    op = CountingOperator(plain(), 10)
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        try:
            op.matmat(ones(1))
        except RuntimeError as refused:
            os.write(writing, str(refused).encode())
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    os.close(writing)
    with os.fdopen(reading, "rb") as said:
        assert b"in the process that was handed the operator" in said.read()
    op.matmat(ones(1))
    assert op.matvecs == 1


def test_a_smaller_budget_holds_for_a_while_and_never_widens():
    op = CountingOperator(plain(), 5)
    with op.spending.at_most(2), pytest.raises(BudgetExceeded):
        op.matmat(ones(3))
    with op.spending.at_most(9), pytest.raises(BudgetExceeded):
        op.matmat(ones(6))
    op.matmat(ones(5))
    assert op.matvecs == 5
