"""Closed forms and random draws, by themselves."""

import numpy as np
import pytest

from hessbench.problems.spectra.closed_forms import SPECTRA, alternate, student_t


@pytest.mark.parametrize("name", SPECTRA)
@pytest.mark.parametrize("n", [1, 2, 3, 7, 10, 11, 1000])
def test_a_named_spectrum_has_n_values_from_the_top_down_and_none_below_zero(name, n):
    values = SPECTRA[name](n)
    assert values.shape == (n,)
    assert values.dtype == np.float64
    assert np.isfinite(values).all()
    assert (values >= 0).all()
    assert (np.diff(values) <= 0).all()


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("power-law", [1, 1 / 2, 1 / 3, 1 / 4]),
        ("geometric", [1, 0.9, 0.81, 0.729]),
        ("step", [1, 1e-3, 1e-3, 1e-3]),
        ("spiked", [100, 90, 80, 70]),
        ("clustered", [1, 0.25 * (1 - 5e-4), 2.0**-5, 2.0**-7 * (1 - 5e-4)]),
        ("linear", [1, 3 / 4, 2 / 4, 1 / 4]),
        ("zero", [0, 0, 0, 0]),
        ("rank-one", [1, 0, 0, 0]),
        ("identity", [1, 1, 1, 1]),
    ],
)
def test_a_named_spectrum_follows_its_closed_form(name, expected):
    np.testing.assert_allclose(SPECTRA[name](4), expected, rtol=1e-15)


def test_the_bulk_of_the_spiked_spectrum_is_evenly_spaced_below_one():
    np.testing.assert_allclose(SPECTRA["spiked"](14)[10:], [3 / 4, 2 / 4, 1 / 4, 0])


def test_alternate_turns_every_second_sign():
    np.testing.assert_array_equal(alternate(np.asarray([3.0, 2.0, 1.0])), [3.0, -2.0, 1.0])


@pytest.mark.parametrize(("fraction", "zeros"), [(0.0, 0), (0.5, 500), (0.9004, 900), (1.0, 1000)])
def test_student_t_has_exactly_the_zeros_asked_for(fraction, zeros):
    values = student_t(1000, fraction, 3.0, signed=True, seed=1)
    assert (values == 0).sum() == zeros


def test_student_t_quartiles_are_those_of_the_law():
    # The sample quartile of m draws has standard deviation sqrt(3 / 16 / m) / f(q); f(q) = 0.226 at q = 0.765, df = 3.
    m = 100_000
    quartiles = np.quantile(student_t(m, 0.0, 3.0, signed=True, seed=2), [0.25, 0.75])
    np.testing.assert_allclose(quartiles, [-0.76489, 0.76489], atol=5 * (3 / 16 / m) ** 0.5 / 0.226)


def test_unsigned_student_t_is_the_absolute_value_of_the_signed_draw():
    signed, unsigned = (student_t(50, 0.2, 1.0, signed=signed, seed=3) for signed in (True, False))
    np.testing.assert_array_equal(np.abs(signed), unsigned)
    assert (signed < 0).any()
