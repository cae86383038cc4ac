"""A sketch that doubles: each size is the Nystrom approximation of its columns, and it ends where its rule says."""

from itertools import pairwise

import numpy as np
import pytest
import torch

from hessbench.counting import CountingOperator
from hessbench.methods.functions.growing_sketch import growing_pairs, steps_for
from hessbench.methods.functions.nystrom_cg import nystrom_cg
from hessbench.operators import FunctionOperator, dense_operator
from hessbench.seeding import make_generator

STEEP = np.geomspace(1, 1e-8, 100)


def vector(n, dtype=torch.float64):
    return torch.randn(n, generator=make_generator(7), dtype=torch.float64).to(dtype)


def solved(A, b, num_matvecs=300, **keywords):
    op = CountingOperator(dense_operator(A), num_matvecs)
    run = nystrom_cg(op, num_matvecs=num_matvecs, generator=make_generator(1), b=b, sizing="adaptive", **keywords)
    return [(estimate.resolve(), op.matvecs, op.calls) for estimate in run]


def test_every_size_is_the_approximation_of_all_columns_so_far(rotated):
    """A Omega (Omega^T A Omega)^+ (A Omega)^T depends on the span of Omega alone, which holds those before it."""
    A, blocks = rotated(np.geomspace(1, 1e-3, 20)), []

    def seen(block):
        blocks.append(block)
        return A @ block

    sketches = growing_pairs(FunctionOperator(seen, 20, torch.float64), 3, make_generator(0))
    for pairs, columns in zip(sketches, (3, 6, 12, 20), strict=True):
        Omega = torch.cat(blocks, dim=1)
        torch.testing.assert_close(Omega.T @ Omega, torch.eye(columns, dtype=torch.float64), rtol=0, atol=1e-14)
        U = pairs.Q @ torch.as_tensor(pairs.W)
        found = U @ torch.diag(torch.as_tensor(pairs.values)) @ U.T
        expected = A @ Omega @ torch.linalg.solve(Omega.T @ A @ Omega, Omega.T @ A)
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)


def test_it_doubles_until_its_last_eigenvalue_is_ten_dampings_or_steps_are_fewer_than_it_has_cost(rotated):
    A, b = rotated(STEEP), vector(100)
    # In a sketch of 20 the last eigenvalue is near 0.03, and 40 columns come down to some 1e-4.
    for damping, tolerance, rank in ((1.0, 1e-8, 5), (1e-3, 0.5, 10), (1e-4, 1e-8, 40), (0.0, 1e-8, 100)):
        found = solved(A, b, damping=damping, tolerance=tolerance, rank=5)
        sketches = [estimate.diagnostics for estimate, _, _ in found if "rank" in estimate.diagnostics]
        assert [said["rank"] for said in sketches] == [size for size in (5, 10, 20, 40, 80, 100) if size <= rank]
        for said in sketches[:-1]:
            last, size = said["last_eigenvalue"], said["rank"]
            assert last > 10 * damping
            assert damping == 0 or steps_for(1 + last / damping, tolerance) > size


def test_every_column_is_charged_once_and_a_call_a_doubling(rotated):
    found = solved(rotated(STEEP), vector(100), damping=1e-4, rank=5)
    assert [spent for _, spent, _ in found[:4]] == [5, 10, 20, 40]
    assert [calls for _, _, calls in found[:4]] == [1, 2, 3, 4]
    assert [spent for _, spent, _ in found[4:]] == list(range(41, 41 + len(found) - 4))
    assert found[-1][0].converged


def test_a_smaller_budget_is_the_beginning_of_a_larger_one(rotated):
    A, b = rotated(STEEP), vector(100)
    whole = [(spent, estimate.value) for estimate, spent, _ in solved(A, b, damping=1e-4, rank=5)]
    for budget in (5, 9, 10, 39, 40, 41, 45):
        part = [(spent, estimate.value) for estimate, spent, _ in solved(A, b, budget, damping=1e-4, rank=5)]
        assert [spent for spent, _ in part] == [spent for spent, _ in whole if spent <= budget]
        assert all(torch.equal(mine, other) for (_, mine), (_, other) in zip(part, whole, strict=False))


def test_what_a_sketch_answers_is_nearer_than_zero_and_nearer_the_larger_it_is(rotated):
    A, b = rotated(STEEP), vector(100)
    M = A + 1e-4 * torch.eye(100, dtype=torch.float64)
    truth = torch.linalg.solve(M, b)
    errors = [1.0]
    for estimate, spent, _ in solved(A, b, 80, damping=1e-4, rank=5):
        if spent <= 40:
            e = estimate.value - truth
            errors.append(float((e @ M @ e) / (truth @ M @ truth)))
    assert len(errors) == 5
    assert all(later < earlier for earlier, later in pairwise(errors))


@pytest.mark.parametrize("n", [1, 2, 3])
def test_the_smallest_dimensions_are_solved(rotated, n):
    A, b = rotated(np.arange(1.0, n + 1)), vector(n)
    estimate, spent, _ = solved(A, b, damping=0.5)[-1]
    assert float((b - A @ estimate.value - 0.5 * estimate.value).norm()) < 1e-13
    assert spent <= n + 1
    assert estimate.converged


def test_a_zero_matrix_its_rounding_and_products_that_are_not_finite():
    zero, b = torch.zeros(30, 30, dtype=torch.float64), vector(30)
    found = solved(zero, b, damping=0.25, rank=4)
    assert [spent for _, spent, _ in found] == [4, 5]
    assert torch.allclose(found[-1][0].value, 4 * b, rtol=1e-14)
    found = solved(zero, b, damping=0.0, rank=4)
    assert "A + damping I is singular" in found[-1][0].diagnostics["breakdown"]
    flat = torch.diag(torch.tensor([1.0] * 3 + [0.0] * 27))
    found = solved(flat, vector(30, torch.float32), damping=0.0, rank=4)
    assert found[0][0].diagnostics["rank"] == 4
    assert "rank" not in found[1][0].diagnostics
    spoiled = FunctionOperator(lambda block: torch.full_like(block, torch.nan), 30, torch.float64)
    (gone,) = nystrom_cg(spoiled, num_matvecs=9, generator=make_generator(0), b=b, rank=4, sizing="adaptive")
    assert bool(gone.value.isnan().all())
