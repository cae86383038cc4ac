"""How a whole spectrum is drawn: a smoothed density with the outliers as stems, on axes that show ten decades."""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from hessbench.estimand.base import Array
from hessbench.reports.claims.study_page import short
from hessbench.reports.full_spectrum.groups import CLASSES
from hessbench.reports.writing.drawing import faint_grid
from hessbench.reports.writing.palette import look

POINTS: Final = 200
"""Points of a curve: enough for a figure, and short in a file."""

FLOOR: Final = 1e-6
"""Lowest density drawn, over the largest."""

_WIDTH: Final = 0.006


def smooth(nodes: Array, weights: Array, x: Array, sigma: float) -> Array:
    """Density (k,) at x of a discrete measure under a Gaussian.

    Args:
        nodes: Nodes (m,).
        weights: Their weights (m,).
        x: Points (k,).
        sigma: Standard deviation of the Gaussian.
    """
    z = (x[:, None] - nodes) / sigma
    return np.exp(-(z**2) / 2) @ weights / (sigma * (2 * np.pi) ** 0.5)


def draw_spectrum(axes: Axes, values: Array, place: int, label: str, x: Array | None = None) -> pd.DataFrame:
    """A spectrum as a density of the bulk on a log axis, its first C values as stems.

    Args:
        axes: Where.
        values: Eigenvalues (n,).
        place: Of its colour.
        label: In the legend.
        x: Grid; by default one around the values.

    Returns:
        What is drawn.
    """
    ordered = np.sort(values)
    width = float(np.ptp(ordered))
    grid = np.linspace(ordered[0] - 0.03 * width, ordered[-1] + 0.03 * width, POINTS) if x is None else x
    sigma = _WIDTH * float(np.ptp(grid))
    bulk, top = ordered[:-CLASSES], ordered[-CLASSES:]
    y = smooth(bulk, np.full(bulk.size, 1 / ordered.size), grid, sigma)
    low = FLOOR * float(y.max())
    seen = y > low
    axes.plot(grid[seen], y[seen], color=look(place).colour, linewidth=1.1, label=label)
    height = 1 / ordered.size / (sigma * (2 * np.pi) ** 0.5)
    inside = top[(top >= grid[0]) & (top <= grid[-1])]
    axes.vlines(inside, low, height, color=look(place).colour, linewidth=1.0)
    axes.plot(inside, np.full(inside.size, height), linestyle="", marker="o", markersize=2.5, color=look(place).colour)
    axes.set_yscale("log")
    return pd.concat([
        pd.DataFrame({"what": label, "mark": "density of the bulk", "lambda": rounded(grid), "value": rounded(y)}),
        pd.DataFrame({"what": label, "mark": "outlier", "lambda": rounded(top), "value": short(height)}),
    ])  # fmt: skip


def rounded(values: Array) -> list[float]:
    """Numbers as they stand in a file."""
    return [short(float(it)) for it in values]


def grid_below(axes: Axes) -> None:
    """Lines behind the data, filled areas among them."""
    faint_grid(axes)
    axes.set_axisbelow(True)
