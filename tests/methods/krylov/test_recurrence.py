"""The recurrence holds its defining identities and equals a naive float64 twin."""

import numpy as np
import pytest
import torch

from hessbench.counting import CountingOperator
from hessbench.methods.krylov.lockstep import lanczos_lockstep
from hessbench.methods.krylov.recurrence import lanczos_steps
from hessbench.methods.krylov.tridiagonal import first_block, quadrature, solve_tridiagonal
from hessbench.methods.krylov.vectors import norm, outside_of, project_out
from hessbench.operators import FunctionOperator, dense_operator
from hessbench.seeding import make_generator


class Recorder:
    """Keeps a copy of every column an operator is handed: the Lanczos vectors."""

    def __init__(self, A):
        self.A = A
        self.blocks = []

    def operator(self):
        def matmat(block):
            self.blocks.append(block.clone())
            return self.A @ block

        return FunctionOperator(matmat, self.A.shape[0], self.A.dtype)


def start_of(n, dtype=torch.float64, seed=5, columns=None):
    shape = (n,) if columns is None else (n, columns)
    return torch.randn(*shape, generator=make_generator(seed), dtype=dtype)


def full(op, start, num_steps, on_host):
    return lanczos_steps(op, start, reorth="full", num_steps=num_steps, generator=make_generator(0), on_host=on_host)


def last(steps):
    *_, T = steps
    return T.read()


def twin(A, start, steps):
    """Lanczos as in a textbook: modified Gram-Schmidt against every earlier vector, twice, in float64 NumPy."""
    q = start / np.linalg.norm(start)
    Q, alphas, betas = [q], [], []
    for _ in range(steps):
        w = A @ Q[-1]
        alphas.append(Q[-1] @ w)
        for _ in range(2):
            for p in Q:
                w = w - p * (p @ w)
        betas.append(np.linalg.norm(w))
        Q.append(w / betas[-1])
    return np.array(alphas), np.array(betas)


@pytest.mark.parametrize("on_host", [True, False], ids=["host", "device-path"])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-13), (torch.float32, 1e-5)], ids=str)
def test_full_reorthogonalisation_keeps_the_identity_and_the_orthogonality(rotated, dtype, tolerance, on_host):
    recorder = Recorder(rotated(np.linspace(-2, 3, 60), dtype=dtype))
    alphas, betas = last(full(recorder.operator(), start_of(60, dtype), 25, on_host))
    Q = torch.cat(recorder.blocks, dim=1).double().numpy()
    T = np.diag(alphas) + np.diag(betas[:-1], 1) + np.diag(betas[:-1], -1)
    remainder = recorder.A.double().numpy() @ Q - Q @ T
    assert np.abs(Q.T @ Q - np.eye(25)).max() < tolerance
    assert np.abs(remainder[:, :-1]).max() < tolerance
    assert np.linalg.norm(remainder[:, -1]) == pytest.approx(betas[-1], rel=10 * tolerance)
    assert np.abs(Q.T @ remainder[:, -1]).max() < tolerance


@pytest.mark.parametrize("on_host", [True, False], ids=["host", "device-path"])
@pytest.mark.parametrize("steps", [1, 2, 12])
def test_full_equals_a_naive_twin_from_the_same_start(rotated, steps, on_host):
    A, start = rotated(np.random.default_rng(0).standard_t(3, 50)), start_of(50)
    alphas, betas = last(full(dense_operator(A), start, steps, on_host))
    expected_alphas, expected_betas = twin(A.numpy(), start.numpy(), steps)
    assert np.allclose(alphas, expected_alphas, atol=1e-11)
    assert np.allclose(betas, expected_betas, atol=1e-11)


def test_none_equals_full_while_orthogonality_lasts(rotated):
    A, start = rotated(np.linspace(-1, 1, 80)), start_of(80)
    runs = [
        last(lanczos_steps(dense_operator(A), start, reorth=reorth, num_steps=12, generator=make_generator(0)))
        for reorth in ("full", "none")
    ]
    assert np.allclose(runs[0], runs[1], atol=1e-10)


