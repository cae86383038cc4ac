"""Hard operators and bad input: what each Krylov method does with them, as plain functions."""

from typing import get_args

import numpy as np
import pytest
import torch

from hessbench.estimand import TopEigenvalues
from hessbench.methods.arguments import Reorth
from hessbench.methods.eigenvalues.block_krylov import block_krylov
from hessbench.methods.eigenvalues.lanczos import lanczos
from hessbench.methods.eigenvalues.power import power_iteration
from hessbench.methods.eigenvalues.simultaneous import simultaneous_iteration, simultaneous_steps
from hessbench.methods.eigenvalues.thick_restart import thick_restart_lanczos
from hessbench.methods.krylov.block_recurrence import block_krylov_steps
from hessbench.methods.krylov.recurrence import lanczos_steps
from hessbench.methods.krylov.restarted import thick_restart_steps
from hessbench.methods.krylov.tridiagonal import solve_tridiagonal
from hessbench.operators import FunctionOperator, dense_operator
from hessbench.seeding import make_generator

N = 40
EXACT = {
    "full": (lanczos, {}),
    "periodic": (lanczos, {"reorth": "periodic"}),
    "selective": (lanczos, {"reorth": "selective"}),
    "thick": (thick_restart_lanczos, {"basis": N}),
    "block": (block_krylov, {"block": 3}),
}
ALL = {
    **EXACT,
    "restarted": (thick_restart_lanczos, {"basis": 12}),
    "none": (lanczos, {"reorth": "none"}),
    "window": (lanczos, {"reorth": "window"}),
    "rayleigh": (simultaneous_iteration, {}),
    "norm": (simultaneous_iteration, {"eigenvalue": "norm"}),
    "ritz": (simultaneous_iteration, {"eigenvalue": "ritz"}),
    "power": (power_iteration, {}),
    "pyhessian": (power_iteration, {"stopping": "pyhessian"}),
}
SPECTRA = {
    "zero": np.zeros(N),
    "identity": np.ones(N),
    "rank one": np.eye(N)[0] * -3,
    "repeated": np.repeat([5.0, -2.0, 0.0, 1.0], N // 4),
    "clustered": np.concatenate([1 + 1e-9 * np.arange(N // 2), -0.5 + 1e-9 * np.arange(N // 2)]),
    "pairs": np.concatenate([np.arange(1, N // 2 + 1), -np.arange(1, N // 2 + 1)]).astype(float),
    "99 % zeros": np.concatenate([[3.0], np.zeros(N - 1)]),
    "condition 1e12": np.logspace(0, -12, N),
    "within 1e-15 and 1e-10": np.logspace(-15, -10, N),
    "within 1e10 and 1e15": np.logspace(10, 15, N),
}


def values_of(name, op, budget, k, seed=1):
    run, keywords = ALL[name]
    *_, estimate = run(op, num_matvecs=budget, generator=make_generator(seed), k=k, **keywords)
    return np.asarray(estimate.resolve().value)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
@pytest.mark.parametrize("name", EXACT)
def test_the_whole_spectrum_is_found_to_rounding_after_as_many_products_as_the_dimension(rotated, name, dtype):
    for spectrum, values in SPECTRA.items():
        found = values_of(name, dense_operator(rotated(values, dtype=dtype)), N, N)
        # N steps of a few roundings of the norm each; the matrix itself carries one of them.
        room = N * torch.finfo(dtype).eps * np.abs(values).max()
        # Where values repeat, what a semi-orthogonal basis lets pass comes on top.
        if name == "selective":
            room *= 10
        assert np.allclose(np.sort(found), np.sort(values), rtol=0, atol=room), spectrum


@pytest.mark.parametrize("name", ALL)
def test_every_answer_is_finite_and_no_larger_than_the_norm_in_float32(rotated, name):
    for spectrum, values in SPECTRA.items():
        found = values_of(name, dense_operator(rotated(values, dtype=torch.float32)), 30, 3)
        assert np.isfinite(found).all(), spectrum
        assert np.abs(found).max() <= np.abs(values).max() * (1 + 1e-5), spectrum


@pytest.mark.parametrize("name", EXACT)
def test_a_thousand_dimensions_with_99_percent_zeros_in_float32(rotated, name):
    values = np.concatenate([np.random.default_rng(0).standard_t(3, 10), np.zeros(990)])
    found = values_of(name, dense_operator(rotated(values, dtype=torch.float32)), 42, 10)
    truth = TopEigenvalues(10).rank(values)[:10]
    assert np.allclose(np.abs(found), np.abs(truth), rtol=0, atol=1e-5 * np.abs(values).max())


def test_one_and_two_dimensions(rotated):
    for name in ALL:
        for n in (1, 2):
            values = np.array([-4.0, 3.0])[:n]
            found = values_of(name, dense_operator(rotated(values)), 200, n)
            expected = np.abs(values) if name == "norm" else values
            assert np.allclose(found, expected, rtol=1e-2 if name in ("power", "pyhessian") else 1e-12), (name, n)


@pytest.mark.parametrize("name", ALL)
def test_nan_in_the_middle_of_a_run_ends_in_nan_and_never_in_a_claim(rotated, name):
    A = rotated(np.random.default_rng(0).standard_normal(N))
    calls = []

    def matmat(block):
        calls.append(block.shape[1])
        return A @ block * (float("nan") if len(calls) == 5 else 1.0)

    run, keywords = ALL[name]
    estimates = [
        e.resolve()
        for e in run(FunctionOperator(matmat, N, A.dtype), num_matvecs=27, generator=make_generator(0), k=3, **keywords)
    ]
    assert len(calls) >= 5
    assert np.isfinite(np.asarray(estimates[3].value)).all()
    assert np.isnan(np.asarray(estimates[4].value)).any()
    assert not any(estimate.converged for estimate in estimates[4:])


@pytest.mark.parametrize("reorth", ["full", "periodic", "selective"])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
def test_a_breakdown_is_an_exact_zero_and_the_run_goes_on_to_the_copies(rotated, reorth, dtype):
    values = np.repeat([4.0, -2.0, 1.0], 4)
    op = dense_operator(rotated(values, dtype=dtype))
    start = torch.randn(12, generator=make_generator(2), dtype=dtype)
    *_, T = lanczos_steps(op, start, reorth=reorth, num_steps=12, generator=make_generator(0))
    alphas, betas = T.read()
    assert np.flatnonzero(betas == 0).tolist() == [2, 5, 8, 11]
    assert np.allclose(solve_tridiagonal(alphas, betas).values, np.sort(values), atol=1e3 * torch.finfo(dtype).eps)


def test_window_orthogonalises_against_the_last_vectors_only(rotated):
    values = 0.8 ** np.arange(100)
    op = dense_operator(rotated(values, dtype=torch.float32))
    copies = []
    for window in (2, 60):
        *_, estimate = lanczos(op, num_matvecs=60, generator=make_generator(0), reorth="window", window=window)
        copies.append(estimate.resolve().diagnostics["ghosts"])
    assert copies[0] > 0
    assert copies[1] == 0


def test_norms_lose_the_sign_that_quotients_keep(rotated):
    values = np.concatenate([[-50.0, 20.0, -10.0], np.linspace(0, 0.5, N - 3)])
    op = dense_operator(rotated(values))
    assert np.allclose(values_of("rayleigh", op, 120, 3), [-50, 20, -10], rtol=1e-6)
    assert np.allclose(values_of("norm", op, 120, 3), [50, 20, 10], rtol=1e-6)


def test_a_pair_of_opposite_signs_is_never_said_to_have_converged_by_power_iteration(rotated):
    op = dense_operator(rotated(np.concatenate([[3.0, -3.0], np.zeros(N - 2)])))
    *_, estimate = power_iteration(op, num_matvecs=100, generator=make_generator(0), k=1)
    assert abs(float(estimate.value[0])) < 2.99
    assert estimate.diagnostics["unconverged"] == 0, "the rule itself accepts it: the known harm"
    assert estimate.converged is False


def pyhessian_twin(A, generator, k, tol, max_iter):
    """The stopping rule and the value of PyHessian's loop, written anew in float64 NumPy."""
    found, vectors, spent = [], [], 0
    for _ in range(k):
        v = torch.randn(A.shape[0], 1, generator=generator, dtype=torch.float64)[:, 0].numpy()
        value = None
        for _ in range(max_iter):
            for u in vectors:
                v = v - u * (u @ v)
            v = v / np.linalg.norm(v)
            image = A @ v
            quotient, spent = float(v @ image), spent + 1
            v = image
            if value is not None and abs(value - quotient) / (abs(value) + 1e-6) < tol:
                break
            value = quotient
        for u in vectors:
            v = v - u * (u @ v)
        vectors.append(v / np.linalg.norm(v))
        found.append(value)
    return found, spent


@pytest.mark.parametrize("scale", [1.0, 1e-6])
def test_power_iteration_stops_where_pyhessian_does_and_with_its_value(rotated, scale):
    A = rotated(scale * np.concatenate([[9.0, -7.0, 5.0], np.linspace(-1, 1, N - 3)]))
    expected, spent = pyhessian_twin(A.numpy(), make_generator(0), 3, 1e-3, 100)
    keywords = {"num_matvecs": 300, "generator": make_generator(0), "k": 3, "stopping": "pyhessian"}
    estimates = list(power_iteration(dense_operator(A), **keywords))
    assert len(estimates) == spent
    assert np.allclose(estimates[-1].value, expected, rtol=1e-9)


def test_k_outside_of_the_dimension_or_above_the_budget_is_refused_by_its_range(rotated):
    op = dense_operator(rotated(np.ones(N)))
    for name, (run, keywords) in ALL.items():
        for k in (0, -1, N + 1):
            with pytest.raises(
                ValueError, match=f"k must be between 1 and the dimension {N}, got {k}|must be at least"
            ):
                next(run(op, num_matvecs=90, generator=make_generator(0), k=k, **keywords))
        least = 9 if name == "block" else 7
        with pytest.raises(ValueError, match=f"num_matvecs must be at least {least}, got 6"):
            next(run(op, num_matvecs=6, generator=make_generator(0), k=7, **keywords))


def test_a_basis_smaller_than_k_is_refused_by_its_range(rotated):
    op = dense_operator(rotated(np.ones(N)))
    with pytest.raises(ValueError, match="basis must be at least 9, got 8"):
        next(thick_restart_lanczos(op, num_matvecs=30, generator=make_generator(0), k=7, basis=8))


@pytest.mark.parametrize("bad", [0.0, float("nan"), float("inf")])
def test_a_start_without_a_direction_is_refused(rotated, bad):
    op, start = dense_operator(rotated(np.arange(N))), torch.full((N,), bad, dtype=torch.float64)
    generator = make_generator(0)
    keywords = {"num_steps": 5, "generator": generator}
    order = TopEigenvalues(2)
    for steps in (
        *(lanczos_steps(op, start, reorth=reorth, **keywords) for reorth in get_args(Reorth)),
        thick_restart_steps(op, start, order=order, basis=8, keep=3, **keywords),
    ):
        with pytest.raises(ValueError, match="start must have a norm above 0 and finite"):
            next(steps)
    with pytest.raises(ValueError, match="start must have finite columns of rank 2"):
        next(block_krylov_steps(op, torch.stack([start, start], dim=1), num_matvecs=8, generator=generator))


@pytest.mark.parametrize(
    ("run", "keywords", "message"),
    [
        (lanczos, {"reorth": "window", "window": 1}, "window must be at least 2"),
        (lanczos, {"window": 3}, "window must be 10 unless reorth is window"),
        (lanczos, {"reorth": "none", "vectors": True}, "vectors and meters must be false"),
        (block_krylov, {"block": 0}, "block must be at least 1"),
        (simultaneous_iteration, {"oversampling": -1}, "oversampling must be at least 0"),
        (simultaneous_iteration, {"eigenvalue": "other"}, "eigenvalue must be rayleigh or norm or ritz"),
        (power_iteration, {"stopping": "other"}, "stopping must be relative or pyhessian"),
        (power_iteration, {"max_iter": 0}, "max_iter must be at least 1"),
    ],
)
def test_a_parameter_out_of_range_is_refused_by_name(rotated, run, keywords, message):
    with pytest.raises(ValueError, match=message):
        next(run(dense_operator(rotated(np.ones(N))), num_matvecs=20, generator=make_generator(0), **keywords))


def test_a_block_of_the_wrong_width_is_refused(rotated):
    op = dense_operator(rotated(np.ones(4)))
    with pytest.raises(ValueError, match="between 1 and 4 columns, got 5"):
        next(simultaneous_steps(op, torch.ones(4, 5, dtype=torch.float64), num_matvecs=9))
    with pytest.raises(ValueError, match="block must be between 1 and the dimension 4, got 5"):
        next(block_krylov_steps(op, torch.ones(4, 5).double(), num_matvecs=9, generator=make_generator(0)))
