"""Meters of a Krylov run are right on runs whose copies and losses are known."""

import numpy as np
import pytest
import torch

from hessbench.methods.krylov.meters import count_ghosts, orthogonality
from hessbench.methods.krylov.recurrence import lanczos_steps
from hessbench.operators import FunctionOperator, dense_operator
from hessbench.seeding import make_generator

EPS = {torch.float32: 2.0**-23, torch.float64: 2.0**-52}
GEOMETRIC = 0.9 ** np.arange(1000)


def steps_of(reorth, op, seed, num_steps):
    start = torch.randn(op.dim, generator=make_generator(seed), dtype=op.dtype)
    return lanczos_steps(op, start, reorth=reorth, num_steps=num_steps, generator=make_generator(0))


@pytest.mark.parametrize("copies", [1, 2, 4])
def test_copies_within_a_block_are_ghosts_and_copies_across_blocks_are_not(copies):
    # Blocks of one: each a legitimate copy of a repeated eigenvalue.
    assert count_ghosts(np.full(copies, 3.0), np.zeros(copies), 2.0**-52) == 0
    # Wilkinson's matrix: its largest eigenvalues come in pairs closer than rounding though no beta is zero.
    alphas = np.abs(np.arange(-10.0, 11.0))
    assert count_ghosts(alphas, np.ones(21), 2.0**-52) >= 1
    assert count_ghosts(np.arange(1.0, 6.0), np.full(5, 0.5), 2.0**-52) == 0


def test_a_matrix_that_is_not_finite_has_no_copies():
    assert count_ghosts(np.array([1.0, np.nan]), np.ones(2), 2.0**-52) == 0


def test_orthogonality_is_that_of_the_gram_matrix_step_by_step():
    Q = np.linalg.qr(np.random.default_rng(0).standard_normal((50, 4)))[0].T
    Q[3] += 1e-3 * Q[1]
    found = orthogonality(torch.from_numpy(Q.copy()))
    assert (found[:3] < 1e-14).all()
    assert found[3] == pytest.approx(1e-3)


def test_a_run_that_keeps_no_basis_loses_its_orthogonality(rotated):
    A, columns = rotated(0.8 ** np.arange(100), dtype=torch.float32), []

    def matmat(block):
        columns.append(block.clone())
        return A @ block

    *_, T = steps_of("none", FunctionOperator(matmat, 100, torch.float32), 0, 60)
    assert T.basis is None
    lost = orthogonality(torch.cat(columns, dim=1).T)
    assert lost.size == 60
    assert lost[3] < 1e-5
    assert lost[-1] > 0.5


@pytest.mark.parametrize("reorth", ["full", "periodic", "selective", "none"])
@pytest.mark.parametrize("seed", range(2))
def test_ghosts_of_a_geometric_spectrum_up_to_exhaustion_in_float32(rotated, reorth, seed):
    op = dense_operator(rotated(GEOMETRIC, seed=seed, dtype=torch.float32))
    *_, T = steps_of(reorth, op, seed, 150)
    alphas, betas = T.read()
    # The Krylov space is exhausted where 0.9^i meets the rounding of float32, before step 130.
    ghosts = count_ghosts(alphas, betas, EPS[torch.float32])
    if reorth == "none":
        assert ghosts > 20
        return
    assert ghosts == 0
    assert (betas == 0).any()
    lost = orthogonality(T.basis[: T.size])[-1]
    eps = EPS[torch.float32]
    assert lost < (50 * eps if reorth == "full" else 4 * eps**0.5)
