"""Conversions to and from operators, and what is refused in one sentence."""

import numpy as np
import pytest
import scipy.sparse.linalg
import torch

from hessbench.counting import CountingOperator
from hessbench.operators import (
    FunctionOperator,
    LinearOperator,
    OperatorInfo,
    ProductKind,
    check_block,
    check_operator,
    check_product,
    check_symmetric,
    dense_operator,
    from_scipy,
    info_of,
    multiply,
    to_dense,
    to_scipy,
)
from hessbench.seeding import make_generator
from hessbench.transforms import shifted

N = 9


def symmetric(n=N, dtype=torch.float64, seed=0):
    A = torch.randn(n, n, generator=make_generator(seed), dtype=torch.float64)
    return (A + A.T).to(dtype)


def block(k=3, n=N, dtype=torch.float64):
    return torch.randn(n, k, generator=make_generator(1), dtype=dtype)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_dense_operator_multiplies_by_its_matrix(dtype):
    A = symmetric(dtype=dtype)
    op = dense_operator(A)
    assert isinstance(op, LinearOperator)
    assert (op.dim, op.dtype, op.device) == (N, dtype, torch.device("cpu"))
    assert torch.equal(op.matmat(block(dtype=dtype)), A @ block(dtype=dtype))


def test_a_dense_operator_computes_in_the_dtype_asked_for():
    op = dense_operator(symmetric(), dtype=torch.float32)
    assert op.matmat(block(dtype=torch.float32)).dtype == torch.float32


def test_at_sign_takes_a_vector_or_a_block():
    A = symmetric()
    op = dense_operator(A)
    assert torch.allclose(op @ block()[:, 0], A @ block()[:, 0])
    assert torch.equal(op @ block(), A @ block())


@pytest.mark.parametrize("view", [lambda b: b.T.contiguous().T, lambda b: b[:, ::2], lambda b: b.expand(N, 3)])
def test_non_contiguous_blocks_multiply_as_their_copies_do(view):
    base = view(block(1) if view(block(1)).shape[1] == 3 else block())
    op = dense_operator(symmetric())
    assert torch.allclose(op.matmat(base), op.matmat(base.contiguous()))


@pytest.mark.parametrize("block_size", [1, 4, 9, 100])
def test_dense_form_does_not_depend_on_the_block_size(block_size):
    A = symmetric()
    assert torch.allclose(to_dense(dense_operator(A), block_size), A, atol=1e-15)


def test_dense_form_costs_one_product_per_column_in_few_calls():
    widths = []

    def matmat(b):
        widths.append(b.shape[1])
        return b

    to_dense(FunctionOperator(matmat, 10), 4)
    assert widths == [4, 4, 2]


@pytest.mark.parametrize(
    ("matrix", "says"),
    [
        (torch.ones(3), "square"),
        (torch.ones(2, 3), "square"),
        (torch.ones(0, 0), "square"),
        (torch.eye(3, dtype=torch.int64), "real floating"),
        (torch.eye(3, dtype=torch.complex64), "real floating"),
        (torch.tensor([[1.0, float("nan")], [float("nan"), 1.0]]), "not finite"),
        (torch.tensor([[1.0, float("inf")], [float("inf"), 1.0]]), "not finite"),
        (torch.tensor([[1.0, 2.0], [3.0, 4.0]]), "not symmetric"),
    ],
)
def test_what_is_no_symmetric_matrix_is_refused_in_one_sentence(matrix, says):
    with pytest.raises(ValueError, match=says) as caught:
        check_symmetric(matrix)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("matrix", [torch.zeros(3, 3), 1e-30 * torch.eye(3), 1e30 * torch.eye(3)])
def test_zero_tiny_and_huge_symmetric_matrices_are_accepted(matrix):
    check_symmetric(matrix)


def test_rounding_of_a_symmetric_product_is_no_asymmetry():
    Q = torch.linalg.qr(block(N)).Q
    A = (Q * torch.arange(1.0, N + 1, dtype=torch.float64)) @ Q.T
    check_symmetric(A)
    A[0, 1] += 1e-12
    with pytest.raises(ValueError, match="not symmetric"):
        check_symmetric(A)


@pytest.mark.parametrize(("dim", "dtype"), [(0, torch.float32), (-1, torch.float32), (3, torch.int32)])
def test_an_impossible_dimension_or_dtype_is_refused(dim, dtype):
    with pytest.raises(ValueError, match="dim" if dim < 1 else "dtype"):
        FunctionOperator(lambda b: b, dim, dtype)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64, np.int8, np.bool_])
