"""Methods for top eigenvalues: power iteration, Lanczos, the two sketches, dense."""

import numpy as np
import pytest
import torch

from hessbench.estimand import Density, Diagonal, Source, TopEigenvalues, Trace
from hessbench.estimand.eigenvalues import top_reference
from hessbench.methods.eigenvalues.sketch import sketch
from hessbench.operators import dense_operator
from hessbench.seeding import make_generator


def error(estimate, eigenvalues, k=10, which="magnitude"):
    estimand = TopEigenvalues(k, which)
    reference = top_reference(np.asarray(eigenvalues, dtype=np.float64), estimand, Source.ANALYTIC)
    return estimand.errors(estimand.to_arrays(estimate.value, len(eigenvalues)), reference, "float64")


def test_lanczos_reaches_rounding_within_eighty_products_on_heavy_tails(run, student):
    values, A = student()
    checkpoints = run("lanczos", A, 80).checkpoints
    assert error(checkpoints[39].estimate.resolve(), values)["max_relative"] < 1e-8
    assert error(checkpoints[79].estimate.resolve(), values)["max_relative"] < 5e-15


@pytest.mark.parametrize("seed", range(3))
def test_lanczos_without_reorthogonalisation_stays_wrong_there(run, student, seed):
    values, A = student(seed=seed)
    assert error(run("lanczos", A, 80, reorth="none").last, values)["max_relative"] > 0.1


@pytest.mark.parametrize("which", ["magnitude", "algebraic", "smallest"])
@pytest.mark.parametrize("name", ["lanczos", "randomized-eigh", "dense"])
def test_the_order_asked_for_is_the_order_given(run, rotated, name, which):
    values = np.concatenate([[9.0, 7.0, -8.0, -6.0], np.linspace(-0.01, 0.01, 26)])
    outcome = error(run(name, rotated(values), 30, k=2, which=which).last, values, 2, which)
    assert outcome["max_relative"] < 1e-2
    assert outcome["sign_agreement"] == 1


def test_lanczos_says_it_has_converged_only_when_its_values_are_right(run, student):
    values, A = student()
    for checkpoint in run("lanczos", A, 70).checkpoints:
        estimate = checkpoint.estimate.resolve()
        if estimate.converged:
            assert error(estimate, values)["max_relative"] < 1e-6
    assert run("lanczos", A, 70).last.converged
    assert run("lanczos", A, 70, reorth="none").last.converged is None


def test_the_residual_lanczos_reports_is_that_of_its_values(run, student):
    values, A = student(n=200)
    estimate = run("lanczos", A, 12, k=3).last
    gaps = np.abs(estimate.value[:, None] - values[None, :]).min(axis=1)
    assert gaps.max() <= estimate.diagnostics["residual"] * (1 + 1e-9)
    assert estimate.diagnostics["steps"] == 12


def test_lanczos_finds_repeated_eigenvalues(run, rotated):
    values = np.concatenate([np.full(4, 3.0), np.full(3, -2.0), np.zeros(13)])
    assert error(run("lanczos", rotated(values), 20, k=7).last, values, 7)["max_relative"] < 1e-12


def test_the_density_of_lanczos_is_that_of_its_start_after_the_subspace_is_exhausted(run, rotated):
    values = np.concatenate([np.full(5, 3.0), np.full(15, -1.0)])
    nodes, weights = run("lanczos", rotated(values), 12).last.also[Density].value
    assert nodes == pytest.approx([-1.0, 3.0])
    assert weights.sum() == pytest.approx(1)


def test_power_iteration_finds_separated_eigenvalues_with_their_signs_and_stops(run, rotated):
    values = np.concatenate([[-100.0, 10.0, -1.0], np.linspace(0, 0.01, 27)])
    outcome = run("power-iteration", rotated(values), 500, k=3, tol=1e-12)
    assert error(outcome.last, values, 3)["max_relative"] < 1e-9
    assert error(outcome.last, values, 3)["sign_agreement"] == 1
    assert outcome.last.converged
    assert outcome.op.matvecs < 60


def test_power_iteration_spends_at_most_max_iter_on_one_eigenvalue_and_says_so(run, rotated):
    outcome = run("power-iteration", rotated(np.linspace(0.9, 1, 30)), 100, k=4, tol=0.0, max_iter=7)
    assert outcome.op.matvecs == 28
    assert outcome.last.diagnostics["accepted"] == outcome.last.diagnostics["unconverged"] == 4
    assert outcome.last.converged is False


