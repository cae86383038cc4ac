"""A Q = Q T + r e^T for every Krylov method, equality with naive float64 twins, and the algebra of s A + t I."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hessbench.counting import CountingOperator
from hessbench.estimand import TopEigenvalues
from hessbench.methods.eigenvalues.block_krylov import block_krylov
from hessbench.methods.eigenvalues.lanczos import lanczos
from hessbench.methods.eigenvalues.power import power_iteration
from hessbench.methods.eigenvalues.simultaneous import simultaneous_iteration, simultaneous_steps
from hessbench.methods.eigenvalues.thick_restart import thick_restart_lanczos
from hessbench.methods.krylov.block_recurrence import block_krylov_steps
from hessbench.methods.krylov.recurrence import lanczos_steps
from hessbench.methods.krylov.restarted import thick_restart_steps
from hessbench.methods.krylov.tridiagonal import solve_tridiagonal
from hessbench.operators import dense_operator
from hessbench.seeding import make_generator

N = 60
LANCZOS = ["full", "periodic", "selective"]
METHODS = {
    **{reorth: (lanczos, {"reorth": reorth}) for reorth in LANCZOS},
    "thick restart": (thick_restart_lanczos, {"basis": 14}),
    "block": (block_krylov, {"block": 3}),
    "ritz": (simultaneous_iteration, {"eigenvalue": "ritz"}),
    "rayleigh": (simultaneous_iteration, {}),
}


def heavy(seed=0, n=N):
    return np.random.default_rng(seed).standard_t(3, n)


def start_of(n=N, columns=None, dtype=torch.float64, seed=5):
    shape = (n,) if columns is None else (n, columns)
    return torch.randn(*shape, generator=make_generator(seed), dtype=dtype)


def steps_of(reorth, op, start, num_steps):
    return lanczos_steps(op, start, reorth=reorth, num_steps=num_steps, generator=make_generator(0))


def gap_of(Q, T, A, remainder):
    """A Q - Q T less its last columns, which hold the remainder; rows of Q are the vectors."""
    Q = Q.double().numpy().T
    R = A.double().numpy() @ Q - Q @ T
    return np.abs(R[:, : R.shape[1] - remainder]).max(initial=0.0), R[:, R.shape[1] - remainder :], Q


@pytest.mark.parametrize("reorth", LANCZOS)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
def test_lanczos_keeps_the_identity_to_rounding_and_orthogonality_to_its_root(rotated, reorth, dtype):
    A = rotated(heavy(), dtype=dtype)
    eps = torch.finfo(dtype).eps
    *_, T = steps_of(reorth, dense_operator(A), start_of(dtype=dtype), 45)
    alphas, betas = T.read()
    matrix = np.diag(alphas) + np.diag(betas[:-1], 1) + np.diag(betas[:-1], -1)
    # A pass at a step changes its residual by no more than the loss it takes out, sqrt(eps) of it.
    gap, last, Q = gap_of(T.basis[: T.size], matrix, A, 1)
    assert gap < 20 * eps**0.5 * np.abs(heavy()).max()
    assert np.linalg.norm(last) == pytest.approx(betas[-1], rel=100 * eps**0.5)
    assert np.abs(Q.T @ Q - np.eye(45)).max() < (50 * eps if reorth == "full" else 4 * eps**0.5)


@pytest.mark.parametrize("reorth", LANCZOS)
def test_t_is_the_projection_to_rounding_where_orthogonality_holds_to_its_root_only(rotated, reorth):
    A = rotated(heavy())
    *_, T = steps_of(reorth, dense_operator(A), start_of(), 30)
    Q = np.linalg.qr(T.basis[:30].numpy().T)[0]
    projected = np.linalg.eigvalsh(Q.T @ A.numpy() @ Q)
    assert np.allclose(solve_tridiagonal(*T.read()).values, projected, atol=1e-12)


@pytest.mark.parametrize("reorth", ["periodic", "selective"])
def test_values_equal_those_of_full_on_the_same_start(rotated, reorth):
    op = dense_operator(rotated(heavy(3, 200)))
    one, two = (
        [e.resolve().value for e in lanczos(op, num_matvecs=60, generator=make_generator(1), reorth=kind, k=5)]
        for kind in ("full", reorth)
    )
    assert all(np.allclose(a, b, atol=1e-12) for a, b in zip(one, two, strict=True))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
def test_thick_restart_keeps_the_identity_through_restarts(rotated, dtype):
    A = rotated(heavy(), dtype=dtype)
    eps = torch.finfo(dtype).eps
    steps = thick_restart_steps(
        dense_operator(A),
        start_of(dtype=dtype),
        order=TopEigenvalues(4),
        basis=16,
        keep=8,
        num_steps=40,
        generator=make_generator(0),
    )
    for state in steps:
        T, betas = state.read()
        gap, last, Q = gap_of(state.tail.basis[: T.shape[0]], T, A, 1)
        assert gap < 200 * eps * np.abs(heavy()).max()
        assert np.linalg.norm(last) == pytest.approx(betas[-1], rel=1e3 * eps, abs=1e3 * eps)
        assert np.abs(Q.T @ Q - np.eye(T.shape[0])).max() < 100 * eps
        assert T.shape[0] <= 16


@pytest.mark.parametrize("width", [1, 3, 7])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
def test_block_krylov_keeps_the_identity_and_its_coupling(rotated, dtype, width):
    A = rotated(heavy(), dtype=dtype)
    eps = torch.finfo(dtype).eps
    start = start_of(columns=width, dtype=dtype)
    for state in block_krylov_steps(dense_operator(A), start, num_matvecs=50, generator=make_generator(0)):
        T = state.read()
        gap, last, Q = gap_of(state.basis[: T.shape[0]], T, A, width)
        assert gap < 500 * eps * np.abs(heavy()).max()
        assert np.abs(Q.T @ Q - np.eye(T.shape[0])).max() < 100 * eps
        assert np.allclose(
            last.T @ last, state.coupling.T @ state.coupling, atol=1e3 * eps * np.abs(heavy()).max() ** 2
        )


def test_block_krylov_equals_rayleigh_ritz_on_the_naive_krylov_matrix(rotated):
    A, X = rotated(heavy()), start_of(columns=4)
    *_, state = block_krylov_steps(dense_operator(A), X, num_matvecs=16, generator=make_generator(0))
    powers = [X.numpy()]
    for _ in range(3):
        powers.append(A.numpy() @ np.linalg.qr(powers[-1])[0])
    K = np.linalg.qr(np.concatenate(powers, axis=1))[0]
    assert np.allclose(np.linalg.eigvalsh(state.read()), np.linalg.eigvalsh(K.T @ A.numpy() @ K), atol=1e-11)


def test_block_krylov_of_one_column_is_lanczos(rotated):
    A, x = rotated(heavy()), start_of()
    *_, T = steps_of("full", dense_operator(A), x, 20)
    *_, state = block_krylov_steps(dense_operator(A), x[:, None], num_matvecs=20, generator=make_generator(0))
    assert np.allclose(np.linalg.eigvalsh(state.read()), solve_tridiagonal(*T.read()).values, atol=1e-12)


def test_thick_restart_equals_lanczos_until_it_restarts(rotated):
    op = dense_operator(rotated(heavy()))
    one, two = (
        [e.resolve().value for e in f(op, num_matvecs=20, generator=make_generator(1), k=4, **keywords)]
        for f, keywords in ((lanczos, {}), (thick_restart_lanczos, {"basis": 20}))
    )
    assert all(np.allclose(a, b, atol=1e-13) for a, b in zip(one, two, strict=True))


def test_simultaneous_iteration_equals_a_naive_twin(rotated):
    A, X = rotated(heavy()), start_of(columns=3)
    block = X.numpy()
    for Q, V in simultaneous_steps(dense_operator(A), X, num_matvecs=30):
        twin = np.linalg.qr(block)[0]
        block = A.numpy() @ twin
        assert np.allclose((twin * block).sum(axis=0), (Q * V).sum(dim=0).numpy(), atol=1e-11)


@pytest.mark.parametrize("name", METHODS)
def test_ritz_vectors_belong_to_their_values(rotated, name):
    run, keywords = METHODS[name]
    op = dense_operator(rotated(heavy()))
    for estimate in run(op, num_matvecs=40, generator=make_generator(1), k=3, vectors=True, **keywords):
        resolved = estimate.resolve()
    V = resolved.vectors
    measured = ((op.matmat(V) - V * torch.as_tensor(resolved.value)).norm(dim=0) / V.norm(dim=0)).numpy()
    said = resolved.diagnostics["residual"]
    assert measured.max() == pytest.approx(said, rel=1e-6, abs=1e-12)
    assert resolved.vectors.shape == (N, 3)


@pytest.mark.parametrize("name", [*METHODS, "power"])
def test_scaling_shifting_and_rotating_do_what_the_algebra_says(rotated, name):
    run, keywords = METHODS.get(name, (power_iteration, {"tol": 0.0}))
    A = rotated(heavy())

    def values(matrix, order="algebraic"):
        chosen = {} if name == "power" else {"which": order}
        op = dense_operator((matrix + matrix.T) / 2)
        *_, estimate = run(op, num_matvecs=12, generator=make_generator(1), k=3, **chosen, **keywords)
        return np.asarray(estimate.resolve().value)

    plain = values(A)
    assert np.allclose(values(8.0 * A), 8 * plain, rtol=1e-13)
    assert np.allclose(values(-A, "smallest"), -plain, rtol=1e-13)
    if name in ("power", "ritz", "rayleigh"):
        return  # these converge to the largest in magnitude, which a shift changes
    shifted = values(A + 3.0 * torch.eye(N, dtype=torch.float64))
    assert np.allclose(shifted, plain + 3, atol=1e-11 if name != "thick restart" else 1e-6)


@pytest.mark.parametrize("reorth", LANCZOS)
def test_a_rotation_of_operator_and_start_leaves_the_values(rotated, reorth):
    A, x = rotated(heavy()), start_of()
    U = torch.linalg.qr(start_of(columns=N)).Q
    *_, T = steps_of(reorth, dense_operator(A), x, 15)
    turned = U @ A @ U.T
    *_, V = steps_of(reorth, dense_operator((turned + turned.T) / 2), U @ x, 15)
    assert np.allclose(T.read(), V.read(), atol=1e-9)


@settings(max_examples=25)
@given(
    n=st.integers(1, 12),
    budget=st.integers(1, 30),
    name=st.sampled_from([*METHODS, "power", "none", "window"]),
    seed=st.integers(0, 10**6),
    zeros=st.integers(0, 12),
)
def test_any_small_operator_is_multiplied_within_the_budget_and_found_to_the_last(n, budget, name, seed, zeros):
    rng = np.random.default_rng(seed)
    values = rng.standard_normal(n)
    values[:zeros] = 0
    Q = np.linalg.qr(rng.standard_normal((n, n)))[0]
    A = torch.from_numpy((Q * values) @ Q.T)
    counted = CountingOperator(dense_operator((A + A.T) / 2), budget)
    loose = {"power": (power_iteration, {}), **{kind: (lanczos, {"reorth": kind}) for kind in ("none", "window")}}
    run, keywords = METHODS[name] if name in METHODS else loose[name]
    k = min(3, n)
    least = 3 * -(-k // 3) if name == "block" and n > 3 else k
    generator = make_generator(seed)
    if budget < least:
        with pytest.raises(ValueError, match="num_matvecs must be at least"):
            next(run(counted, num_matvecs=budget, generator=generator, k=k, **keywords))
        return
    *_, estimate = run(counted, num_matvecs=budget, generator=generator, k=k, **keywords)
    found = np.asarray(estimate.resolve().value)
    assert counted.matvecs <= budget
    assert np.isfinite(found).all()
    if name in (*LANCZOS, "thick restart", "block") and budget >= n:
        assert counted.matvecs == n
        assert np.allclose(np.abs(found), np.sort(np.abs(values))[::-1][:k], atol=1e-12)
    # An average of eigenvalues lies between them, but for a norm's rounding.
    assert found.max() <= values.max() + 1e-12
    assert found.min() >= values.min() - 1e-12
