"""How much of a spectrum is near zero, by Gauss quadrature from random starts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats

from hessbench.estimand.base import Array


@dataclass(frozen=True)
class NearZero:
    """Share of the eigenvalues whose magnitude is below a bound.

    Attributes:
        low: Lower end of the interval, 95 % one-sided.
        value: Weight of the nodes inside, averaged.
        high: Upper end, likewise.
    """

    low: float
    value: float
    high: float


def mass_near_zero(nodes: list[Array], weights: list[Array], bound: float) -> NearZero:
    """Share of the spectrum in |lambda| < bound from the quadratures of random starts.

    Of each start the separation theorem of Chebyshev, Markov and Stieltjes bounds its own measure: without the nodes
    next to the ends of the interval on its inside it is a lower bound, with those next to them on the outside an upper
    one. The mean over starts has Student's interval.

    Args:
        nodes: Of each start.
        weights: Of each start, summing to one.
        bound: Half the interval's width.

    Raises:
        ValueError: If there are fewer than two starts.
    """
    if len(nodes) < 2:
        raise ValueError(f"two starts at least are needed for an interval, got {len(nodes)}")
    sides = np.asarray([_sides(at, mass, bound) for at, mass in zip(nodes, weights, strict=True)])
    m = sides.shape[0]
    half = float(stats.t.ppf(0.95, m - 1)) * sides.std(axis=0, ddof=1) / m**0.5
    means = sides.mean(axis=0)
    low, high = max(0.0, means[0] - half[0]), min(1.0, means[2] + half[2])
    return NearZero(float(low), float(means[1]), float(high))


def _sides(nodes: Array, weights: Array, bound: float) -> tuple[float, float, float]:
    order = np.argsort(nodes)
    nodes, weights = nodes[order], weights[order]
    inside = np.flatnonzero(np.abs(nodes) < bound)
    if not inside.size:
        place = int(np.searchsorted(nodes, 0.0))
        around = weights[max(place - 1, 0) : place + 1]
        return 0.0, 0.0, float(around.sum())
    first, last = int(inside[0]), int(inside[-1])
    # At an end beyond which there is no node the whole of the rest may still lie outside: the node stays uncertain.
    low = float(weights[first + 1 : last].sum())
    high = float(weights[max(first - 1, 0) : last + 2].sum())
    return low, float(weights[first : last + 1].sum()), high
