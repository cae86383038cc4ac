"""Traces from a dense matrix or a spectrum against 50-digit arithmetic."""

import mpmath
import numpy as np
import pytest

from hessbench.estimand import Source, Trace
from hessbench.estimand.from_dense import dense_references
from hessbench.estimand.trace import trace_reference
from hessbench.problems.spectra.closed_forms import clustered, power_law, step


def exact_sum(values):
    with mpmath.workdps(50):
        return mpmath.fsum(mpmath.mpf(float(value)) for value in values)


def test_a_dense_trace_is_the_sum_of_the_diagonal_within_its_own_smaller_bound():
    """The eigenvalues of this matrix add up to another number: they are only known to n eps of the largest."""
    draw = np.random.default_rng(0)
    for n in (3, 40, 300):
        A = draw.standard_normal((n, n))
        A = (A + A.T) * 1e3 - np.diag(np.linspace(0, 1, n))
        reference = dense_references(lambda A=A: A)[Trace](Trace())
        gap = abs(mpmath.mpf(float(reference.arrays["trace"][0])) - exact_sum(A.diagonal()))
        assert gap <= 2.0**-53 * abs(reference.arrays["trace"][0])
        assert gap <= reference.bound <= n * 2.0**-52 * reference.norm
        if n == 300:
            assert reference.bound < 0.5 * n * 2.0**-52 * reference.norm
            assert abs(np.linalg.eigvalsh(A).sum() - float(exact_sum(A.diagonal()))) > 100 * max(float(gap), 1e-14)


@pytest.mark.parametrize("spectrum", [step, clustered, power_law], ids=lambda spectrum: spectrum.__name__)
def test_the_trace_of_a_given_spectrum_is_rounded_once(spectrum):
    """A plain sum of 1000 of these misses by up to 13 times the rounding that a row allows for."""
    for n in (1000, 10_000):
        eigenvalues = spectrum(n)
        reference = trace_reference(eigenvalues, Source.ANALYTIC)
        gap = abs(mpmath.mpf(float(reference.arrays["trace"][0])) - exact_sum(eigenvalues))
        assert gap <= reference.bound <= 2.0**-53 * eigenvalues.sum() * (1 + 1e-12)
