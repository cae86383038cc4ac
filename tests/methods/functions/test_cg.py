"""Conjugate gradients: equal to naive twins, and what they say where there is no solution to be had."""

import numpy as np
import pytest
import scipy.sparse.linalg
import torch

from hessbench.cells.cell import Cell
from hessbench.cells.execute import execute
from hessbench.counting import CountingOperator
from hessbench.estimand import Solve
from hessbench.ledger.record import Status
from hessbench.methods import METHODS
from hessbench.methods.eigenvalues.nystrom import nystrom_pairs
from hessbench.methods.functions.cg import cg
from hessbench.methods.functions.nystrom_cg import nystrom_cg
from hessbench.operators import FunctionOperator, dense_operator
from hessbench.problem import Problem
from hessbench.seeding import make_generator

BY_NAME = {method.name: method for method in METHODS}
DECAY = np.geomspace(1, 1e-4, 40)


def vector(n, seed=7, dtype=torch.float64):
    return torch.randn(n, generator=make_generator(seed), dtype=torch.float64).to(dtype)


def solved(function, A, b, num_matvecs=200, seed=1, **keywords):
    """Every estimate, evaluated, and the products spent."""
    op = CountingOperator(dense_operator(A) if isinstance(A, torch.Tensor) else A, num_matvecs)
    found = [
        estimate.resolve()
        for estimate in function(op, num_matvecs=num_matvecs, generator=make_generator(seed), b=b, **keywords)
    ]
    return found, op.matvecs


def relative_residual(A, damping, b, x):
    return float((b - A @ x - damping * x).norm() / b.norm())


def test_iterates_are_those_of_scipy(rotated):
    A, b = rotated(DECAY), vector(40)
    theirs = []
    M = A.numpy() + 0.01 * np.eye(40)
    scipy.sparse.linalg.cg(M, b.numpy(), rtol=1e-8, atol=0, callback=lambda x: theirs.append(x.copy()))
    ours, spent = solved(cg, A, b, damping=0.01, tolerance=1e-8)
    assert spent == len(ours) == len(theirs)
    # Rounding differs, and grows as the residuals lose their orthogonality, until both have converged.
    for mine, other in [*zip(ours[:10], theirs, strict=False), (ours[-1], theirs[-1])]:
        assert np.allclose(mine.value.numpy(), other, rtol=0, atol=1e-6 * np.abs(other).max())
    assert ours[-1].converged


@pytest.mark.parametrize("reorth", ["none", "full"])
def test_each_iterate_is_the_best_of_its_krylov_space_in_the_energy_norm(rotated, reorth):
    A, b = rotated(DECAY), vector(40)
    M = A + 0.01 * torch.eye(40, dtype=torch.float64)
    truth = torch.linalg.solve(M, b)
    ours, _ = solved(cg, A, b, damping=0.01, reorth=reorth)
    K = b[:, None]
    for step in range(1, 8):
        Q = torch.linalg.qr(K).Q
        best = Q @ torch.linalg.solve(Q.T @ M @ Q, Q.T @ b)
        assert float((ours[step - 1].value - best).norm()) < 1e-7 * float(truth.norm())
        K = torch.cat([Q, M @ Q[:, -1:]], dim=1)


def test_the_end_is_the_dense_solution(rotated):
    A, b = rotated(DECAY), vector(40)
    truth = torch.linalg.solve(A + 1e-3 * torch.eye(40, dtype=torch.float64), b)
    for function, keywords in ((cg, {}), (cg, {"reorth": "full"}), (nystrom_cg, {"rank": 10})):
        found, _ = solved(function, A, b, damping=1e-3, **keywords)
        assert found[-1].converged
        assert float((found[-1].value - truth).norm()) < 1e-8 * float(truth.norm())


@pytest.mark.parametrize("reorth", ["none", "full"])
def test_preconditioned_iterates_are_those_of_the_dense_formula(rotated, reorth):
    """P = U (diag(l) + d I) U^T / (l_r + d) + I - U U^T as a matrix: plain steps on P^-1/2 M P^-1/2."""
    A, b, d, rank = rotated(DECAY), vector(40), 1e-3, 8
    values, Q, W, _ = nystrom_pairs(dense_operator(A), rank, make_generator(1))
    U = Q @ torch.as_tensor(W)
    eye = torch.eye(40, dtype=torch.float64)
    P = U @ torch.diag(torch.as_tensor(values) + d) @ U.T / (values.min() + d) + eye - U @ U.T
    squares, V = torch.linalg.eigh(P)
    half = V @ torch.diag(squares**-0.5) @ V.T
    transformed = half @ (A + d * eye) @ half
    plain, _ = solved(cg, (transformed + transformed.T) / 2, half @ b, damping=0.0)
    ours, spent = solved(nystrom_cg, A, b, damping=d, rank=rank, reorth=reorth)
    assert spent == rank + len(ours)
    for mine, other in zip(ours[:12], plain, strict=False):
        assert float((mine.value - half @ other.value).norm()) < 1e-7 * float(mine.value.norm())


