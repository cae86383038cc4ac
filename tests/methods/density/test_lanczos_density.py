"""The density of Gaussians over Lanczos nodes, beside its document's formulas."""

import numpy as np
import pytest
import torch

from hessbench.methods.density.deflation import deflate
from hessbench.methods.density.lanczos_density import gaussian_width, residual_bounds, smoothed
from hessbench.methods.probes import draw_direction
from hessbench.operators import dense_operator
from hessbench.seeding import make_generator


def test_the_smoothed_density_is_the_documents_formula_inside_the_grid():
    values, weights, grid = np.array([-0.4, 0.1, 0.3]), np.array([0.2, 0.5, 0.3]), np.linspace(-1, 1, 1024)
    sigma = 2 / (63 * np.sqrt(8 * np.log(1.25)))
    assert gaussian_width(64) == pytest.approx(sigma)
    bells = np.exp(-0.5 * ((grid[:, None] - values) / sigma) ** 2) / (sigma * np.sqrt(2 * np.pi))
    assert np.allclose(smoothed(values, weights, grid, sigma), bells @ weights * (grid[1] - grid[0]), atol=1e-12)


@pytest.mark.parametrize("sigma", [0.0, -1.0, np.inf, np.nan])
def test_a_sigma_that_is_no_width_is_refused(sigma):
    with pytest.raises(ValueError, match="sigma must be above 0 and finite"):
        smoothed(np.zeros(1), np.ones(1), np.linspace(-1, 1, 5), sigma)


def test_a_value_beyond_a_coarse_grid_keeps_its_weight():
    assert smoothed(np.array([5.0, 0.2]), np.array([0.25, 0.75]), np.array([-1.0, 1.0]), 1e-3) == pytest.approx([0, 1])


def test_both_forms_of_the_margin_agree_while_the_basis_is_orthogonal(rotated):
    op = dense_operator(rotated(np.linspace(-1, 3, 80)))
    start = draw_direction(op, make_generator(0))
    recurrence, explicit = (residual_bounds(op, 8, start, explicit=e) for e in (False, True))
    assert explicit == pytest.approx(recurrence, rel=1e-9)
    assert explicit[0] < -0.9


def test_the_products_of_explicit_residuals_are_charged(run, student):
    A = student(n=100)[1]
    plain, explicit = (run("lanczos-density", A, 50, margins=margins).op for margins in ("recurrence", "explicit"))
    assert (plain.matvecs, plain.calls) == (50, 50)
    assert (explicit.matvecs, explicit.calls) == (50, 49)


@pytest.mark.parametrize("margins", ["recurrence", "explicit"])
@pytest.mark.parametrize("values", [np.zeros(20), np.full(20, 3.0), np.eye(20)[0], [1.0], [1.0, -2.0]], ids=str)
def test_a_density_is_a_probability_measure_on_hard_operators(run, rotated, values, margins):
    nodes, weights = run("lanczos-density", rotated(values), 30, margins=margins).last.value
    assert np.isfinite(nodes).all()
    assert weights.min() >= 0
    assert weights.sum() == pytest.approx(1)
    assert nodes @ weights == pytest.approx(np.mean(values), abs=0.6)


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"width": 0.0}, "width must be above 0 and finite, got 0.0"),
        ({"margin": -0.1}, "margin must be at least 0 and finite, got -0.1"),
        ({"points": 1}, "points must be at least 2, got 1"),
        ({"num_probes": 0}, "num_probes must be at least 1, got 0"),
        ({"margins": "other"}, "margins must be recurrence or explicit"),
        ({"deflation": -1}, "deflation must be at least 0, got -1"),
        ({"deflation": 2, "by": "other"}, "by must be lanczos or simultaneous"),
        ({"deflation": 2, "share": 1.0}, "share must be above 0 and below 1, got 1.0"),
        ({"normalised": "other"}, "normalised must be rest or whole"),
    ],
)
def test_a_setting_out_of_range_is_refused(run, rotated, keywords, message):
    with pytest.raises(ValueError, match=message):
        run("lanczos-density", rotated(np.ones(9)), 40, **keywords)


BULK = np.linspace(-1, 1, 57)
SPIKED = np.concatenate([[-50.0, 40.0, 30.0], BULK])


