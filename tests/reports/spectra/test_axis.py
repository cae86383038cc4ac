"""Axes of eigenvalues: order is kept, values come back, labels do not touch, whatever the spectrum."""

import itertools

import numpy as np
import pytest

from hessbench.reports.spectra.axis import SCALES, axis_for, tick_label

SPECTRA = {
    "ten decades": np.concatenate([-np.logspace(-10, 0, 50), np.logspace(-10, 0, 50)]),
    "one value": np.asarray([3.0]),
    "one negative value": np.asarray([-2e-9]),
    "zeros": np.zeros(4),
    "positive": np.linspace(1.0, 3.0, 20),
    "huge": np.asarray([-1e30, 1e-30, 1e30]),
    "cluster": 1 + 1e-12 * np.arange(5),
    "nearly all zero": np.concatenate([np.zeros(999), [7.0]]),
}


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("name", SPECTRA)
def test_an_axis_holds_the_spectrum_in_order(name, scale):
    values = SPECTRA[name]
    if scale == "log" and not (values > 0).any():
        with pytest.raises(ValueError, match="above what is told from zero"):
            axis_for(scale, [values], 0.0, 50.0, 450.0)
        return
    axis = axis_for(scale, [values], 0.0, 50.0, 450.0)
    assert np.isfinite([axis.low, axis.high]).all()
    assert axis.low < axis.high
    shown = np.sort(values[values >= axis.unit] if scale == "log" else values)
    assert axis.holds(shown).all()
    places = axis.pixels(shown)
    assert (np.diff(places) >= 0).all()
    assert ((places >= 50) & (places <= 450)).all()


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("name", SPECTRA)
def test_labels_do_not_touch_and_are_on_the_axis(name, scale):
    values = SPECTRA[name]
    if scale == "log" and not (values > 0).any():
        return
    axis = axis_for(scale, [values], 0.0, 50.0, 450.0)
    ticks = axis.ticks(lambda label: 7.0 * len(label))
    assert len(ticks) >= 1 or name == "cluster"
    places = axis.pixels(np.asarray([value for value, _ in ticks]))
    for (left, right), ((_, one), (_, other)) in zip(
        itertools.pairwise(places), itertools.pairwise(ticks), strict=True
    ):
        assert right - left >= 3.5 * (len(one) + len(other)) - 1e-6


@pytest.mark.parametrize("scale", SCALES)
def test_coordinates_and_values_are_inverse(scale):
    axis = axis_for(scale, [np.asarray([1e-6, 1e-3, 4.0])], 0.0, 0.0, 100.0)
    values = np.asarray([2e-6, 0.5, 3.0]) if scale == "log" else np.asarray([-3.0, -2e-6, 0.0, 1e-7, 0.5])
    np.testing.assert_allclose(axis.values(axis.coordinates(values)), values, rtol=1e-12, atol=1e-18)


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0"), (1e-7, "10⁻⁷"), (-3e6, "\N{MINUS SIGN}3·10⁶"), (1500.0, "1,500"), (0.02, "0.02"), (1e5, "10⁵")],
)
def test_labels_are_short(value, text):
    assert tick_label(value) == text
