"""The diagonal family: known diagonal, and no gift to sign probes."""

import numpy as np
import pytest
import torch

from hessbench.operators import to_dense
from hessbench.problems.spectra.closed_forms import SPECTRA
from hessbench.problems.spectra.known_diagonal import correlation_spectrum, diagonal_problem

CPU = torch.device("cpu")


@pytest.mark.parametrize("n", [1, 2, 3, 7, 48])
def test_the_correlation_matrix_has_mean_eigenvalue_one(n):
    half = correlation_spectrum(n, 3)
    whole = np.concatenate([half, half[1 : (n + 1) // 2]])
    assert whole.size == n
    assert whole.mean() == pytest.approx(1)
    assert (half >= 0).all()


@pytest.mark.parametrize("profile", ["power-law", "step"])
def test_off_diagonal_energy_is_what_the_documentation_says(profile):
    n = 400
    d = SPECTRA[profile](n)
    A = to_dense(diagonal_problem(n=n, profile=profile).build(CPU, torch.float64)).numpy()
    np.testing.assert_allclose(A.diagonal(), d, rtol=1e-13)
    C = A / np.sqrt(np.outer(d, d))
    energy = (C**2).sum(axis=1) - 1
    # Mean of s^2 over about n / 2 uniform values on [0, 2], less 1: mean 1/3, s^2 has variance 64 / 45.
    assert abs(energy.mean() - 1 / 3) < 5 * (64 / 45 / (n / 2)) ** 0.5
    far = np.abs(C[0, 1:])
    # Circulant, and not banded: the far half of a row holds about half of its energy.
    assert 0.3 < (far[100:300] ** 2).sum() / (far**2).sum() < 0.7


def test_sign_probes_are_not_exact_and_are_unbiased():
    n, probes = 200, 400
    op = diagonal_problem(n=n).build(CPU, torch.float64)
    signs = torch.randint(0, 2, (n, probes), generator=torch.Generator().manual_seed(0)).double() * 2 - 1
    draws = (signs * op.matmat(signs)).numpy()
    d = SPECTRA["power-law"](n)
    A = to_dense(op).numpy()
    variance = (A**2).sum(axis=1) - d**2
    assert (variance > 0.01 * d * d.mean()).all()
    # 200 entries, each a mean of 400 draws with that variance.
    assert (np.abs(draws.mean(axis=1) - d) < 5 * (variance / probes) ** 0.5).all()