@pytest.mark.parametrize("normalised", ["rest", "whole"])
@pytest.mark.parametrize("by", ["lanczos", "simultaneous"])
def test_the_deflated_density_is_that_of_the_dense_deflated_matrix(run, rotated, by, normalised):
    """As many steps as eigenvalues are left give the quadrature of the start on the dense complement, smoothed."""
    A = rotated(SPIKED)
    outcome = run("lanczos-density", A, 400, deflation=3, by=by, normalised=normalised, share=0.2)
    nodes, weights = outcome.last.value
    assert np.allclose(nodes[:3], SPIKED[:3], rtol=1e-6)
    assert np.allclose(weights[:3], 1 / 60)
    assert weights.sum() == pytest.approx(1)
    said = outcome.last.diagnostics
    grid = nodes[3:]
    assert (grid[0], grid[-1]) == pytest.approx((said["low"], said["high"]))
    ritz, mass = (part[3:] for part in outcome.last.rule)
    assert mass.sum() == pytest.approx(57 / 60)
    shown = smoothed(ritz, mass, grid, said["sigma"])
    assert np.allclose(weights[3:], shown, atol=1e-12)
    widest = 1.2 if normalised == "rest" else 55
    assert 1 < said["high"] < widest


@pytest.mark.parametrize("steps", [4, 6])
def test_the_rule_is_the_quadrature_of_the_dense_deflated_matrix(run, rotated, steps):
    A = rotated(SPIKED)
    outcome = run("lanczos-density", A, 8 + 2 + steps, deflation=3, share=8 / (10 + steps) + 1e-9)
    assert outcome.op.matvecs == 8 + 2 + steps
    generator = make_generator(0)
    found = deflate(dense_operator(A), "lanczos", 3, 8, generator)
    Y = found.vectors
    P = torch.eye(60, dtype=A.dtype) - Y @ Y.T
    torch.randn(60, 1, generator=generator, dtype=A.dtype)  # the start of the bounds
    x = P @ torch.randn(60, 1, generator=generator, dtype=A.dtype)[:, 0]
    x = x / x.norm()
    ritz, mass = (part[3:] for part in outcome.last.rule)
    for degree in range(2 * steps):
        exact = 57 / 60 * float(x @ torch.linalg.matrix_power(P @ A @ P, degree) @ x)
        assert float(mass @ ritz**degree) == pytest.approx(exact, rel=1e-8, abs=1e-10)


@pytest.mark.parametrize(
    ("keywords", "calls"),
    [
        ({"by": "lanczos"}, 100),  # 50 of the deflation, 10 of the bounds, 40 steps
        ({"by": "lanczos", "margins": "explicit"}, 99),  # the two residuals are one call
        ({"by": "simultaneous"}, 16 + 10 + 42),  # 16 blocks of three columns
        ({"by": "simultaneous", "margins": "explicit"}, 16 + 10 + 1 + 40),
        ({"by": "lanczos", "num_probes": 2}, 50 + 10 + 20),
    ],
)
def test_every_product_of_deflation_and_margins_is_charged(run, student, keywords, calls):
    op = run("lanczos-density", student(n=200)[1], 100, deflation=3, **keywords).op
    assert (op.matvecs, op.calls) == (100, calls)


def test_the_bounds_of_the_rest_hold_its_outliers_out(run, rotated):
    A = rotated(SPIKED)
    sharp, wide, plain = (
        run("lanczos-density", A, 100, **keywords).last.diagnostics["sigma"]
        for keywords in ({"deflation": 3}, {"deflation": 3, "normalised": "whole"}, {})
    )
    assert sharp < plain / 10
    assert plain < wide, "half of the steps, and the same range"


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("margins", ["recurrence", "explicit"])
@pytest.mark.parametrize("by", ["lanczos", "simultaneous"])
@pytest.mark.parametrize(
    "values", [np.zeros(20), np.full(20, 3.0), np.eye(20)[0] * 7, [1.0], [1.0, -2.0], np.arange(5.0)], ids=str
)
def test_deflation_takes_hard_operators_too(run, rotated, values, by, margins, dtype):
    outcome = run("lanczos-density", rotated(values, dtype=dtype), 30, deflation=4, by=by, margins=margins)
    nodes, weights = outcome.last.value
    assert np.isfinite(nodes).all()
    assert weights.min() >= 0
    assert weights.sum() == pytest.approx(1)
    top = sorted(np.abs(values))[::-1][:4]
    assert np.abs(nodes[: len(top)]) == pytest.approx(top, abs=1e-5)
    if len(values) == 20:  # of rank one at most beside a multiple of the identity: nothing is left to smooth
        assert nodes @ weights == pytest.approx(np.mean(values), abs=1e-5)


def test_as_many_directions_as_dimensions_are_the_whole_spectrum(run, rotated):
    outcome = run("lanczos-density", rotated(np.arange(6.0)), 6, deflation=9)
    assert np.allclose(np.sort(outcome.last.value[0]), np.arange(6.0))
    assert outcome.op.matvecs == 6


def test_the_least_budget_with_deflation_is_enough_and_one_less_is_refused(run, student):
    A = student(n=100)[1]
    assert run("lanczos-density", A, 16, deflation=10).op.matvecs == 16
    with pytest.raises(ValueError, match="num_matvecs must be at least 16, got 15"):
        run("lanczos-density", A, 15, deflation=10)
