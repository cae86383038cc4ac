"""Distances of an approximation to an operator, against dense matrices."""

import pytest
import torch

from hessbench.counting import CountingOperator
from hessbench.methods.functions.approximations import frobenius_distance, step_cosine
from hessbench.operators import dense_operator

LAYERS = {"a": range(0, 12), "b": range(12, 30)}


def psd(seed, rank=30):
    F = torch.randn(30, rank, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return F @ F.T / rank


def blocks_of(A):
    D = torch.zeros_like(A)
    for where in LAYERS.values():
        D[where.start : where.stop, where.start : where.stop] = A[where.start : where.stop, where.start : where.stop]
    return D


def test_distances_are_those_of_the_dense_matrices_with_enough_probes():
    A, B = psd(0), psd(1)
    ops = [CountingOperator(dense_operator(M)) for M in (B, A)]
    found = frobenius_distance(*ops, LAYERS, num_probes=18, generator=torch.Generator())
    D = blocks_of(A)
    assert found.to_whole == pytest.approx(float((B - A).norm() / A.norm()))
    assert found.to_blocks == pytest.approx(float((B - D).norm() / D.norm()))
    assert found.left_out == pytest.approx(float((A - D).norm() / A.norm()))
    assert found.is_exact
    assert [op.matvecs for op in ops] == [30, 30]


def test_the_diagonal_blocks_are_what_a_block_diagonal_approximation_can_have():
    A = psd(0)
    found = frobenius_distance(
        dense_operator(blocks_of(A)), dense_operator(A), LAYERS, num_probes=5, generator=torch.Generator()
    )
    assert found.to_blocks == 0
    assert found.to_whole == pytest.approx(found.left_out)
    assert not found.is_exact


def test_few_probes_estimate_the_distance():
    A, B = psd(0), psd(1)
    exact = frobenius_distance(
        dense_operator(B), dense_operator(A), LAYERS, num_probes=18, generator=torch.Generator()
    ).to_whole
    draws = torch.tensor([
        frobenius_distance(
            dense_operator(B), dense_operator(A), LAYERS, num_probes=6, generator=torch.Generator().manual_seed(i)
        ).to_whole
        for i in range(100)
    ])  # fmt: skip
    assert abs(float(draws.mean()) - exact) < 5 * float(draws.std()) / 10


def test_the_cosine_is_that_of_dense_steps():
    A, B, eye = psd(0), psd(1), torch.eye(30, dtype=torch.float64)
    g = torch.linspace(-1, 1, 30, dtype=torch.float64)
    x, y = (torch.linalg.solve(M + 0.1 * eye, g) for M in (A, B))
    expected = float(torch.nn.functional.cosine_similarity(x, y, dim=0))
    ops = dense_operator(B), dense_operator(A)
    assert step_cosine(*ops, g, damping=0.1, num_matvecs=60) == pytest.approx(expected, rel=1e-7)
    assert step_cosine(ops[0], ops[0], g, damping=0.1, num_matvecs=60) == pytest.approx(1)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda A, g: frobenius_distance(A, A, {"a": range(29)}, num_probes=1, generator=g), "all of the 30 entries"),
        (lambda A, g: frobenius_distance(A, A, LAYERS, num_probes=0, generator=g), "num_probes must be at least 1"),
        (
            lambda A, g: frobenius_distance(dense_operator(torch.eye(3)), A, LAYERS, num_probes=1, generator=g),
            "one dim",
        ),
        (
            lambda A, g: step_cosine(A, A, torch.ones(30).double(), damping=1e-9, num_matvecs=2),
            "left with the residual",
        ),
    ],
)
def test_what_is_not_accepted_is_said(call, said):
    with pytest.raises(ValueError, match=said):
        call(dense_operator(psd(0)), torch.Generator())
