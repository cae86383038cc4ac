"""Eigenvalues of T alone are those it is diagonalised with, in every form that a run hands over."""

import numpy as np
import pytest

from hessbench.methods.krylov.tridiagonal import solve_tridiagonal, tridiagonal_values


@pytest.mark.parametrize("m", [1, 2, 50])
def test_values_alone_are_those_of_the_whole_solution(m):
    generator = np.random.default_rng(m)
    alphas, betas = generator.standard_normal(m), np.abs(generator.standard_normal(m))
    np.testing.assert_allclose(tridiagonal_values(alphas, betas), solve_tridiagonal(alphas, betas).values, atol=1e-13)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_values_of_what_is_not_finite_are_nan(bad):
    assert np.isnan(tridiagonal_values(np.array([1.0, bad]), np.ones(2))).all()
    assert np.isnan(tridiagonal_values(np.ones(2), np.array([bad, 1.0]))).all()
    assert np.isfinite(tridiagonal_values(np.ones(2), np.array([1.0, bad]))).all()
