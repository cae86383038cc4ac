"""Sketch and refine: its three iterations, their corrections, and what they say of themselves."""

import numpy as np
import pytest
import torch

from hessbench.estimand import TopEigenspace, TopEigenvalues
from hessbench.methods.eigenvalues.jacobi_davidson import correction
from hessbench.methods.eigenvalues.refinement import orthonormal_against, ritz_pairs
from hessbench.operators import dense_operator
from hessbench.problems.spectra.synthetic import SPECTRUM, STUDENT_T
from hessbench.seeding import make_generator

REFINE = ["rayleigh", "davidson", "lobpcg"]


@pytest.mark.parametrize("refine", REFINE)
def test_every_iteration_reaches_rounding_on_separated_eigenvalues(run, rotated, refine):
    values = np.concatenate([[9.0, -8.0, 7.0, -6.0], np.linspace(-1, 1, 96)])
    outcome = run("sketch-and-refine", rotated(values), 100, k=4, refine=refine)
    assert outcome.last.value == pytest.approx([9, -8, 7, -6], rel=1e-12)
    assert outcome.last.converged
    assert outcome.op.matvecs <= 100


@pytest.mark.parametrize("refine", REFINE)
def test_the_first_answer_is_the_sketch_and_every_later_one_no_worse_ritz_value(run, rotated, refine):
    A = rotated(np.geomspace(1, 1e-3, 80))
    sketch = run("sketch", A, 6, k=4).last.value
    outcome = run("sketch-and-refine", A, 60, k=4, oversampling=2, refine=refine)
    assert outcome.checkpoints[0].estimate.resolve().value == pytest.approx(sketch, rel=1e-12)
    assert outcome.checkpoints[0].matvecs == 6
    ritz = np.stack([c.estimate.resolve().value for c in outcome.checkpoints[1:]])
    # Every space holds the one before: Ritz values of a semidefinite operator only grow.
    assert (np.diff(ritz, axis=0) >= -1e-12).all()
    assert (ritz <= np.geomspace(1, 1e-3, 80)[:4] + 1e-12).all()


@pytest.mark.parametrize("refine", REFINE)
def test_the_residual_reported_is_that_of_the_vectors(run, rotated, refine):
    A = rotated(np.geomspace(1, 1e-3, 80))
    last = run("sketch-and-refine", A, 30, k=4, refine=refine).last
    V = last.vectors.numpy()
    residuals = np.linalg.norm(A.numpy() @ V - V * last.value, axis=0)
    assert residuals.max() == pytest.approx(last.diagnostics["residual"], rel=1e-6)
    assert np.abs(V.T @ V - np.eye(4)).max() < 1e-12
    assert last.also[TopEigenspace].value is last.vectors


@pytest.mark.parametrize("refine", REFINE)
def test_it_stops_when_nothing_is_left_to_be_improved(run, rotated, refine):
    outcome = run("sketch-and-refine", rotated([3.0, 2.0, 1.0, *np.zeros(37)]), 40, k=3, refine=refine)
    assert outcome.last.converged
    assert outcome.op.matvecs <= 12
    # float32 cannot stop at the same place by chance: rounding is the only measure.
    A = rotated(np.geomspace(1, 1e-2, 40), dtype=torch.float32)
    assert np.isfinite(run("sketch-and-refine", A, 200, k=3, refine=refine).last.value).all()


@pytest.mark.parametrize("refine", REFINE)
@pytest.mark.parametrize(
    "spec", [f"spectrum[n=200,name={name}]" for name in ("power-law", "geometric", "step", "spiked", "clustered")]
    + ["student-t[n=200]", "student-t[n=200,zero_fraction=0.9]", "spectrum[n=200,signed=true]"],
)  # fmt: skip
def test_a_value_said_to_be_converged_is(run, spec, refine):
    family = STUDENT_T if spec.startswith("student") else SPECTRUM
    problem = family.problem(spec)
    estimand = TopEigenvalues(5)
    reference = problem.references[TopEigenvalues](estimand)
    outcome = run("sketch-and-refine", problem.build(torch.device("cpu"), torch.float64), 80, k=5, refine=refine)
    for checkpoint in outcome.checkpoints:
        estimate = checkpoint.estimate.resolve()
        if estimate.converged:
            found = estimand.errors(estimand.to_arrays(estimate.value, 200), reference, "float64")
            # A residual below sqrt(eps) |theta| bounds the error of a Ritz value by as much.
            assert found["max_relative"] <= 2 * 2.0**-26


