"""Single-pass and Nystrom eigendecompositions, oversampling, and the spaces that sketches give."""

import numpy as np
import pytest
import torch

from hessbench.estimand import Source, TopEigenspace, TopEigenvalues
from hessbench.estimand.eigenspace import eigenspace_reference
from hessbench.methods.eigenvalues.nystrom import nystrom
from hessbench.methods.eigenvalues.single_pass import least_squares_symmetric, single_pass
from hessbench.operators import FunctionOperator, dense_operator
from hessbench.seeding import make_generator

SPACES = ["sketch", "randomized-eigh", "single-pass", "nystrom", "sketch-and-refine", "dense"]


def lost(outcome, A, k):
    values, vectors = np.linalg.eigh(A.double().numpy())
    estimand = TopEigenspace(k)
    truth = eigenspace_reference(values, lambda places: vectors[:, places], estimand, Source.DENSE)
    answer = outcome.last.also[TopEigenspace].value
    return estimand.errors(estimand.to_arrays(answer, len(values)), truth, "float64")["lost_overlap"]


def top(outcome, A, k):
    expected = TopEigenvalues(k).rank(np.linalg.eigvalsh(A.double().numpy()))[:k]
    return np.abs(outcome.last.value - expected).max() / np.abs(expected[0])


@pytest.mark.parametrize("name", SPACES)
def test_the_space_of_a_low_rank_operator_is_found(run, rotated, name):
    A = rotated([5.0, 4.0, 3.0, *np.zeros(57)])
    # Nystrom's shift, sqrt(60) eps ||Y||, leaves the square root of that.
    assert lost(run(name, A, 60 if name == "dense" else 24, k=3), A, 3) < 1e-13


@pytest.mark.parametrize("name", ["single-pass", "nystrom"])
def test_eigenvalues_of_a_low_rank_operator_are_exact(run, rotated, name):
    A = rotated([5.0, 4.0, 3.0, *np.zeros(57)])
    outcome = run(name, A, 12, k=3)
    assert top(outcome, A, 3) < 1e-12
    assert (outcome.op.matvecs, outcome.op.calls) == (12, 1)


@pytest.mark.parametrize("name", ["single-pass", "nystrom"])
def test_vectors_are_orthonormal_eigenvectors_in_the_order_of_the_values(run, rotated, name):
    A = rotated([5.0, 4.0, 3.0, *np.zeros(57)])
    last = run(name, A, 12, k=3).last
    V = last.vectors.numpy()
    assert np.abs(V.T @ V - np.eye(3)).max() < 1e-12
    assert np.abs(A.numpy() @ V - V * last.value).max() < 1e-6


def test_single_pass_equals_its_least_squares_problem_solved_naively(rotated):
    A = rotated(np.linspace(-1, 2, 10))
    Omega = torch.randn(10, 8, generator=make_generator(0), dtype=torch.float64).numpy()
    Y = A.numpy() @ Omega
    Q = np.linalg.svd(Y, full_matrices=False)[0][:, :4]
    # All symmetric 4 x 4 matrices as unknowns of one dense least-squares problem.
    pairs = [(i, j) for i in range(4) for j in range(i + 1)]
    units = [np.zeros((4, 4)) for _ in pairs]
    for unit, (i, j) in zip(units, pairs, strict=True):
        unit[i, j] = unit[j, i] = 1
    system = np.stack([(unit @ Q.T @ Omega).ravel() for unit in units], axis=1)
    solution = np.linalg.lstsq(system, (Q.T @ Y).ravel(), rcond=None)[0]
    B = sum(x * unit for x, unit in zip(solution, units, strict=True))
    found = single_pass(dense_operator(A), num_matvecs=8, generator=make_generator(0), k=4)
    assert found.value == pytest.approx(TopEigenvalues(4).rank(np.linalg.eigvalsh(B)), rel=1e-10)
    assert np.allclose(least_squares_symmetric(Q.T @ Omega, Q.T @ Y), B, atol=1e-12)