def test_a_scipy_operator_multiplies_in_floating_point_whatever_its_own_dtype(dtype):
    A = np.asarray([[1, 1, 0], [1, 0, 1], [0, 1, 1]], dtype=dtype)
    op = from_scipy(scipy.sparse.linalg.aslinearoperator(A), dtype=torch.float64)
    half = torch.full((3, 2), 0.5, dtype=torch.float64)
    assert torch.allclose(op.matmat(half), torch.as_tensor(A.astype(np.float64)) @ half)


def test_a_scipy_operator_that_returns_a_reversed_view_is_read():
    flip = scipy.sparse.linalg.LinearOperator((N, N), matvec=lambda x: x[::-1], matmat=lambda X: X[::-1], dtype=float)
    assert torch.equal(from_scipy(flip, dtype=torch.float64).matmat(block()), block().flip(0))


def test_a_scipy_operator_never_hands_the_block_back_itself():
    same = scipy.sparse.linalg.LinearOperator((N, N), matvec=lambda x: x, matmat=lambda X: X, dtype=float)
    x = block()
    from_scipy(same, dtype=torch.float64).matmat(x).zero_()
    assert torch.equal(x, block())


@pytest.mark.parametrize(
    ("matrix", "says"), [(np.ones((2, 3)), "square"), (np.eye(2) * (1 + 1j), "real")], ids=["not-square", "complex"]
)
def test_a_scipy_operator_that_is_not_square_and_real_is_refused(matrix, says):
    with pytest.raises(ValueError, match=says):
        from_scipy(scipy.sparse.linalg.aslinearoperator(matrix))


def test_there_and_back_through_scipy_is_the_same_operator():
    A = symmetric()
    back = from_scipy(to_scipy(dense_operator(A)), dtype=torch.float64)
    assert torch.allclose(to_dense(back), A)


