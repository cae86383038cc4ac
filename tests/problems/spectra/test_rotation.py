"""The rotated spectrum: exact for every n, in both types, and well mixed. `test_orthogonal` has the small cosines."""

import numpy as np
import pytest
import scipy.fft
import torch

from hessbench.operators import check_operator, to_dense
from hessbench.problems.spectra.rotation import (
    cosine_orders,
    random_signs,
    rotated_operator,
    rotated_vectors,
    rotation_version,
)
from hessbench.problems.spectra.synthetic import spectrum_problem

CPU = torch.device("cpu")


def spectrum_of(n: int) -> np.ndarray:
    return np.random.default_rng(n).standard_normal(n)


def operator(n: int, dtype: torch.dtype = torch.float64, seed: int = 5):
    return rotated_operator(spectrum_of(n), seed, CPU, dtype)


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 7, 8, 97, 512, 1000])
def test_the_dense_matrix_has_the_spectrum_and_is_symmetric(n):
    A = to_dense(operator(n)).numpy()
    np.testing.assert_allclose(A, A.T, atol=1e-14)
    np.testing.assert_allclose(np.linalg.eigvalsh((A + A.T) / 2), np.sort(spectrum_of(n)), atol=n * 1e-15)


@pytest.mark.parametrize("n", [1, 2, 3, 97, 512, 5000])
def test_the_vectors_of_places_are_eigenvectors_of_their_eigenvalues(n):
    places = np.unique([0, n // 2, n - 1])
    Q = rotated_vectors(n, 5, places)
    # Two transforms and their inverses: some log2(n) roundings each.
    np.testing.assert_allclose(Q.T @ Q, np.eye(places.size), atol=1e-14)
    product = operator(n).matmat(torch.as_tensor(Q)).numpy()
    np.testing.assert_allclose(product, Q * spectrum_of(n)[places], atol=1e-14 * np.abs(spectrum_of(n)).max())


@pytest.mark.parametrize("n", [1, 2, 3, 7, 1000, 1024, 4225, 999_983, 1_000_000, 2**20])
@pytest.mark.parametrize("columns", [1, 3])
def test_a_float32_product_is_within_a_few_roundings_of_the_float64_one(n, columns):
    block = torch.randn(n, columns, generator=torch.Generator().manual_seed(0))
    exact = operator(n).matmat(block.double())
    close = operator(n, torch.float32).matmat(block)
    assert close.dtype == torch.float32
    assert float((close - exact).norm() / exact.norm()) < 12 * 2.0**-23


@pytest.mark.slow
def test_a_product_at_ten_million_is_as_accurate():
    n = 10_000_000
    block = torch.randn(n, 1, generator=torch.Generator().manual_seed(0))
    exact = operator(n).matmat(block.double())
    assert float((operator(n, torch.float32).matmat(block) - exact).norm() / exact.norm()) < 12 * 2.0**-23


@pytest.mark.parametrize("n", [1, 2, 3, 7, 1000, 1024, 10_000])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_operator_keeps_the_protocol(n, dtype):
    check_operator(operator(n, dtype), torch.Generator().manual_seed(1))


@pytest.mark.parametrize("n", [6, 7, 10_000])
def test_the_columns_of_a_block_are_independent_and_the_block_is_left_alone(n):
    block = torch.randn(4, n, dtype=torch.float64, generator=torch.Generator().manual_seed(2)).T
    before = block.clone()
    together = operator(n).matmat(block)
    one_by_one = torch.cat([operator(n).matmat(block[:, j : j + 1]) for j in range(4)], dim=1)
    torch.testing.assert_close(together, one_by_one, rtol=0, atol=1e-14)
    assert torch.equal(block, before)
    assert together.is_contiguous()


@pytest.mark.parametrize("start", ["ones", "unit"])
def test_no_plain_vector_meets_all_eigenvectors_alike(start):
    # x^T A x for a Haar-rotated A has variance near 2 mean(l^2) / n around mean(l); a flat vector would have none.
    n, seeds = 256, 200
    eigenvalues = np.linspace(-1, 1, n)
    x = torch.full((n, 1), n**-0.5, dtype=torch.float64)
    if start == "unit":
        x = torch.zeros(n, 1, dtype=torch.float64)
        x[3] = 1
    forms = [float(x.T @ rotated_operator(eigenvalues, seed, CPU, torch.float64).matmat(x)) for seed in range(seeds)]
    expected = (2 * float(np.mean(eigenvalues**2)) / n) ** 0.5
    # The standard deviation of 200 near-normal draws is known to 1 / sqrt(400) = 5 %; five of these each way.
    assert 0.75 * expected < np.std(forms) < 1.25 * expected
    assert abs(np.mean(forms)) < 5 * expected / seeds**0.5


def test_the_diagonal_is_nearly_flat():
    n = 1000
    eigenvalues = np.linspace(0, 1, n)
    diagonal = to_dense(rotated_operator(eigenvalues, 1, CPU, torch.float64)).diagonal().numpy()
    # Entries scatter with variance near 2 var(l) / n; the largest of 1000 stays within five of its deviations.
    assert np.abs(diagonal - 0.5).max() < 5 * (2 * eigenvalues.var() / n) ** 0.5


def test_signs_are_plus_and_minus_one_and_differ_from_seed_to_seed():
    inner, outer = random_signs(1000, np.random.default_rng(1))
    assert set(np.unique(inner)) == {-1.0, 1.0} == set(np.unique(outer))
    assert abs(inner @ outer) < 5 * 1000**0.5
    assert abs(inner @ random_signs(1000, np.random.default_rng(2))[0]) < 5 * 1000**0.5


def test_an_eigenvalue_that_does_not_fit_the_type_is_refused():
    with pytest.raises(ValueError, match="do not fit"):
        rotated_operator(np.asarray([1e300, 1.0]), 1, CPU, torch.float32)


@pytest.mark.parametrize("n", [1, 1000, 4096, 4099, 9998, 10_000_019])
def test_the_fourier_rotation_is_kept_up_to_4096_and_where_a_prime_factor_is_large(n):
    assert cosine_orders(n) is None
    assert rotation_version(n) == "signs-real-fourier-twice-permuted-1"


@pytest.mark.parametrize(
    ("n", "orders"),
    [
        (10_000, "25x25x16"),
        (100_000, "10x25x25x16"),
        (1_000_000, "10x10x25x25x16"),
        (10_000_000, "10x10x10x25x25x16"),
        (2**20, "16x16x16x16x16"),
        (2**23, "8x16x16x16x16x16"),
    ],
)
def test_the_orders_of_the_cosines_are_part_of_the_version_and_stay_what_they_are(n, orders):
    assert rotation_version(n) == f"signs-cosines-permuted-1 {orders}"


@pytest.mark.parametrize(
    ("n", "expected"), [(1000, "7510f79d6e82e4ff"), (4096, "025c073ddc85f227"), (4099, "fdc43bb2138c5f5f")]
)
def test_the_hash_of_a_problem_with_the_fourier_rotation_is_what_it_was(n, expected):
    assert spectrum_problem(name="linear", n=n).hash == expected


@pytest.mark.parametrize("n", [4225, 10_000, 2**17])
def test_a_product_with_cosines_is_that_of_multidimensional_cosine_transforms(n):
    generator = np.random.default_rng(5)
    eigenvalues = generator.permutation(spectrum_of(n))
    signs = 2.0 * generator.integers(0, 2, size=n, dtype=np.int8) - 1
    x = np.random.default_rng(6).standard_normal(n)
    shape = tuple(map(int, rotation_version(n).split()[1].split("x")))
    waves = scipy.fft.dctn((signs * x).reshape(shape), norm="ortho")
    expected = signs * scipy.fft.idctn(waves * eigenvalues.reshape(shape), norm="ortho").ravel()
    np.testing.assert_allclose(operator(n) @ torch.as_tensor(x), expected, atol=1e-13)


def test_the_same_seed_gives_the_same_bits_and_another_seed_another_matrix():
    block = torch.randn(10_000, 2, generator=torch.Generator().manual_seed(3))
    first, again, other = (operator(10_000, torch.float32, seed).matmat(block) for seed in (5, 5, 6))
    assert torch.equal(first, again)
    assert float((first - other).norm() / first.norm()) > 1


def test_one_thread_and_two_agree_to_rounding():
    n, before = 2**20, torch.get_num_threads()
    block = torch.randn(n, 1, generator=torch.Generator().manual_seed(4))
    op = operator(n, torch.float32)
    try:
        torch.set_num_threads(1)
        alone = op.matmat(block)
        torch.set_num_threads(2)
        shared = op.matmat(block)
    finally:
        torch.set_num_threads(before)
    assert float((alone - shared).norm() / alone.norm()) < 4 * 2.0**-23


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("n", [1, 2, 7, 1000, 1024, 10_000, 99_991, 1_000_000])
@pytest.mark.parametrize("columns", [1, 3])
def test_a_product_on_a_cuda_device_is_that_of_the_cpu(n, columns):
    block = torch.randn(n, columns, generator=torch.Generator().manual_seed(0))
    exact = operator(n).matmat(block.double())
    on_device = rotated_operator(spectrum_of(n), 5, torch.device("cuda"), torch.float32).matmat(block.cuda())
    assert float((on_device.cpu() - exact).norm() / exact.norm()) < 12 * 2.0**-23