def test_the_sketch_brings_the_condition_down_to_its_last_eigenvalue(rotated):
    A = rotated(np.concatenate([np.geomspace(1e6, 1.0, 20), np.full(80, 1e-3)]))
    _, plain = solved(cg, A, vector(100), 2000, damping=1.0)
    _, sketched = solved(nystrom_cg, A, vector(100), 2000, damping=1.0, rank=30)
    assert sketched - 30 <= 6
    assert plain >= 2 * sketched


def test_full_reorthogonalisation_takes_the_steps_of_exact_arithmetic(rotated):
    A = rotated(np.geomspace(1, 1e-9, 60))
    found, spent = solved(cg, A, vector(60), 3000, damping=1e-7, reorth="full", tolerance=1e-6)
    _, plain = solved(cg, A, vector(60), 3000, damping=1e-7, tolerance=1e-6)
    assert spent <= 60 < plain
    assert found[-1].converged


def test_the_first_residuals_save_what_they_have_found_and_all_of_them_are_full(rotated):
    A, b = rotated(np.concatenate([np.geomspace(1, 1e-4, 12), np.geomspace(1e-6, 1e-7, 188)])), vector(200)
    asked = {"damping": 1e-7, "tolerance": 1e-8}
    spent = {kept: solved(cg, A, b, 1000, reorth="first", kept=kept, **asked)[1] for kept in (1, 25, 50)}
    full, whole = solved(cg, A, b, 1000, reorth="full", **asked)
    plain = solved(cg, A, b, 1000, **asked)[1]
    assert whole <= spent[50] <= spent[25] < plain
    assert spent[50] - whole < 0.1 * (plain - whole)
    ours, _ = solved(cg, A, b, 1000, reorth="first", kept=1000, **asked)
    assert all(torch.equal(mine.value, other.value) for mine, other in zip(ours, full, strict=True))
    assert ours[-1].converged


@pytest.mark.parametrize("function", [cg, nystrom_cg])
@pytest.mark.parametrize("n", [1, 2, 3])
def test_the_smallest_dimensions_are_solved_in_n_steps(rotated, function, n):
    A, b = rotated(np.arange(1.0, n + 1)), vector(n)
    found, spent = solved(function, A, b, damping=0.5)
    assert relative_residual(A, 0.5, b, found[-1].value) < 1e-13
    assert spent <= (n if function is cg else n + 1)
    assert found[-1].converged


def test_clusters_take_a_step_each(rotated):
    _, spent = solved(cg, rotated(np.repeat([3.0, 2.0, 1.0], 20)), vector(60), damping=0.1)
    assert spent == 3


@pytest.mark.parametrize("rank", [None, 4])
def test_a_zero_matrix_is_its_damping(rank):
    function, keywords = (cg, {}) if rank is None else (nystrom_cg, {"rank": rank})
    A, b = torch.zeros(9, 9, dtype=torch.float64), vector(9)
    found, _ = solved(function, A, b, damping=0.25, **keywords)
    assert torch.allclose(found[-1].value, 4 * b, rtol=1e-14)
    broken, _ = solved(function, A, b, damping=0.0, **keywords)
    assert "A + damping I is singular" in broken[-1].diagnostics["breakdown"]
    assert not broken[-1].converged


def test_a_consistent_singular_system_is_solved_and_an_inconsistent_one_says_so(rotated):
    A = rotated(np.array([5.0, 4.0, 3.0, 0.0, 0.0, 0.0]))
    inside = A @ vector(6)
    found, spent = solved(cg, A, inside, damping=0.0)
    assert spent == 3
    assert torch.allclose(found[-1].value, torch.linalg.pinv(A, rtol=1e-10) @ inside, atol=1e-10)
    outside, _ = solved(cg, A, vector(6), damping=0.0)
    assert "a larger damping is accepted" in outside[-1].diagnostics["breakdown"]
    assert outside[-1].converged is False


@pytest.mark.parametrize("reorth", ["none", "full"])
def test_negative_curvature_ends_a_run_with_its_number(rotated, reorth):
    A = rotated(np.concatenate([np.geomspace(1, 1e-2, 20), [-0.1]]))
    for B in (-torch.eye(3, dtype=torch.float64), torch.zeros(3, 3, dtype=torch.float64)):
        at_once, spent = solved(cg, B, vector(3), damping=0.0, reorth=reorth)
        assert (spent, at_once[-1].converged, bool(at_once[-1].value.any())) == (1, False, False)
        assert "breakdown" in at_once[-1].diagnostics
    found, _ = solved(cg, A, vector(21), damping=0.05, reorth=reorth)
    assert found[-1].converged is False
    assert "negative curvature" in found[-1].diagnostics["breakdown"]
    assert "breakdown" not in found[0].diagnostics
    above, _ = solved(cg, A, vector(21), damping=0.2)
    assert above[-1].converged


