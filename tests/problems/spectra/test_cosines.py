"""The product of small cosine transforms: exact at every shape, and fair to the estimators that meet it."""

import math

import numpy as np
import pytest
import torch

from hessbench.operators import FunctionOperator, check_operator, to_dense
from hessbench.problems.spectra.cosines import MAX_RADIX, CosineRotation, cosine_matrix, radices
from hessbench.problems.spectra.rotation import rotated_operator

SHAPES = [(4, 4, 4), (2, 8, 6), (10, 10, 10), (3, 5, 7, 4), (8, 12, 10), (2, 3, 2, 5, 2, 4)]


def rotation(orders, piece=2**19, dtype=torch.float64, eigenvalues=None, seed=1):
    """The operator of these orders, its spectrum in the order it was given, with its signs."""
    n = math.prod(orders)
    generator = np.random.default_rng(seed)
    spectrum = generator.standard_normal(n) if eigenvalues is None else eigenvalues
    permuted, signs = generator.permutation(spectrum), 2.0 * generator.integers(0, 2, n) - 1
    inner = CosineRotation(orders, torch.as_tensor(permuted).to(dtype), torch.as_tensor(signs).to(dtype), piece)
    return FunctionOperator(inner.matmat, n, dtype), permuted, signs


def block_of(n, k, dtype=torch.float64):
    return torch.randn(n, k, dtype=dtype, generator=torch.Generator().manual_seed(k))


@pytest.mark.parametrize("r", [1, 2, 3, 16, 25, 40])
def test_a_cosine_matrix_is_orthogonal_and_none_of_its_entries_is_larger_than_it_must_be(r):
    C = cosine_matrix(r)
    np.testing.assert_allclose(C @ C.T, np.eye(r), atol=1e-14)
    assert np.abs(C).max() <= (2 / r) ** 0.5


@pytest.mark.parametrize("orders", SHAPES)
def test_the_dense_matrix_is_that_of_the_kronecker_product_and_has_the_spectrum(orders):
    op, spectrum, signs = rotation(orders)
    U = np.ones((1, 1))
    for r in orders:
        U = np.kron(U, cosine_matrix(r))
    Q = signs[:, None] * U.T
    A = to_dense(op).numpy()
    np.testing.assert_allclose(A, (Q * spectrum) @ Q.T, atol=1e-13)
    np.testing.assert_allclose(A, A.T, atol=1e-13)
    np.testing.assert_allclose(np.linalg.eigvalsh((A + A.T) / 2), np.sort(spectrum), atol=1e-13)


