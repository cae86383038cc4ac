"""Density estimators: stochastic Lanczos quadrature and the kernel polynomial method."""

import dataclasses

import numpy as np
import pytest
import torch

from hessbench.estimand import Density, Source, Trace, TraceFunction
from hessbench.estimand.density import density_reference
from hessbench.estimand.spectral import read_from_density
from hessbench.methods.density.damping import chebyshev_quadrature, damping_factors, jackson_kernel, lorentz_kernel
from hessbench.methods.density.interval import Interval, find_interval
from hessbench.methods.density.kpm import chebyshev_moments
from hessbench.methods.krylov.vectors import norm
from hessbench.operators import FunctionOperator, dense_operator
from hessbench.seeding import make_generator

DENSITY = Density()


def error(estimate, eigenvalues, name="wasserstein1"):
    reference = density_reference(np.asarray(eigenvalues, dtype=np.float64), Source.ANALYTIC)
    arrays = DENSITY.to_arrays(estimate.value, len(eigenvalues))
    return DENSITY.errors(arrays, reference, "float64")[name]


@pytest.mark.parametrize("name", ["slq", "kpm"])
@pytest.mark.parametrize("num_matvecs", [20, 50, 121])
def test_a_density_is_a_probability_measure(run, student, name, num_matvecs):
    nodes, weights = run(name, student(n=200)[1], num_matvecs).last.value
    assert weights.min() >= 0
    assert weights.sum() == pytest.approx(1, abs=1e-12)
    assert nodes.shape == weights.shape


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
@pytest.mark.parametrize("value", [0.0, 1.0, -3.5])
@pytest.mark.parametrize("name", ["slq", "kpm"])
def test_a_multiple_of_the_identity_is_one_point(run, rotated, name, value, dtype):
    nodes, weights = run(name, rotated(np.full(30, value), dtype=dtype), 30).last.value
    assert np.allclose(nodes, value, atol=50 * torch.finfo(dtype).eps)
    assert weights.sum() == pytest.approx(1)


@pytest.mark.parametrize(("num_matvecs", "starts"), [(20, 1), (39, 1), (40, 2), (205, 10)])
def test_slq_runs_as_many_starts_as_whole_runs_fit(run, student, num_matvecs, starts):
    outcome = run("slq", student(n=100)[1], num_matvecs)
    assert outcome.last.diagnostics == {"starts": starts}
    assert (outcome.op.matvecs, outcome.op.calls) == (20 * starts, 20)


def test_slq_needs_no_more_steps_than_the_dimension(run, rotated):
    values = np.array([1.0, 2.0, 5.0])
    outcome = run("slq", rotated(values), 30)
    assert outcome.last.diagnostics == {"starts": 10}
    assert np.allclose(np.unique(outcome.last.value[0].round(9)), values)


@pytest.mark.parametrize(("reorth", "held"), [("full", 25), ("none", 7), ("window", 15), ("selective", 35)])
def test_slq_in_chunks_multiplies_no_wider_than_its_vectors_hold(run, student, reorth, held):
    outcome = run("slq", student(n=100)[1], 105, reorth=reorth, max_vectors=2 * held + 1)
    assert (outcome.op.matvecs, outcome.op.calls) == (100, 60)
    nodes, weights = outcome.last.value
    assert weights.sum() == pytest.approx(1)
    assert nodes.size == 100
    with pytest.raises(ValueError, match=f"max_vectors must be 0 or at least {held}, which one start holds, got 6"):
        run("slq", student(n=100)[1], 105, reorth=reorth, max_vectors=6)


@pytest.mark.parametrize("reorth", ["none", "window", "periodic", "selective"])
def test_slq_is_hardly_moved_by_how_it_reorthogonalises(run, student, reorth):
    values, A = student(n=300)
    plain, other = (run("slq", A.float(), 90, steps=30, reorth=way).last for way in ("full", reorth))
    assert error(other, values) == pytest.approx(error(plain, values), rel=0.25)


def test_the_trace_of_slq_with_signs_is_that_of_hutchinson_on_the_same_probes(run, rotated):
    A = rotated(np.linspace(-1, 4, 40))
    X = 2 * torch.randint(0, 2, (40, 3), generator=make_generator(0), dtype=torch.float64) - 1
    forms = torch.einsum("nk,nm,mk->k", X, A, X)
    trace = run("slq", A, 60, probe="signs").last.also[Trace]
    assert trace.value == pytest.approx(float(forms.mean()), rel=1e-11)
    assert trace.stderr == pytest.approx(float(forms.std()) / 3**0.5, rel=1e-9)


def test_more_starts_bring_slq_nearer(run, student):
    values, A = student(n=300)
    errors = [np.median([error(run("slq", A, m, seed=s).last, values) for s in range(5)]) for m in (20, 640)]
    assert errors[1] < errors[0] / 2


