"""The density of Gaussians over Lanczos nodes, beside its document's formulas."""

import numpy as np
import pytest

from hessbench.methods.density.lanczos_density import gaussian_width, residual_bounds, smoothed
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
    recurrence, explicit = (residual_bounds(op, 8, make_generator(0), explicit=e) for e in (False, True))
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
    ],
)
def test_a_setting_out_of_range_is_refused(run, rotated, keywords, message):
    with pytest.raises(ValueError, match=message):
        run("lanczos-density", rotated(np.ones(9)), 40, **keywords)