def test_a_correction_equals_the_projected_minimal_residual_solution(rotated):
    A = rotated(np.linspace(-2, 3, 20))
    op = dense_operator(A)
    u = torch.randn(20, generator=make_generator(1), dtype=torch.float64)
    u /= u.norm()
    theta = float(u @ A @ u)
    r = A @ u - theta * u
    P = torch.eye(20, dtype=torch.float64) - torch.outer(u, u)
    shifted = P @ (A - theta * torch.eye(20, dtype=torch.float64)) @ P
    krylov = torch.stack([torch.linalg.matrix_power(shifted, j) @ r for j in range(4)], dim=1).numpy()
    K = np.linalg.qr(krylov)[0]
    y = np.linalg.lstsq(shifted.numpy() @ K, -r.numpy(), rcond=None)[0]
    t, At = correction(op, u, theta, r, 4)
    assert t.numpy() == pytest.approx(K @ y, abs=1e-9)
    assert At.numpy() == pytest.approx((A @ t).numpy(), abs=1e-12)


def test_the_exact_correction_is_a_step_of_rayleigh_quotient_iteration(rotated):
    A = rotated(np.linspace(-2, 3, 12))
    u = torch.randn(12, generator=make_generator(1), dtype=torch.float64)
    u /= u.norm()
    theta = float(u @ A @ u)
    t, _ = correction(dense_operator(A), u, theta, A @ u - theta * u, 11)
    stepped = np.linalg.solve(A.numpy() - theta * np.eye(12), u.numpy())
    found = (u + t).numpy()
    assert abs(found @ stepped) / np.linalg.norm(found) / np.linalg.norm(stepped) == pytest.approx(1, abs=1e-10)


def test_corrections_in_an_exhausted_space_stay_finite(rotated):
    A = rotated([2.0, 1.0, *np.zeros(8)])
    u = torch.randn(10, generator=make_generator(1), dtype=torch.float64)
    u /= u.norm()
    theta = float(u @ A @ u)
    t, At = correction(dense_operator(A), u, theta, A @ u - theta * u, 8)
    assert bool(torch.isfinite(t).all())
    assert At.numpy() == pytest.approx((A @ t).numpy(), abs=1e-9)


def test_what_a_block_adds_is_orthonormal_and_copies_add_nothing():
    Z = torch.linalg.qr(torch.randn(30, 4, generator=make_generator(0), dtype=torch.float64)).Q
    fresh = torch.randn(30, 2, generator=make_generator(1), dtype=torch.float64)
    W = orthonormal_against(Z, torch.cat([Z[:, :2], fresh, fresh[:, :1]], dim=1))
    assert W.shape == (30, 2)
    both = torch.cat([Z, W], dim=1)
    assert float((both.T @ both - torch.eye(6, dtype=torch.float64)).abs().max()) < 1e-13


def test_ritz_pairs_on_an_invariant_space_are_eigenpairs(rotated):
    A = rotated(np.arange(1.0, 11))
    Z = torch.linalg.eigh(A).eigenvectors[:, 4:8]
    pairs, _ = ritz_pairs(Z, A @ Z, 3, "magnitude")
    assert pairs.values == pytest.approx([8, 7, 6])
    assert pairs.residuals.max() < 1e-12


@pytest.mark.parametrize(
    ("keywords", "says"),
    [({"refine": "magic"}, "refine must be"), ({"oversampling": -1}, "oversampling must be at least 0"),
     ({"inner": 0}, "inner must be at least 1")],
)  # fmt: skip
def test_bad_parameters_are_refused(run, rotated, keywords, says):
    with pytest.raises(ValueError, match=says):
        run("sketch-and-refine", rotated(np.arange(1.0, 31)), 30, k=3, **keywords)


@pytest.mark.parametrize("refine", ["lobpcg", "rayleigh", "davidson"])
def test_values_in_the_null_space_that_no_product_shows_are_not_passed_over(run, rotated, refine):
    # Pairs built on A S have no part there, so all residuals become small at the wrong values.
    A = rotated([-5.0, -4.0, -3.0, -2.0, -1.0, *[0.0] * 35])
    outcome = run("sketch-and-refine", A, 40, refine=refine, k=2, oversampling=3, which="algebraic")
    resolved = [checkpoint.estimate.resolve() for checkpoint in outcome.checkpoints]
    passed_over = [estimate for estimate in resolved[1:] if np.asarray(estimate.value).min() < -0.5]
    assert passed_over
    assert not any(estimate.converged for estimate in passed_over)