def test_a_sketch_that_sees_a_negative_eigenvalue_is_refused(rotated):
    with pytest.raises(ValueError, match="op must be positive semi-definite for nystrom"):
        solved(nystrom_cg, rotated(np.array([1.0, 0.5, -0.1])), vector(3), damping=0.2)


@pytest.mark.parametrize("function", [cg, nystrom_cg])
def test_a_right_hand_side_of_zero_is_solved_without_a_step(rotated, function):
    found, spent = solved(function, rotated(DECAY), torch.zeros(40, dtype=torch.float64), damping=0.0)
    assert [bool(estimate.value.any()) for estimate in found] == [False]
    assert spent == (0 if function is cg else 40)
    assert found[-1].converged


@pytest.mark.parametrize("scale", [1e-30, 1e30])
def test_the_size_of_the_right_hand_side_does_not_matter_in_float32(rotated, scale):
    A, b = rotated(DECAY).float(), vector(40, dtype=torch.float32)
    plain, spent = solved(cg, A, b, damping=0.1, tolerance=1e-5)
    other, again = solved(cg, A, scale * b, damping=0.1, tolerance=1e-5)
    assert spent == again
    assert torch.allclose(other[-1].value / scale, plain[-1].value, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("reorth", ["none", "full"])
@pytest.mark.parametrize("damping", [1e-2, 1e-4, 1e-5])
def test_float32_stagnates_at_what_is_said_to_be_attainable(rotated, damping, reorth):
    A, b = rotated(np.geomspace(1, 1e-9, 80)).float(), vector(80, dtype=torch.float32)
    found, spent = solved(cg, A, b, 3000, damping=damping, reorth=reorth)
    assert spent < 3000
    last = found[-1]
    assert last.converged is False
    assert "rounding in float32" in last.diagnostics["stopped"]
    true = relative_residual(A.double(), damping, b.double(), last.value.double())
    assert true < 10 * last.diagnostics["attainable"]
    # Going on would not help: the least true residual of all iterates is no better than a fourth of the last.
    assert true < 4 * min(relative_residual(A.double(), damping, b.double(), each.value.double()) for each in found)


def test_a_product_that_is_not_finite_is_an_error_of_the_operator(rotated):
    def spoiled(block):
        return block * float("nan")

    problem = Problem("spoiled", 5, lambda device, dtype: FunctionOperator(spoiled, 5, dtype, device))
    found, _ = solved(cg, problem.build(torch.device("cpu"), torch.float64), vector(5), damping=0.1)
    assert found[-1].diagnostics["breakdown"] == "product 1 is not finite"
    gone, _ = solved(nystrom_cg, problem.build(torch.device("cpu"), torch.float64), vector(5), damping=0.1)
    assert bool(gone[-1].value.isnan().all())


def test_a_breakdown_is_the_status_of_its_cell(rotated):
    problem = Problem.of("indefinite", rotated(np.array([2.0, 1.0, 0.5, -1.0])))
    estimand, emitted = Solve(0.1), []
    cell = Cell(problem.name, "cg", estimand.spec, (2, 50), dtype="float64")
    execute(cell, problem, BY_NAME["cg"].bind("cg", estimand), emitted.append)
    end = emitted[-1]
    assert end.status is Status.DIVERGED
    assert end.reason.startswith("negative curvature")


@pytest.mark.parametrize(
    ("function", "keywords", "says"),
    [
        (cg, {"tolerance": 0.0}, "tolerance must be above 0 and below 1, got 0.0"),
        (cg, {"tolerance": 1.0}, "tolerance must be"),
        (cg, {"damping": -1.0}, "damping must be finite and at least 0"),
        (cg, {"damping": float("nan")}, "damping must be"),
        (cg, {"reorth": "some"}, "reorth must be none or full or first"),
        (cg, {"kept": 0}, "kept must be at least 1"),
        (cg, {"num_matvecs": 0}, "num_matvecs must be at least 1"),
        (cg, {"b": torch.ones(3, dtype=torch.float64)}, r"b must be a vector \(40,\)"),
        (cg, {"b": torch.ones(40)}, "of torch.float64, got"),
        (cg, {"b": torch.full((40,), float("inf"), dtype=torch.float64)}, "b must be finite"),
        (nystrom_cg, {"rank": 0}, "rank must be at least 1"),
        (nystrom_cg, {"rank": 30, "num_matvecs": 30}, "num_matvecs must be at least 31"),
        (nystrom_cg, {"sizing": "grows"}, "sizing must be fixed or adaptive"),
        (nystrom_cg, {"sizing": "adaptive", "rank": 30, "num_matvecs": 29}, "num_matvecs must be at least 30"),
    ],
)
def test_an_argument_out_of_range_is_refused_by_name(rotated, function, keywords, says):
    asked = {"num_matvecs": 50, "generator": make_generator(0), "b": vector(40), "damping": 0.1, **keywords}
    with pytest.raises(ValueError, match=says):
        next(function(dense_operator(rotated(DECAY)), **asked))
