"""Curves of discrete measures: densities smoothed by a Gaussian along an axis, and distribution functions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np

from hessbench.estimand import Array
from hessbench.reports.spectra.axis import SpectralAxis
from hessbench.reports.spectra.measure import Measure

FEWEST_STEPS: Final = 5
MOST_STEPS: Final = 200
"""Steps between which the width of the Gaussian follows them: fewer would smooth everything away."""

_BINS: Final = 8192
_REACH: Final = 6.0


def heuristic_sigma(steps: int) -> float:
    """The width of the Gaussian on an axis from -1 to 1, for Lanczos with so many steps.

    2 / ((M - 1) sqrt(8 log 1.25)) with M = `steps`, kept between 5 and 200.

    Source:
        Papyan, The full spectrum of deep net Hessians at scale (2018), arXiv:1811.07062, algorithm 3; after Lin, Saad
        and Yang, SIAM Rev. 58 (2016), doi:10.1137/130934283.
    """
    kept = min(max(steps, FEWEST_STEPS), MOST_STEPS)
    return 2 / ((kept - 1) * math.sqrt(8 * math.log(1.25)))


def shared_steps(steps: Sequence[int]) -> int:
    """The steps that choose one width for several densities: the middle of theirs, the lower one of two."""
    ordered = sorted(steps)
    return ordered[(len(ordered) - 1) // 2] if ordered else FEWEST_STEPS


def density_on(measure: Measure, axis: SpectralAxis, sigma: float, number: int) -> tuple[Array, Array]:
    """Coordinates of an axis (number,), and there the density, in mass per unit of the coordinate.

    The Gaussian is taken in the coordinate of the axis. What a logarithmic axis cannot show, mass below its unit, is
    left out; mass beyond the ends counts as far as its Gaussian reaches in.

    Args:
        measure: What to smooth.
        axis: Along what.
        sigma: Width on an axis from -1 to 1, above 0.
        number: Of points.

    Raises:
        ValueError: If `sigma` is not above 0.
    """
    if not 0 < sigma < math.inf:
        raise ValueError(f"sigma must be above 0, as a share of half the axis, got {sigma}")
    at = axis.sampled(number)
    width = sigma * axis.half_range
    shown = measure.nodes >= axis.unit if axis.scale == "log" else np.ones(measure.nodes.size, dtype=bool)
    places, weights = axis.coordinates(measure.nodes[shown]), measure.weights[shown]
    near = (places > at[0] - _REACH * width) & (places < at[-1] + _REACH * width)
    places, weights = _binned(places[near], weights[near])
    apart = (at[:, None] - places[None, :]) / width
    return at, np.exp(-0.5 * apart**2) @ weights / (width * math.sqrt(2 * math.pi))


def outside(measure: Measure, axis: SpectralAxis) -> float:
    """Mass that is not on the axis."""
    return float(np.abs(measure.weights[~axis.holds(measure.nodes)]).sum())


def distribution(measure: Measure, values: Array) -> Array:
    """Mass up to and including each value."""
    summed = np.concatenate([[0.0], np.cumsum(measure.weights)])
    return summed[np.searchsorted(measure.nodes, values, side="right")]


def _binned(places: Array, weights: Array) -> tuple[Array, Array]:
    """The same in cells too narrow to be seen, where there are many."""
    if places.size <= _BINS:
        return places, weights
    low, high = float(places.min()), float(places.max())
    edges = np.linspace(low, high + 1e-12 * max(abs(high), 1.0), _BINS + 1)
    mass, _ = np.histogram(places, edges, weights=weights)
    centre, _ = np.histogram(places, edges, weights=weights * places)
    kept = mass != 0
    return centre[kept] / mass[kept], mass[kept]