def test_none_hands_over_ghosts(rotated):
    values = 0.8 ** np.arange(100)
    alphas, betas = last(
        lanczos_steps(
            dense_operator(rotated(values, dtype=torch.float32)),
            start_of(100, torch.float32),
            reorth="none",
            num_steps=60,
            generator=make_generator(0),
        )
    )
    found = solve_tridiagonal(alphas, betas).values
    assert (np.abs(found - 1) < 1e-4).sum() > 1


@pytest.mark.parametrize("on_host", [True, False], ids=["host", "device-path"])
@pytest.mark.parametrize("n", [1, 2, 5, 30])
def test_full_ends_after_as_many_steps_as_the_dimension_with_the_whole_spectrum(rotated, n, on_host):
    values = np.linspace(-1, 2, n) if n > 1 else np.array([3.0])
    counted = CountingOperator(dense_operator(rotated(values)))
    alphas, betas = last(full(counted, start_of(n), 100, on_host))
    assert counted.matvecs == n
    assert betas[-1] == 0
    assert np.allclose(solve_tridiagonal(alphas, betas).values, np.sort(values), atol=1e-13)


@pytest.mark.parametrize("on_host", [True, False], ids=["host", "device-path"])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
@pytest.mark.parametrize(
    "values",
    [np.zeros(12), np.ones(12), np.eye(12)[0], np.repeat([5.0, -2.0, 0.0], 4), np.repeat([1.0, -1.0], 6)],
    ids=["zero", "identity", "rank-one", "repeated", "pairs"],
)
def test_full_goes_on_after_an_invariant_subspace_and_finds_every_copy(rotated, values, dtype, on_host):
    A = rotated(values, dtype=dtype)
    alphas, betas = last(
        lanczos_steps(
            dense_operator(A),
            start_of(12, dtype),
            reorth="full",
            num_steps=12,
            on_host=on_host,
            generator=make_generator(0),
        )
    )
    assert np.allclose(solve_tridiagonal(alphas, betas).values, np.sort(values), atol=50 * torch.finfo(dtype).eps)


def test_an_operator_that_returns_its_input_is_the_identity(identity_that_returns_its_input):
    op = identity_that_returns_its_input(8)
    for reorth, steps in (("full", 8), ("none", 1)):
        alphas, betas = last(lanczos_steps(op, start_of(8), reorth=reorth, num_steps=8, generator=make_generator(0)))
        assert alphas.size == steps
        assert np.allclose(alphas, 1, atol=1e-14)
        assert betas[0] == 0


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
def test_none_ends_with_an_invariant_subspace(rotated, dtype, seed):
    counted = CountingOperator(dense_operator(rotated(np.repeat([1.0, 4.0, 9.0], 10), dtype=dtype)))
    start, generator = start_of(30, dtype, seed), make_generator(0)
    alphas, betas = last(lanczos_steps(counted, start, reorth="none", num_steps=20, generator=generator))
    assert counted.matvecs == alphas.size == 3
    assert betas[-1] == 0


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
def test_off_the_host_none_runs_on_past_its_end_in_zeros_that_the_first_block_leaves_out(rotated, dtype):
    op = dense_operator(rotated(np.repeat([1.0, 4.0, 9.0], 10), dtype=dtype))
    start, generator = start_of(30, dtype), make_generator(0)
    T = last(lanczos_steps(op, start, reorth="none", num_steps=9, generator=generator, on_host=False))
    assert T[0].size == 9
    assert not T[0][3:].any()
    alphas, betas = first_block(*T)
    assert np.allclose(solve_tridiagonal(alphas, betas).values, [1, 4, 9], rtol=50 * torch.finfo(dtype).eps)


def test_the_start_is_left_as_it_was(rotated):
    op, start = dense_operator(rotated(np.arange(10))), start_of(10)
    copy = start.clone()
    last(lanczos_steps(op, start, reorth="full", num_steps=5, generator=make_generator(0)))
    lanczos_lockstep(op, start[:, None], 5)
    assert torch.equal(start, copy)