def test_more_moments_bring_kpm_nearer(run, student):
    values, A = student(n=300, zeros=0.0)
    errors = [np.median([error(run("kpm", A, m, seed=s).last, values) for s in range(5)]) for m in (20, 160)]
    assert errors[1] < errors[0] / 2


@pytest.mark.parametrize("degree", [1, 2, 7])
def test_moments_are_those_of_chebyshev_polynomials_at_twice_the_products(rotated, degree):
    values = np.linspace(-2, 3, 30)
    A = rotated(values)
    X = torch.randn(30, 4, generator=make_generator(2), dtype=torch.float64)
    X = X / norm(X, dim=0)
    interval = Interval(-2.5, 3.5)
    moments, spent, outlier = chebyshev_moments(dense_operator(A), X, interval, degree)
    basis = torch.linalg.eigh(A)
    mass = ((basis.eigenvectors.T @ X) ** 2).mean(dim=1).numpy()
    angles = np.arccos((basis.eigenvalues.numpy() - interval.center) / interval.half)
    expected = [mass @ np.cos(k * angles) for k in range(2 * degree + 1)]
    assert np.allclose(moments, expected, atol=1e-13)
    assert spent == 4 * degree
    assert outlier is None


@pytest.mark.parametrize("damping", ["jackson", "lorentz", "lanczos"])
def test_damping_starts_at_one_and_falls(damping):
    g = damping_factors(damping, 25)
    assert g[0] == pytest.approx(1)
    assert (np.diff(g) < 0).all()
    assert g[-1] > 0


@pytest.mark.parametrize("damping", ["jackson", "lorentz", "lanczos"])
def test_the_damped_density_gives_back_the_damped_moments_of_a_dense_measure(damping):
    eigenvalues, mass = np.array([-0.9, -0.2, 0.0, 0.75]), np.array([0.1, 0.2, 0.6, 0.1])
    moments = np.array([mass @ np.cos(k * np.arccos(eigenvalues)) for k in range(12)])
    x, weights = chebyshev_quadrature(moments * damping_factors(damping, 12))
    found = [weights @ np.cos(k * np.arccos(x)) for k in range(12)]
    assert np.allclose(found, moments * damping_factors(damping, 12), atol=1e-14)


def series_of_a_point(g, at):
    angles = np.linspace(0, np.pi, 500)
    return g[0] + 2 * np.cos(np.outer(angles, np.arange(1, g.size))) @ (g[1:] * np.cos(np.arange(1, g.size) * at))


@pytest.mark.parametrize("kernel", [jackson_kernel, lorentz_kernel])
@pytest.mark.parametrize("count", [1, 2, 25, 200])
def test_the_kernels_of_jackson_and_lorentz_keep_the_series_non_negative(kernel, count):
    assert min(series_of_a_point(kernel(count), at).min() for at in (0.0, 0.7, 1.5)) > -1e-12


def test_the_kernel_of_lanczos_does_not_and_what_is_clipped_is_said(run, rotated):
    assert series_of_a_point(damping_factors("lanczos", 25), 0.7).min() < -0.1
    A = rotated(np.concatenate([np.zeros(40), [1.0, 2.0]]))
    clipped = {}
    for damping in ("jackson", "lorentz", "lanczos"):
        estimate = run("kpm", A, 30, damping=damping).last
        assert estimate.value[1].min() >= 0
        assert estimate.value[1].sum() == pytest.approx(1)
        clipped[damping] = estimate.diagnostics["clipped"]
    assert clipped["jackson"] < 1e-12
    assert clipped["lorentz"] < 1e-12
    assert clipped["lanczos"] > 0.01


def test_an_unknown_damping_is_refused(run, rotated):
    with pytest.raises(ValueError, match="damping must be jackson or lorentz or lanczos, got 'other'"):
        run("kpm", rotated(np.ones(4)), 20, damping="other")


@pytest.mark.parametrize("bounds", ["safe", "tight"])
def test_bounds_are_exact_once_the_space_is_exhausted(rotated, bounds):
    op = dense_operator(rotated(np.repeat([-1.0, 4.0], 10)))
    start = torch.ones(20, dtype=torch.float64)
    interval, exhausted = find_interval(op, start, 8, bounds, make_generator(0))
    assert exhausted
    assert (interval.low, interval.high) == pytest.approx((-1, 4))


@pytest.mark.parametrize("seed", range(5))
def test_safe_bounds_hold_the_spectrum(student, seed):
    values, A = student(n=300, seed=seed)
    start = torch.randn(300, generator=make_generator(seed), dtype=torch.float64)
    interval, _ = find_interval(dense_operator(A), start, 8, "safe", make_generator(0))
    assert interval.low < values.min()
    assert interval.high > values.max()


