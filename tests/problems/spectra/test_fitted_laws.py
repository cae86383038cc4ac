"""Spectra of random matrices beside the nearest of their laws."""

import numpy as np
import pytest

from hessbench.problems.spectra.fitted_laws import nearest_marchenko_pastur, nearest_semicircle


def test_the_spectrum_of_a_wigner_matrix_is_near_a_semicircle_of_its_centre_and_radius():
    X = np.random.default_rng(0).standard_normal((300, 300))
    values = 5 + 3 * np.linalg.eigvalsh((X + X.T) / (2 * 300) ** 0.5)
    law = nearest_semicircle(values)
    assert law.ks < 0.02
    assert law.parameters == pytest.approx((5, 6), rel=0.05)


@pytest.mark.parametrize("rows", [600, 100])
def test_the_nonzero_spectrum_of_a_covariance_matrix_is_near_marchenko_and_pasturs_law(rows):
    X = np.random.default_rng(1).standard_normal((rows, 200))
    values = np.linalg.eigvalsh(X @ X.T if rows < 200 else X.T @ X)
    law = nearest_marchenko_pastur(values)
    assert law.ks < 0.02
    assert law.parameters[0] == pytest.approx(min(rows, 200) / max(rows, 200), rel=0.1)


def test_heavy_tails_are_near_neither():
    heavy = np.random.default_rng(2).pareto(0.4, 500) + 0.01
    assert nearest_marchenko_pastur(heavy).ks > 0.1
    assert nearest_semicircle(np.concatenate([heavy, -heavy])).ks > 0.1


def test_values_no_law_can_be_fitted_to_are_refused():
    with pytest.raises(ValueError, match="two different finite"):
        nearest_semicircle(np.ones(5))
    with pytest.raises(ValueError, match="positive"):
        nearest_marchenko_pastur(np.asarray([-1.0, 1.0]))