def test_power_iteration_equals_a_naive_twin_from_the_same_start(run, rotated):
    A = rotated(np.linspace(-1, 2, 15))
    v = torch.randn(15, 1, generator=make_generator(0), dtype=torch.float64)[:, 0].numpy()
    quotients = []
    for _ in range(6):
        v = v / np.linalg.norm(v)
        quotients.append(v @ A.numpy() @ v)
        v = A.numpy() @ v
    found = [float(c.estimate.value[0]) for c in run("power-iteration", A, 6, tol=0.0).checkpoints]
    assert np.allclose(found, quotients, rtol=1e-12)


def test_the_sketch_is_what_the_formula_says(run, rotated):
    A = rotated(np.linspace(-1, 4, 20))
    m = 12
    S = (2 * torch.randint(0, 2, (20, m), generator=make_generator(0), dtype=torch.float64) - 1) / m**0.5
    G = S.T @ A @ S
    estimate = run("sketch", A, m, k=5).last
    expected = TopEigenvalues(5).rank(np.linalg.eigvalsh(G.numpy()))[:5]
    assert np.allclose(estimate.value, expected, atol=1e-12)
    assert estimate.also[Trace].value == pytest.approx(float(G.trace()), rel=1e-12)


@pytest.mark.slow
def test_the_trace_of_the_sketch_is_unbiased_with_the_variance_of_signs(rotated):
    A = rotated(np.linspace(-1, 4, 20))
    m, repeats = 10, 2000
    variance = 2 * float((A**2).sum() - (A.diagonal() ** 2).sum()) / m
    traces = np.array(
        [
            sketch(dense_operator(A), num_matvecs=m, generator=make_generator(seed)).also[Trace].value
            for seed in range(repeats)
        ]
    )
    # Four standard errors of the mean, and of the variance of a sample that is nearly normal.
    assert abs(traces.mean() - float(A.trace())) < 4 * (variance / repeats) ** 0.5
    assert abs(traces.var() / variance - 1) < 4 * (2.5 / repeats) ** 0.5


def test_eigenvalues_of_a_low_rank_sketch_need_no_correction_as_it_grows(run, rotated):
    values = np.concatenate([[4.0, -3.0, 2.0], np.zeros(97)])
    # S S^T restricted to three directions is I + O(1 / sqrt(m)); six times that is allowed.
    assert error(run("sketch", rotated(values), 3000, k=3).last, values, 3)["max_relative"] < 6 / 3000**0.5


@pytest.mark.parametrize("power", [0, 1, 2])
def test_the_range_finder_is_exact_on_low_rank_and_spends_whole_blocks(run, rotated, power):
    values = np.concatenate([[4.0, -3.0, 2.0], np.zeros(47)])
    outcome = run("randomized-eigh", rotated(values), 23, k=3, num_power_iterations=power)
    width = 23 // (2 + power)
    assert error(outcome.last, values, 3)["max_relative"] < 1e-12
    assert outcome.last.diagnostics["width"] == width
    assert (outcome.op.matvecs, outcome.op.calls) == (width * (2 + power), 2 + power)


def test_power_iterations_help_the_range_finder_at_the_same_width(run, student):
    values, A = student(n=300)
    errors = [
        error(run("randomized-eigh", A, 20 * (2 + power), num_power_iterations=power).last, values)["max_relative"]
        for power in (0, 2)
    ]
    assert errors[1] < errors[0] / 2


def test_dense_is_exact_in_everything(run, student):
    values, A = student(n=60)
    estimate = run("dense", A, 60).last
    assert error(estimate, values)["max_relative"] < 1e-13
    assert estimate.also[Trace].value == pytest.approx(values.sum())
    assert np.allclose(estimate.also[Density].value[0], np.sort(values), atol=1e-13)
    assert estimate.also[Density].value[1] == pytest.approx(np.full(60, 1 / 60))
    assert np.allclose(estimate.also[Diagonal].value, A.diagonal().numpy(), atol=1e-15)


def test_dense_refuses_less_than_the_dimension(run, rotated):
    with pytest.raises(ValueError, match="num_matvecs must be at least 20, got 19"):
        run("dense", rotated(np.arange(20)), 19)