@pytest.mark.parametrize("orders", [*SHAPES, (13, 13, 25), (16, 16, 16, 16)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_rotating_there_and_back_gives_the_block_again(orders, dtype):
    op, _, _ = rotation(orders, dtype=dtype, eigenvalues=np.ones(math.prod(orders)))
    x = block_of(op.dim, 3, dtype)
    # Each of 2 m small products rounds its sums of at most 25 terms, and the factors are rounded themselves.
    assert float((op.matmat(x) - x).norm() / x.norm()) < 4 * torch.finfo(dtype).eps


@pytest.mark.parametrize("orders", SHAPES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_operator_keeps_the_protocol(orders, dtype):
    check_operator(rotation(orders, dtype=dtype)[0], torch.Generator().manual_seed(1))


@pytest.mark.parametrize("piece", [1, 100, 150, 999, 5000])
@pytest.mark.parametrize("k", [1, 3, 17])
def test_the_size_of_a_piece_changes_nothing(piece, k):
    x = block_of(1000, k)
    whole = rotation((10, 10, 10))[0].matmat(x)
    torch.testing.assert_close(rotation((10, 10, 10), piece)[0].matmat(x), whole, rtol=0, atol=1e-13)


@pytest.mark.parametrize("k", [1, 2, 15, 16, 17, 35])
@pytest.mark.parametrize("layout", ["rows", "columns", "every second", "expanded"])
def test_a_block_of_any_layout_is_its_columns_and_is_left_alone(k, layout):
    op, _, _ = rotation((4, 6, 5, 8))
    n = op.dim
    block = {
        "rows": lambda: block_of(n, k),
        "columns": lambda: block_of(k, n).T,
        "every second": lambda: block_of(2 * n, 2 * k)[::2, ::2],
        "expanded": lambda: block_of(n, 1).expand(n, k),
    }[layout]()
    before = block.clone()
    product = op.matmat(block)
    one_by_one = torch.cat([op.matmat(block[:, j : j + 1].contiguous()) for j in range(k)], dim=1)
    torch.testing.assert_close(product, one_by_one, rtol=0, atol=1e-13)
    assert torch.equal(block, before)
    assert product.is_contiguous()
    assert product.shape == (n, k)


def test_a_product_is_the_callers_own_and_survives_the_next_call():
    op, _, _ = rotation((10, 10, 10))
    first = op.matmat(block_of(1000, 2))
    kept = first.clone()
    second = op.matmat(block_of(1000, 2) + 1)
    assert torch.equal(first, kept)
    first.zero_()
    assert bool((second != 0).any())
    third = op.matmat(block_of(1000, 2))
    assert torch.equal(third, kept)


@pytest.mark.parametrize("n", [4100, 4225, 5000, 8192, 10_000, 2 * 37**3, 2**20, 6**8, 9_999_990, 10**7, 2**23])
def test_radices_multiply_to_the_length_or_there_are_none(n):
    found = radices(n)
    assert (found is None) == (n == 4100)
    if found is not None:
        assert math.prod(found) == n
        assert len(found) >= 3
        assert all(2 <= radix <= MAX_RADIX for radix in found)


@pytest.mark.parametrize("n", [1, 2, 4, 9998, 9_999_991])
def test_a_length_with_too_few_or_too_large_factors_has_no_radices(n):
    assert radices(n) is None


@pytest.mark.parametrize("orders", [(10, 100), (10, 10), (10, 10, 11), ()])
def test_orders_that_do_not_fit_are_refused(orders):
    with pytest.raises(ValueError, match="product 1000"):
        CosineRotation(orders, torch.ones(1000), torch.ones(1000), 1000)


def sign_probe_values(op, probes):
    """z^T A z for so many vectors of random signs."""
    Z = 2.0 * torch.randint(0, 2, (op.dim, probes), generator=torch.Generator().manual_seed(9)).to(op.dtype) - 1
    return (Z * op.matmat(Z)).sum(dim=0).numpy()


@pytest.mark.parametrize("which", ["cosines", "many cosines", "fourier"])
def test_hutchinsons_estimate_has_the_mean_and_variance_of_the_formula(which):
    n, probes = 1024, 20_000
    eigenvalues = np.random.default_rng(2).standard_t(3, size=n)
    op = {
        "cosines": lambda: rotation((4, 16, 16), eigenvalues=eigenvalues)[0],
        "many cosines": lambda: rotation((4, 4, 4, 4, 4), eigenvalues=eigenvalues)[0],
        "fourier": lambda: rotated_operator(eigenvalues, 1, torch.device("cpu"), torch.float64),
    }[which]()
    diagonal = to_dense(op).diagonal().numpy()
    variance = 2 * (np.sum(eigenvalues**2) - np.sum(diagonal**2))
    values = sign_probe_values(op, probes)
    # Near-normal values of kurtosis below 3.5: their variance is known to sqrt(2.5 / 20000) = 1.1 %; five of these.
    assert abs(values.var() / variance - 1) < 0.056
    assert abs(values.mean() - eigenvalues.sum()) < 5 * (variance / probes) ** 0.5


@pytest.mark.parametrize("orders", [(4, 8, 8), (4, 4, 4, 4)])
@pytest.mark.parametrize("row", [0, 3, 201])
def test_a_coordinate_vector_gets_no_exact_answer(orders, row):
    # With l permuted at random x^T A x is sum_j w_j l_j with w_j = Q_ij^2 of sum 1: around mean(l) with variance
    # (n sum_j w_j^2 - 1) var(l) / (n - 1), nothing if every |Q_ij| were the same.
    n, seeds = 256, 200
    spectrum = np.linspace(-1, 1, n)
    x = torch.zeros(n, 1, dtype=torch.float64)
    x[row] = 1
    forms = [float(rotation(orders, eigenvalues=spectrum, seed=seed)[0].matmat(x)[row]) for seed in range(seeds)]
    U = np.ones((1, 1))
    for r in orders:
        U = np.kron(U, cosine_matrix(r))
    excess = n * np.sum(U[:, row] ** 4) - 1
    assert excess > 1
    expected = (excess * spectrum.var() / (n - 1)) ** 0.5
    # The standard deviation of 200 near-normal draws is known to 1 / sqrt(400) = 5 %; five of these each way.
    assert 0.75 * expected < np.std(forms) < 1.25 * expected
    assert abs(np.mean(forms)) < 5 * expected / seeds**0.5


def test_a_vector_of_ones_meets_all_eigenvectors_alike():
    n, seeds = 256, 200
    spectrum = np.linspace(-1, 1, n)
    x = torch.full((n, 1), n**-0.5, dtype=torch.float64)
    forms = [
        float((x * rotation((4, 8, 8), eigenvalues=spectrum, seed=seed)[0].matmat(x)).sum()) for seed in range(seeds)
    ]
    # Signs make of it a random vector: variance near 2 mean(l^2) / n, the deviation known to 5 %; five of these.
    expected = (2 * float(np.mean(spectrum**2)) / n) ** 0.5
    assert 0.75 * expected < np.std(forms) < 1.25 * expected
    assert abs(np.mean(forms)) < 5 * expected / seeds**0.5


def test_the_diagonal_scatters_a_little():
    op, spectrum, _ = rotation((10, 10, 10))
    diagonal = to_dense(op).diagonal().numpy()
    assert 0.3 < diagonal.var() / (2 * spectrum.var() / op.dim) < 3
    assert np.unique(diagonal.round(10)).size >= 125
