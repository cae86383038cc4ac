"""The interval of a random start holds the spectrum as often as it says, and is sharp where it can be."""

import math

import numpy as np
import pytest
import torch
from scipy.special import erfinv
from scipy.stats import binom

from hessbench.methods.krylov.random_start_bound import spectrum_ends
from hessbench.methods.krylov.recurrence import lanczos_steps
from hessbench.operators import dense_operator
from hessbench.seeding import make_generator

TRIALS = 300
SPECTRA = [np.linspace(-1, 1, 40), np.r_[1.0, np.zeros(39)], np.r_[[1.0] * 5, -(0.8 ** np.arange(35))]]


def runs(eigenvalues, steps, trials, seed=0):
    """T and the norm of the start, of as many independent runs on one matrix."""
    n = len(eigenvalues)
    generator = make_generator(seed)
    Q = torch.linalg.qr(torch.randn(n, n, generator=generator, dtype=torch.float64)).Q
    op = dense_operator((Q * torch.as_tensor(eigenvalues, dtype=torch.float64)) @ Q.T)
    for _ in range(trials):
        v = torch.randn(n, generator=generator, dtype=torch.float64)
        *_, T = lanczos_steps(op, v, reorth="full", num_steps=steps, generator=generator)
        yield *T.read(), float(v.norm())


@pytest.mark.parametrize("level", [0.02, 0.2])
def test_with_one_step_less_than_the_dimension_it_misses_exactly_as_often_as_it_says(level):
    # Then one polynomial vanishes at all other eigenvalues, and the bound is crossed just where |<u, v>| < c.
    missed = np.zeros(2)
    for alphas, betas, size in runs([-3.0, -1.0, 0.5, 2.0], 3, TRIALS):
        low, high = spectrum_ends(alphas, betas, size, level)
        missed += [low > -3.0 + 1e-9, high < 2.0 - 1e-9]
    for count in missed:
        assert binom.cdf(count, TRIALS, level / 2) > 1e-4
        assert binom.sf(count - 1, TRIALS, level / 2) > 1e-4


@pytest.mark.parametrize(
    "spectrum", [np.linspace(-1, 1, 60), np.r_[1.0, np.zeros(59)], np.r_[[1.0] * 5, -(0.8 ** np.arange(55))]]
)
@pytest.mark.parametrize("steps", [1, 4])
def test_it_misses_no_more_often_than_it_says(spectrum, steps):
    level, missed = 0.1, 0
    for alphas, betas, size in runs(spectrum, steps, 200, seed=1):
        low, high = spectrum_ends(alphas, betas, size, level)
        missed += low > spectrum.min() + 1e-12 or high < spectrum.max() - 1e-12
    assert binom.sf(missed - 1, 200, level) > 1e-4


def test_it_is_no_wider_than_by_chebyshev_polynomials():
    spectrum, steps, level = np.linspace(0, 1, 400), 12, 1e-3
    c = math.sqrt(2) * torch.erfinv(torch.tensor(level / 2, dtype=torch.float64)).item()
    for alphas, betas, size in runs(spectrum, steps, 5):
        high = spectrum_ends(alphas, betas, size, level)[1]
        # |T_j| <= 1 on [0, 1], so that |T_j(2 x - 1)| c <= ||v||.
        chebyshev = (1 + math.cosh(math.acosh(size / c) / steps)) / 2
        assert spectrum[-1] < high < chebyshev


def test_it_closes_in_with_the_steps():
    ends = []
    for steps in (2, 5, 10, 20, 40):
        [(alphas, betas, size)] = runs(np.linspace(-1, 1, 200), steps, 1)
        ends.append(spectrum_ends(alphas, betas, size, 1e-6))
    lows, highs = np.array(ends).T
    assert (np.diff(highs) < 0).all()
    assert (np.diff(lows) > 0).all()
    assert 1 <= highs[-1] < 1.2
    assert -1.2 < lows[-1] <= -1


@pytest.mark.parametrize("value", [0.0, -2.5])
def test_an_exhausted_space_has_the_spectrum_it_found(value):
    low, high = spectrum_ends(np.array([value]), np.array([0.0]), 3.0, 0.01)
    assert low <= value <= high
    assert high - low <= 1e-12


def test_a_scaled_operator_has_scaled_ends():
    [(alphas, betas, size)] = runs(np.linspace(-1, 2, 50), 6, 1)
    one = np.array(spectrum_ends(alphas, betas, size, 0.01))
    for scale in (1e-30, 1e30):
        np.testing.assert_allclose(spectrum_ends(alphas * scale, betas * scale, size, 0.01), one * scale, rtol=1e-10)


def test_what_is_not_finite_bounds_nothing():
    assert spectrum_ends(np.array([math.nan]), np.array([1.0]), 3.0, 0.01) == (-math.inf, math.inf)


@pytest.mark.parametrize("level", [0.0, 1.0, math.nan])
def test_a_level_that_is_no_probability_is_refused(level):
    with pytest.raises(ValueError, match="level must be above 0 and below 1"):
        spectrum_ends(np.array([1.0]), np.array([1.0]), 3.0, level)


def christoffel(x, alphas, betas):
    """K(x) from the recurrence of the orthonormal polynomials themselves, betas[-1] included."""
    p = [1.0]
    for j, alpha in enumerate(alphas):
        p.append(((x - alpha) * p[-1] - (betas[j - 1] * p[-2] if j else 0.0)) / betas[j])
    return float(np.square(p).sum())


@pytest.mark.parametrize("scale", [1e-8, 1.0, 1e8])
@pytest.mark.parametrize("level", [1e-10, 0.2])
def test_an_end_is_where_the_christoffel_function_crosses_what_the_start_allows(level, scale):
    for steps in (1, 4, 12):
        (alphas, betas, size), *_ = runs(np.linspace(-1, 1, 40), steps, 1)
        limit = size**2 / (2 * erfinv(level / 2) ** 2)
        last = np.linalg.eigvalsh(np.diag(alphas) + np.diag(betas[:-1], 1) + np.diag(betas[:-1], -1))[-1]
        distance = spectrum_ends(scale * alphas, scale * betas, size, level).high / scale - last
        assert distance > 0
        assert christoffel(last + distance * (1 - 1e-6), alphas, betas) <= limit
        assert christoffel(last + distance * (1 + 1e-6), alphas, betas) >= limit


def test_an_exhausted_space_ends_at_its_last_ritz_value():
    low, high = spectrum_ends(np.array([2.0, -1.0]), np.array([1.0, 0.0]), 3.0, 0.1)
    ends = np.linalg.eigvalsh([[2.0, 1.0], [1.0, -1.0]])
    np.testing.assert_allclose([low, high], ends, rtol=1e-14)
    assert low <= ends[0] <= ends[1] <= high