def test_an_eigenvalue_outside_the_bounds_shows_in_a_moment_and_its_vector_points_to_it(rotated):
    values = np.concatenate([np.linspace(-1, 1, 59), [3.0]])
    A = rotated(values)
    X = torch.randn(60, 1, generator=make_generator(0), dtype=torch.float64)
    moments, spent, outlier = chebyshev_moments(dense_operator(A), X / norm(X, dim=0), Interval(-1, 1), 30)
    assert np.isnan(moments).all()
    assert spent < 10
    quotient = float(outlier @ A @ outlier / (outlier @ outlier))
    assert quotient > 1.5


def missing_operator(eigenvalues, rotated, hidden_calls):
    """An operator that hides its largest eigenvalue from the first products, as a start without it would."""
    whole, part = rotated(eigenvalues), rotated(np.where(eigenvalues == eigenvalues.max(), 0.0, eigenvalues))
    calls = []

    def matmat(block):
        calls.append(block.shape[1])
        return (part if len(calls) <= hidden_calls else whole) @ block

    return FunctionOperator(matmat, len(eigenvalues), torch.float64)


def test_a_missed_bound_is_found_again_once(run, rotated):
    values = np.concatenate([np.linspace(-1, 1, 99), [3.0]])
    outcome = run("kpm", missing_operator(values, rotated, 8), 80)
    assert outcome.last.diagnostics["bounded"] == 2
    assert outcome.last.diagnostics["high"] >= 3
    assert error(outcome.last, values) < 0.3
    assert outcome.op.matvecs == 80


def test_a_missed_bound_without_a_product_left_is_reported_as_nan_with_the_reason(run, rotated):
    values = np.concatenate([np.linspace(-1, 1, 99), [30.0]])
    outcome = run("kpm", missing_operator(values, rotated, 8), 9)
    assert np.isnan(outcome.last.value[0]).all()
    assert "outside the bounds" in outcome.last.diagnostics["reason"]
    assert outcome.last.diagnostics["bounded"] == 1


def test_a_bound_missed_twice_is_reported_as_nan_with_the_reason(run, rotated):
    A = rotated(np.linspace(-1, 1, 50))
    calls = []

    def growing(block):
        calls.append(1)
        return A @ block * 2.0 ** len(calls)

    outcome = run("kpm", FunctionOperator(growing, 50, torch.float64), 60)
    assert np.isnan(outcome.last.value[1]).all()
    assert "outside the bounds" in outcome.last.diagnostics["reason"]
    assert outcome.last.diagnostics["bounded"] == 2
    assert outcome.op.matvecs < 60


@pytest.mark.parametrize("damping", ["jackson", "lorentz", "lanczos"])
def test_no_node_of_kpm_lies_below_a_known_lower_end(run, rotated, damping):
    A = rotated(np.concatenate([np.zeros(60), np.linspace(0, 9, 40)]))
    plain, told = (run("kpm", A, 40, damping=damping, **known).last for known in ({}, {"known_low": 0.0}))
    assert plain.value[0].min() < -0.01
    assert told.value[0].min() >= 0
    assert told.value[1].sum() == pytest.approx(1)
    for estimate in (plain, told):
        assert estimate.rule[1].sum() == pytest.approx(1)
        assert np.array_equal(estimate.rule[0], estimate.value[0])


def test_a_known_lower_end_that_bounds_nothing_changes_no_bit(run, rotated):
    A = rotated(np.linspace(1, 2, 50))
    plain, told = (run("kpm", A, 40, **known).last for known in ({}, {"known_low": -5.0}))
    assert np.array_equal(plain.value, told.value)


@pytest.mark.parametrize("known", [{}, {"known_low": 0.0}])
def test_the_rule_of_kpm_gives_polynomials_of_the_matrix_exactly(run, rotated, known):
    A = rotated(np.concatenate([np.zeros(10), np.linspace(0, 3, 30)]))
    x = torch.randn(40, 1, generator=make_generator(0), dtype=torch.float64)
    x /= norm(x, dim=0)
    nodes, weights = run("kpm", A, 8 + 5, **known).last.rule
    for power in range(11):  # degree 2 * 5
        expected = float(x[:, 0] @ torch.linalg.matrix_power(A, power) @ x[:, 0])
        assert weights @ nodes**power == pytest.approx(expected, rel=1e-10)