@pytest.mark.parametrize("x", [np.ones(N), np.ones((N, 1)), np.ones((N, 4), order="F"), np.ones(N, dtype=np.int64)])
def test_the_scipy_view_keeps_shapes_and_gives_float64(x):
    A = symmetric()
    view = dense_operator(A, dtype=torch.float32).to_scipy()
    product = view @ x
    assert product.dtype == np.float64
    assert product.shape == x.shape
    assert np.allclose(product, A.numpy() @ x, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("x", [np.ones(N), np.ones((N, 1)), np.ones((N, 4))])
def test_the_transpose_of_the_scipy_view_is_the_view(x):
    A = symmetric()
    view = dense_operator(A).to_scipy()
    assert np.allclose(view.T @ x, A.numpy() @ x)
    assert np.allclose(view.H @ x, A.numpy() @ x)
    assert np.allclose(x.T @ view, x.T @ A.numpy())


@pytest.mark.parametrize("x", [np.broadcast_to(1.0, (N, 2)), np.ones((2, N))[::-1].T], ids=["read-only", "reversed"])
def test_the_scipy_view_takes_any_view_of_an_array(x):
    A = symmetric()
    assert np.allclose(dense_operator(A).to_scipy() @ x, A.numpy() @ x)


def test_the_scipy_view_neither_changes_what_comes_in_nor_shares_it():
    x = np.ones(N)
    product = to_scipy(FunctionOperator(lambda block: block.mul_(2), N, torch.float64)) @ x
    assert (x == 1).all()
    assert (product == 2).all()


def test_the_scipy_view_refuses_complex_arrays_naming_what_is_accepted():
    with pytest.raises(ValueError, match="takes real arrays, got dtype complex128"):
        dense_operator(symmetric()).to_scipy() @ np.ones(N, dtype=complex)


def test_an_operator_has_the_shape_of_its_matrix():
    assert dense_operator(symmetric()).shape == (N, N)
    assert shifted(dense_operator(symmetric()), 1.0).shape == (N, N)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("transform", [lambda op: op, lambda op: shifted(op, 2.0)], ids=["plain", "shifted"])
def test_rows_multiply_from_the_left(dtype, transform):
    A = symmetric(dtype=dtype)
    op = transform(dense_operator(A))
    A = to_dense(op)
    rows = block(dtype=dtype).T
    assert torch.allclose(rows @ op, rows @ A, atol=1e-5)
    assert torch.allclose(rows[0] @ op, rows[0] @ A, atol=1e-5)
    assert (rows @ op).shape == (3, N)


@pytest.mark.parametrize("shape", [(), (N + 1,), (N, 2), (2, 3, N)])
def test_rows_of_another_length_are_refused(shape):
    with pytest.raises(ValueError, match=r"rows of length 9 are accepted on the left of the operator, got shape"):
        torch.ones(shape, dtype=torch.float64) @ dense_operator(symmetric())


@pytest.mark.parametrize("multiplied", [lambda x, op: x @ op, lambda x, op: op @ x.T], ids=["left", "right"])
def test_an_array_is_refused_on_either_side(multiplied):
    with pytest.raises(TypeError):
        multiplied(np.ones((2, N)), CountingOperator(dense_operator(symmetric())))


def test_scipy_finds_the_eigenvalues_of_the_view():
    A = symmetric(30)
    found = scipy.sparse.linalg.eigsh(to_scipy(dense_operator(A)), k=2, v0=np.ones(30), return_eigenvectors=False)
    exact = torch.linalg.eigvalsh(A)
    assert np.allclose(np.sort(np.abs(found)), np.sort(exact.abs().numpy())[-2:])


def test_what_an_operator_says_of_its_products_is_kept():
    info = OperatorInfo(ProductKind.HESSIAN, 10, 20, "loop")
    assert info_of(FunctionOperator(lambda b: b, 3, info=info)) == info
    assert info_of(_Plain()).kind is ProductKind.PRODUCT


class _Plain:
    dim = 3
    dtype = torch.float32
    device = torch.device("cpu")

    def matmat(self, b, /):
        return b


def check(function, n=N, dtype=torch.float64):
    check_operator(FunctionOperator(function, n, dtype), make_generator(0))


@pytest.mark.parametrize("n", [1, 2, 50])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_sound_operator_passes_the_check(n, dtype):
    A = symmetric(n, dtype)
    check(lambda b: A @ b, n, dtype)


def test_the_zero_operator_passes_the_check():
    check(lambda b: torch.zeros_like(b))


@pytest.mark.parametrize(
    ("function", "says"),
    [
        (lambda b: torch.cat([b[1:], b[:1]]), "not symmetric"),
        (lambda b: b + 1, "not linear|not symmetric"),
        (lambda b: b.abs(), "not linear|not symmetric"),
        (lambda b: b * torch.linspace(1, 2, b.shape[1], dtype=b.dtype), "not linear|not symmetric"),
        (lambda b: b[:, 0], "shape"),
        (lambda b: b.float(), "dtype"),
        (lambda b: b.numpy(), "expected a tensor"),
        (lambda b: b * float("nan"), "not finite"),
        (lambda b: b.to("meta"), "meta"),
    ],
    ids=["shift", "affine", "absolute", "columns-mixed", "shape", "dtype", "array", "nan", "device"],
)
def test_an_unsound_operator_is_named(function, says):
    with pytest.raises(ValueError, match=says):
        check(function)


def test_a_product_like_its_block_is_accepted():
    op = dense_operator(symmetric())
    check_product(op, block(), op.matmat(block()))


def test_multiply_refuses_nothing_that_matmat_accepts():
    op = dense_operator(symmetric())
    assert multiply(op, block(1)).shape == (N, 1)
    assert multiply(op, block(1)[:, 0]).shape == (N,)


@pytest.mark.parametrize(
    ("block", "said"),
    [
        (torch.ones(4, 0), r"the operator takes a block of shape \(4, k\) with k at least 1, got \(4, 0\)"),
        (torch.ones(3, 1), r"takes a block of shape \(4, k\) with k at least 1, got \(3, 1\)"),
        (torch.ones(4, 1, dtype=torch.int32), r"takes torch\.float32, got torch\.int32"),
        (torch.ones(4, 1, dtype=torch.complex64), r"takes torch\.float32, got torch\.complex64"),
        (torch.ones(4, 1, device="meta"), "lives on cpu, got a block on meta"),
    ],
)
def test_a_block_that_is_none_is_refused_naming_what_is_accepted(block, said):
    with pytest.raises(ValueError, match=said):
        check_block(block, 4, torch.float32, torch.device("cpu"))


def test_an_array_is_no_block_and_no_column_is_one_where_that_is_accepted():
    with pytest.raises(TypeError, match="the operator takes a tensor, got list"):
        check_block([1.0], 1, torch.float32, torch.device("cpu"))
    check_block(torch.ones(4, 0), 4, torch.float32, torch.device("cpu"), least=0)
