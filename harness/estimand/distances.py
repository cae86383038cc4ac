"""Distances between discrete measures on the line, given by sorted nodes and their weights."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def wasserstein1(x: Array, p: Array, y: Array, q: Array) -> float:
    """Integral of |F - G| for two discrete measures with sorted nodes."""
    grid = np.concatenate([x, y])
    steps = np.concatenate([p, -q])
    order = np.argsort(grid, kind="stable")
    heights = np.cumsum(steps[order])[:-1]
    return float(np.abs(heights) @ np.diff(grid[order]))


def kolmogorov_smirnov(x: Array, p: Array, y: Array, q: Array, slack: float = 0.0) -> float:
    """Largest difference of two distribution functions, a shift of `slack` in position being free.

    The larger of sup F(t - slack) - G(t) and sup G(t - slack) - F(t), for sorted nodes; 0 when negative.
    """
    F, G = np.concatenate([[0.0], np.cumsum(p)]), np.concatenate([[0.0], np.cumsum(q)])
    ahead = F[1:] - G[np.searchsorted(y, x + slack, side="right")]
    behind = G[1:] - F[np.searchsorted(x, y + slack, side="right")]
    return float(max(ahead.max(), behind.max(), 0.0))


def spread_of(nodes: Array, weights: Array) -> float:
    """Mean |lambda - mean|."""
    return float(np.abs(nodes - nodes @ weights) @ weights)