def test_smooth_functions_are_read_from_the_rule_to_all_digits_where_damping_leaves_three(run, rotated):
    values = np.linspace(0, 1, 40)
    A = rotated(values)
    estimate = run("kpm", A, 8 + 20, known_low=0.0).last
    x = torch.randn(40, 1, generator=make_generator(0), dtype=torch.float64)[:, 0]
    exact = 40 * float(x @ torch.linalg.matrix_exp(A) @ x / (x @ x))
    asked = TraceFunction("exp")
    assert read_from_density(asked, estimate, 40, "float64").value == pytest.approx(exact, rel=1e-12)
    damped = read_from_density(asked, dataclasses.replace(estimate, rule=None), 40, "float64").value
    assert 1e-5 < abs(damped / exact - 1) < 1e-2


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_zeros_that_rounding_puts_below_zero_are_no_outliers(run, rotated, dtype):
    A = rotated(np.concatenate([np.zeros(180), np.linspace(0, 1e3, 20)]), dtype=dtype)
    estimate = run("kpm", A, 600, known_low=0.0).last
    assert estimate.diagnostics["bounded"] == 1
    assert estimate.value[0].min() >= 0
    assert np.isfinite(estimate.value[1]).all()


@pytest.mark.parametrize("values", [np.linspace(-1, 1, 50), np.linspace(-2, -1, 50), np.full(50, -1.0)], ids=str)
def test_a_lower_end_that_is_none_is_reported_as_nan_with_the_reason(run, rotated, values):
    outcome = run("kpm", rotated(values), 60, known_low=0.0)
    assert np.isnan(outcome.last.value[0]).all()
    assert "below the known lower end 0" in outcome.last.diagnostics["reason"]


@pytest.mark.parametrize("values", [[0.0], [2.0], np.zeros(20), np.full(20, 3.0), [0.0, 1.0]], ids=str)
def test_a_known_lower_end_does_no_harm_on_small_and_flat_operators(run, rotated, values):
    nodes, weights = run("kpm", rotated(values), 24, known_low=0.0).last.value
    assert nodes.min() >= 0
    assert np.min(values) - 1e-9 <= nodes @ weights <= np.max(values) + 1e-9


def test_the_sketch_is_padded_with_zeros_and_keeps_the_trace(run, rotated):
    A = rotated(np.concatenate([[9.0, -4.0], np.zeros(58)]))
    estimate = run("sketch-density", A, 20).last
    nodes, weights = estimate.value
    assert nodes.size == 21
    assert weights[-1] == pytest.approx(40 / 60)
    assert weights.sum() == pytest.approx(1)
    assert 60 * float(nodes @ weights) == pytest.approx(estimate.also[Trace].value)


@pytest.mark.parametrize("m", [1, 7, 40, 60])
@pytest.mark.parametrize("pad", ["zero", "scaled"])
def test_whatever_stands_for_the_rest_of_the_sketch_keeps_the_trace(run, rotated, pad, m):
    A = rotated(np.linspace(-1, 3, 40))
    outcome = run("sketch-density", A, m, pad=pad)
    nodes, weights = outcome.last.value
    assert outcome.op.matvecs == min(m, 40)
    assert weights.sum() == pytest.approx(1)
    assert 40 * float(nodes @ weights) == pytest.approx(outcome.last.also[Trace].value)


def test_the_scaled_sketch_is_near_flat_spectra_and_the_padded_one_near_those_of_low_rank(run, rotated):
    flat, low = np.full(100, 2.0), np.concatenate([[9.0, -4.0], np.zeros(98)])
    ramp = np.linspace(-1, 1, 100)
    zero, scaled = (
        [error(run("sketch-density", rotated(values), 9, pad=pad).last, values) for values in (flat + ramp, low)]
        for pad in ("zero", "scaled")
    )
    assert zero[0] > 2 * scaled[0]
    assert zero[1] < scaled[1] / 2
    nodes, _ = run("sketch-density", rotated(flat), 9, pad="scaled").last.value
    # The values of S^T S / n lie within (1 +- sqrt(m / n))^2 but for what falls off exponentially with n.
    assert 2 * 0.6**2 < nodes.min() < nodes.max() < 2 * 1.4**2


def test_an_unknown_pad_is_refused(run, rotated):
    with pytest.raises(ValueError, match="pad must be zero or scaled, got 'other'"):
        run("sketch-density", rotated(np.ones(4)), 2, pad="other")


def test_the_histogram_is_that_of_the_dense_diagonal(run, ggn):
    op = ggn()
    diagonal = np.sort((op.factor.F**2).sum(dim=1).numpy())
    nodes, weights = run("ggn-diagonal-histogram", op, 3, bins=100_000).last.value
    assert np.allclose(nodes, diagonal)
    assert np.allclose(weights, 1 / 12)
    coarse, mass = run("ggn-diagonal-histogram", op, 3, bins=1).last.value
    assert (coarse, mass) == (pytest.approx([diagonal.mean()]), pytest.approx([1]))
    with pytest.raises(ValueError, match="bins must be at least 1, got 0"):
        run("ggn-diagonal-histogram", op, 3, bins=0)
