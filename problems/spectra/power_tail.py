"""Power-law tails by maximum likelihood, and whether another law fits the tail as well."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
import scipy.optimize
import scipy.special

from hessbench.estimand.base import Array

LEAST: Final = 50
"""Fewest values of a tail."""

_CANDIDATES: Final = 400


@dataclass(frozen=True)
class PowerTail:
    """A power law fitted to the values from a start on: density (a - 1) / s (x / s)^-a.

    Attributes:
        exponent: a.
        start: s, the value from which on the distance is least.
        count: Values from there on.
        ks: Kolmogorov-Smirnov distance of these to the law.
    """

    exponent: float
    start: float
    count: int
    ks: float


@dataclass(frozen=True)
class LikelihoodRatio:
    """Two laws fitted to the same values.

    Attributes:
        ratio: Log-likelihood of the first less that of the second; positive where the first fits better.
        p: Chance of a ratio as far from zero if both were as near the truth, by Vuong's test; 1 where nothing varies.
    """

    ratio: float
    p: float

    def prefers_first(self, level: float = 0.05) -> bool:
        """Whether the first law fits better, and not by chance."""
        return self.ratio > 0 and self.p < level


@dataclass(frozen=True)
class LognormalTail:
    """A lognormal law cut off below a start: log x is normal of mean `mean` and deviation `deviation`, x >= start."""

    mean: float
    deviation: float
    start: float

    def log_density(self, x: Array) -> Array:
        """Log of the density at x >= start."""
        z = (np.log(x) - self.mean) / self.deviation
        above = _log_above((math.log(self.start) - self.mean) / self.deviation)
        return -0.5 * z * z - 0.5 * math.log(2 * math.pi) - np.log(x * self.deviation) - above

    def quantiles(self, above: Array) -> Array:
        """Values that a share `above` of the law exceeds."""
        cut = _log_above((math.log(self.start) - self.mean) / self.deviation)
        z = -scipy.special.ndtri_exp(np.log(above) + cut)
        return np.exp(self.mean + self.deviation * np.asarray(z))


def fit_power_tail(values: Array, least: int = LEAST) -> PowerTail:
    """Fit exponent and start of a power law: for each start the most likely exponent, and the start of least distance.

    Args:
        values: Positive numbers, any order.
        least: Fewest values that the tail may have.

    Raises:
        ValueError: If a value is not positive and finite, or there are fewer than `least`.

    Source:
        Clauset, Shalizi and Newman, SIAM Rev. 51 (2009), doi:10.1137/070710111.
    """
    x = _ascending(values, least)
    firsts = np.unique(np.linspace(0, x.size - least, min(_CANDIDATES, x.size - least + 1)).astype(int))
    found = [_from_start(x, int(first)) for first in firsts if x[first] < x[-1]]
    if not found:
        raise ValueError("values must not be all equal in the tail")
    return min(found, key=lambda tail: tail.ks)


def power_against_exponential(values: Array, tail: PowerTail) -> LikelihoodRatio:
    """The power law beside an exponential one, both from the start of the tail on; Args: as of `fit_power_tail`."""
    x = values[values >= tail.start]
    rate = 1 / max(float(x.mean()) - tail.start, float(np.finfo(np.float64).tiny))
    return vuong(_power_density(x, tail), math.log(rate) - rate * (x - tail.start))


def power_against_lognormal(values: Array, tail: PowerTail) -> LikelihoodRatio:
    """The power law beside a lognormal one, both from the start of the tail on; Args: as of `fit_power_tail`.

    A lognormal law of ever smaller mean and larger deviation tends to a power law, so that it never fits much worse.
    """
    x = values[values >= tail.start]
    return vuong(_power_density(x, tail), fit_lognormal_tail(x, tail.start).log_density(x))


def fit_lognormal_tail(values: Array, start: float) -> LognormalTail:
    """The most likely lognormal law cut off below `start`.

    Args:
        values: Values from the start on.
        start: Where the law begins, above 0.
    """
    logs = np.log(values)

    def cost(point: Array) -> float:
        law = LognormalTail(float(point[0]), math.exp(float(point[1])), start)
        return -float(law.log_density(values).mean())

    spread = max(float(logs.std()), 1e-6)
    begins = [(float(logs.mean()), math.log(spread)), (float(logs.min()) - 4 * spread, math.log(3 * spread))]
    options = {"maxiter": 4000, "maxfev": 4000, "xatol": 1e-8, "fatol": 1e-12}
    ends: list[Array] = []
    for begin in begins:
        ends.append(scipy.optimize.minimize(cost, np.asarray(begin), method="Nelder-Mead", options=options).x)
    best = min(ends, key=cost)
    return LognormalTail(float(best[0]), math.exp(float(best[1])), start)


def vuong(first: Array, second: Array) -> LikelihoodRatio:
    """Vuong's test of two laws that were fitted to the same values.

    Args:
        first: Log-densities of the first law at the values, (m,).
        second: Those of the second.

    Source:
        Vuong, Econometrica 57 (1989), doi:10.2307/1912557.
    """
    gaps = first - second
    ratio, spread = float(gaps.sum()), float(gaps.std())
    if spread == 0:
        return LikelihoodRatio(ratio, 1.0)
    return LikelihoodRatio(ratio, math.erfc(abs(ratio) / (math.sqrt(2 * gaps.size) * spread)))


def _from_start(x: Array, first: int) -> PowerTail:
    tail, start = x[first:], float(x[first])
    count = tail.size
    exponent = 1 + count / float(np.log(tail / start).sum())
    law = 1 - (tail / start) ** (1 - exponent)
    ranks = np.arange(count + 1) / count
    ks = float(np.maximum(np.abs(ranks[1:] - law), np.abs(law - ranks[:-1])).max())
    return PowerTail(exponent, start, count, ks)


def _power_density(x: Array, tail: PowerTail) -> Array:
    return math.log((tail.exponent - 1) / tail.start) - tail.exponent * np.log(x / tail.start)


def _log_above(z: float) -> float:
    """Log of the chance that a standard normal number is above z."""
    return float(scipy.special.log_ndtr(-z))


def _ascending(values: Array, least: int) -> Array:
    if not bool((np.isfinite(values) & (values > 0)).all()):
        raise ValueError("values of a tail must be positive and finite")
    if values.size < least:
        raise ValueError(f"a tail takes at least {least} values, got {values.size}")
    return np.sort(values)