@pytest.mark.parametrize("on_host", [True, False], ids=["host", "device-path"])
def test_lockstep_equals_single_runs(rotated, on_host):
    A, starts = rotated(np.random.default_rng(1).standard_t(3, 60)), start_of(60, columns=4)
    for column, (alphas, betas) in enumerate(lanczos_lockstep(dense_operator(A), starts, 15, on_host=on_host)):
        expected_alphas, expected_betas = twin(A.numpy(), starts[:, column].numpy(), 15)
        assert np.allclose(alphas, expected_alphas, atol=1e-10)
        assert np.allclose(betas, expected_betas, atol=1e-10)


@pytest.mark.parametrize("on_host", [True, False], ids=["host", "device-path"])
def test_lockstep_lets_an_exhausted_start_stand_still_beside_the_others(rotated, on_host):
    A = rotated(np.arange(1.0, 11.0))
    vectors = torch.linalg.eigh(A).eigenvectors
    starts = torch.stack([vectors[:, 3], torch.ones(10, dtype=torch.float64)], dim=1)
    (alphas, betas), other = lanczos_lockstep(dense_operator(A), starts, 6, on_host=on_host)
    nodes, weights = quadrature(alphas, betas)
    assert nodes == pytest.approx([4.0])
    assert weights == pytest.approx([1.0])
    assert np.allclose(other, twin(A.numpy(), np.ones(10), 6), atol=1e-11)


def test_lockstep_refuses_more_steps_than_the_dimension(rotated):
    with pytest.raises(ValueError, match="num_steps must be at most the dimension 4"):
        lanczos_lockstep(dense_operator(rotated(np.arange(4))), start_of(4, columns=1), 5)


@pytest.mark.parametrize("degree", range(10))
def test_quadrature_is_exact_for_polynomials_up_to_twice_the_steps_less_one(rotated, degree):
    A, start = rotated(np.linspace(-1, 1, 40)), start_of(40)
    T = last(lanczos_steps(dense_operator(A), start, reorth="full", num_steps=5, generator=make_generator(0)))
    nodes, weights = quadrature(*T)
    q = start / start.norm()
    exact = float(q @ torch.linalg.matrix_power(A, degree) @ q)
    assert weights.sum() == pytest.approx(1, abs=1e-14)
    assert float(weights @ nodes**degree) == pytest.approx(exact, abs=1e-13)


def test_the_first_block_ends_at_the_first_zero_beta():
    alphas, betas = first_block(np.arange(5.0), np.array([1.0, 0.0, 2.0, 0.0, 3.0]))
    assert alphas.tolist() == [0, 1]
    assert betas.tolist() == [1, 0]


@pytest.mark.parametrize("dim", [None, 0, 1])
def test_norms_of_tiny_float32_vectors_do_not_underflow(dim):
    x = torch.full((100, 100), 1e-25)
    found = norm(x, dim=dim).double().numpy()
    assert np.allclose(found, 1e-25 * (100 if dim is None else 10), rtol=1e-6, atol=0)


@pytest.mark.parametrize("batched", [False, True])
def test_one_projection_serves_a_vector_columns_and_rows_in_lockstep(batched):
    bases = torch.linalg.qr(torch.randn(3, 30, 4, generator=make_generator(0), dtype=torch.float64)).Q.mT.contiguous()
    x = torch.randn(3, 30, generator=make_generator(1), dtype=torch.float64)
    expected = x - torch.einsum("pjn,pjm,pm->pn", bases, bases, x)
    rows, columns, vector = x.clone(), x.T.clone(), x[0].clone()
    components = project_out(bases, rows, batched=batched)
    assert torch.allclose(rows, expected, atol=1e-14)
    assert torch.allclose(components, torch.einsum("pjn,pn->pj", bases, x), atol=1e-14)
    project_out(bases[0], vector)
    assert torch.allclose(vector, expected[0], atol=1e-14)
    outside, along = outside_of(bases[0], columns)
    assert torch.allclose(outside[:, 0], expected[0], atol=1e-14)
    assert torch.allclose(bases[0].T @ along + outside, columns, atol=1e-14)