def test_nystrom_equals_the_formula_with_a_pseudo_inverse(rotated):
    A = rotated(np.geomspace(1, 1e-3, 20))
    Omega = torch.randn(20, 6, generator=make_generator(0), dtype=torch.float64).numpy()
    Y = A.numpy() @ Omega
    expected = np.sort(np.linalg.eigvalsh(Y @ np.linalg.pinv(Omega.T @ Y) @ Y.T))[::-1][:6]
    found = nystrom(dense_operator(A), num_matvecs=6, generator=make_generator(0), k=6)
    # The shift changes the values by less than itself times the condition of the core.
    assert found.value == pytest.approx(expected, rel=1e-8)


def test_nystrom_never_exceeds_the_eigenvalues(run, rotated):
    values = 1.0 / np.arange(1, 81)
    found = run("nystrom", rotated(values), 30, k=30).last.value
    assert (found <= values[:30] * (1 + 1e-12)).all()


@pytest.mark.parametrize("seed", range(3))
def test_nystrom_refuses_an_indefinite_operator(rotated, seed):
    A = rotated([3.0, -2.0, 1.0, *np.zeros(17)], seed)
    with pytest.raises(ValueError, match="op must be positive semi-definite for nystrom"):
        nystrom(dense_operator(A), num_matvecs=10, generator=make_generator(seed), k=3)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("zeros", [0.0, 0.9, 0.99])
def test_nystrom_accepts_a_singular_operator(rotated, dtype, zeros):
    values = np.abs(np.random.default_rng(0).standard_t(3, 300))
    values[: round(300 * zeros)] = 0
    op = dense_operator(rotated(values, dtype=dtype))
    found = nystrom(op, num_matvecs=40, generator=make_generator(0), k=3)
    assert np.isfinite(found.value).all()
    if zeros == 0.99:
        assert found.value == pytest.approx(np.sort(values)[::-1][:3], rel=1e-4)


@pytest.mark.parametrize("name", ["single-pass", "nystrom", "sketch-and-refine", "randomized-eigh"])
@pytest.mark.parametrize("values", [[0.0] * 12, [1.0] * 12, [1.0, *[0.0] * 11], [2.0], [2.0, 1.0]])
def test_hard_operators_have_exact_answers(run, rotated, name, values):
    n = len(values)
    k = min(n, 3)
    A = rotated(values)
    outcome = run(name, A, 2 * n if name == "randomized-eigh" else 3 * n, k=k)
    assert np.abs(outcome.last.value - np.sort(values)[::-1][:k]).max() < 1e-12
    assert outcome.last.also[TopEigenspace].value.shape == (n, k)


@pytest.mark.parametrize("name", ["single-pass", "nystrom", "sketch-and-refine", "randomized-eigh", "sketch"])
@pytest.mark.parametrize("scale", [1e-12, 1e12])
def test_scaling_the_operator_scales_the_values(run, rotated, name, scale):
    A = rotated(np.geomspace(1, 1e-4, 40))
    one, two = (run(name, scaled, 40, k=4).last.value for scaled in (A, A * scale))
    # Nystrom's shift is relative, so its values scale as well; 1e-6 covers the rounding it divides by.
    assert two / scale == pytest.approx(one, rel=1e-6)


@pytest.mark.parametrize("name", ["single-pass", "nystrom", "sketch-and-refine"])
def test_nan_in_a_product_ends_with_nan_and_no_crash(run, name):
    op = FunctionOperator(lambda block: block * float("nan"), 30, torch.float64)
    outcome = run(name, op, 30, k=3)
    assert np.isnan(outcome.last.value).all()


def test_oversampling_caps_the_width_and_its_default_spends_everything(run, rotated):
    A = rotated(np.geomspace(1, 1e-4, 60))
    assert run("randomized-eigh", A, 50, k=5).last.diagnostics["width"] == 25
    capped = run("randomized-eigh", A, 50, k=5, oversampling=3)
    assert (capped.last.diagnostics["width"], capped.op.matvecs) == (8, 16)
    with pytest.raises(ValueError, match="oversampling must be at least -1, got -2"):
        run("randomized-eigh", A, 50, k=5, oversampling=-2)


@pytest.mark.parametrize(("name", "least"), [("single-pass", 10), ("nystrom", 5), ("sketch-and-refine", 5)])
def test_too_small_a_budget_is_refused_with_the_range(run, rotated, name, least):
    with pytest.raises(ValueError, match=f"num_matvecs must be at least {least}, got {least - 1}"):
        run(name, rotated(np.arange(1.0, 31)), least - 1, k=5)
