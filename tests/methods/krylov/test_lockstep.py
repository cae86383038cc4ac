"""Several starts in lock-step, with every way to reorthogonalise, beside runs of their own."""

from typing import get_args

import numpy as np
import pytest
import torch

from hessbench.estimand.density import wasserstein1
from hessbench.methods.arguments import Reorth
from hessbench.methods.krylov.lockstep import kept_rows, lanczos_lockstep
from hessbench.methods.krylov.recurrence import KEEPING, lanczos_steps
from hessbench.methods.krylov.tridiagonal import quadrature
from hessbench.operators import dense_operator
from hessbench.seeding import make_generator

WAYS = get_args(Reorth)


def starts_of(n, columns, dtype=torch.float64, seed=5):
    return torch.randn(n, columns, generator=make_generator(seed), dtype=dtype)


def alone(op, start, steps, reorth):
    *_, T = lanczos_steps(op, start, reorth=reorth, num_steps=steps, generator=make_generator(0))
    return quadrature(*T.read())


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
@pytest.mark.parametrize("reorth", WAYS)
def test_lockstep_equals_separate_runs_in_wasserstein(rotated, reorth, dtype):
    values = np.concatenate([np.random.default_rng(1).standard_t(1, 30), np.zeros(90)])
    op, starts = dense_operator(rotated(values, dtype=dtype)), starts_of(120, 4, dtype)
    for column, T in enumerate(lanczos_lockstep(op, starts, 40, reorth=reorth)):
        distance = wasserstein1(*quadrature(*T), *alone(op, starts[:, column], 40, reorth))
        # Without a basis the copies come when rounding says, and it rounds otherwise in a block.
        room = 1e3 * torch.finfo(dtype).eps if reorth in KEEPING else 1e-3
        assert distance <= room * np.abs(values).max()


@pytest.mark.parametrize("reorth", ["full", "periodic", "selective"])
def test_a_kept_basis_gives_the_quadrature_of_the_dense_measure(rotated, reorth):
    A, starts = rotated(0.8 ** np.arange(60)), starts_of(60, 3)
    basis = torch.linalg.eigh(A)
    for column, T in enumerate(lanczos_lockstep(dense_operator(A), starts, 20, reorth=reorth)):
        nodes, weights = quadrature(*T)
        mass = (basis.eigenvectors.T @ (starts[:, column] / starts[:, column].norm())).numpy() ** 2
        for degree in (1, 2, 11, 39):
            exact = float(mass @ basis.eigenvalues.numpy() ** degree)
            assert float(weights @ nodes**degree) == pytest.approx(exact, rel=1e-9)


@pytest.mark.parametrize("reorth", WAYS)
def test_an_exhausted_start_stands_still_beside_the_others(rotated, reorth):
    A = rotated(np.arange(1.0, 11.0))
    starts = torch.stack([torch.linalg.eigh(A).eigenvectors[:, 3], torch.ones(10, dtype=torch.float64)], dim=1)
    still, other = lanczos_lockstep(dense_operator(A), starts, 6, reorth=reorth)
    nodes, weights = quadrature(*still)
    assert (nodes, weights) == (pytest.approx([4.0]), pytest.approx([1.0]))
    (expected,) = lanczos_lockstep(dense_operator(A), starts[:, 1:], 6)
    assert np.allclose(other, expected, atol=1e-9)


@pytest.mark.parametrize("reorth", WAYS)
def test_nan_products_end_in_nan(rotated, reorth):
    op = dense_operator(rotated(np.arange(9.0)))
    starts = starts_of(9, 2)
    starts[0, 0] = torch.nan
    first, second = lanczos_lockstep(op, starts, 5, reorth=reorth)
    assert np.isnan(first[0]).all()
    assert np.isfinite(second[0]).all()


def test_only_what_is_named_is_kept():
    assert [kept_rows(reorth, 30) for reorth in ("full", "periodic", "selective", "window", "none")] == [
        30, 30, 30, 10, 2
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"reorth": "some"}, "reorth must be full or periodic or selective or window or none"),
        ({"reorth": "window", "window": 1}, "window must be at least 2"),
    ],
)
def test_a_setting_out_of_range_is_refused(rotated, keywords, message):
    with pytest.raises(ValueError, match=message):
        lanczos_lockstep(dense_operator(rotated(np.ones(4))), starts_of(4, 1), 2, **keywords)
