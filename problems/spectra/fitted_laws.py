"""How near a spectrum is to the nearest Marchenko-Pastur law and to the nearest semicircle, whatever their scale."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import scipy.optimize

from hessbench.estimand.base import Array
from hessbench.problems.spectra.limit_laws import marchenko_pastur


@dataclass(frozen=True)
class FittedLaw:
    """A law and how far the values are from it.

    Attributes:
        parameters: Of the semicircle centre and radius; of Marchenko and Pastur's law ratio and scale.
        ks: Kolmogorov-Smirnov distance.
    """

    parameters: tuple[float, float]
    ks: float


def nearest_semicircle(values: Array) -> FittedLaw:
    """The semicircle of any centre and radius with the least Kolmogorov-Smirnov distance to the values.

    Args:
        values: Eigenvalues (m,), not all equal.

    Raises:
        ValueError: If they are all equal, or not finite.
    """
    x = _checked(values)

    def distance(centre: float, radius: float) -> float:
        return ks_distance(x, _semicircle_law((x - centre) / radius))

    return _nearest(distance, (float(x.mean()), 2 * float(x.std())), scale=float(x.std()))


def nearest_marchenko_pastur(values: Array) -> FittedLaw:
    """Marchenko and Pastur's law of any ratio up to 1 and any scale with the least distance to positive values.

    The continuous part of a law of ratio above 1 is that of its inverse, so that of a singular matrix the values that
    are not zero are handed in.

    Args:
        values: Eigenvalues (m,), positive.

    Raises:
        ValueError: If one is not positive and finite, or all are equal.
    """
    x = _checked(values)
    if x[0] <= 0:
        raise ValueError("values of Marchenko and Pastur's law must be positive")
    mean, spread = float(x.mean()), float(x.std())

    def distance(log_ratio: float, log_scale: float) -> float:
        nodes = marchenko_pastur(float(np.exp(min(log_ratio, 0.0))))["law_nodes"] * np.exp(log_scale)
        return ks_distance(x, np.interp(x, nodes, (np.arange(nodes.size) + 0.5) / nodes.size, left=0.0, right=1.0))

    # The mean of the law is its scale and its variance the ratio times the square of that; the median is less moved by
    # a few large values than the mean.
    begins = [(np.log(min(1.0, (spread / mean) ** 2)), np.log(mean)), (0.0, np.log(float(np.median(x)) * 2))]
    found = [_nearest(distance, (float(a), float(b)), scale=0.5) for a, b in begins]
    best = min(found, key=lambda law: law.ks)
    ratio, scale = np.exp(min(best.parameters[0], 0.0)), np.exp(best.parameters[1])
    return FittedLaw((float(ratio), float(scale)), best.ks)


def ks_distance(x: Array, law: Array) -> float:
    """Kolmogorov-Smirnov distance of ascending values to a continuous law.

    Args:
        x: Values, ascending (m,).
        law: The law's distribution function at them, (m,).
    """
    ranks = np.arange(x.size + 1) / x.size
    return float(np.maximum(np.abs(ranks[1:] - law), np.abs(law - ranks[:-1])).max())


def _semicircle_law(t: Array) -> Array:
    """Distribution function of the semicircle on [-1, 1]."""
    t = np.clip(t, -1.0, 1.0)
    return 0.5 + (t * np.sqrt(1 - t * t) + np.arcsin(t)) / np.pi


def _nearest(distance: Callable[[float, float], float], begin: tuple[float, float], scale: float) -> FittedLaw:
    def cost(point: Array) -> float:
        a, b = float(point[0]), float(point[1])
        return distance(a, b) if np.isfinite(b) and b != 0 else 1.0

    corners = np.asarray([begin, (begin[0] + scale, begin[1]), (begin[0], begin[1] + scale)])
    options = {"maxiter": 400, "xatol": 1e-4 * max(scale, 1e-300), "fatol": 1e-5, "initial_simplex": corners}
    found = scipy.optimize.minimize(cost, corners[0], method="Nelder-Mead", options=options)
    return FittedLaw((float(found.x[0]), float(found.x[1])), float(found.fun))


def _checked(values: Array) -> Array:
    x = np.sort(values)
    if not bool(np.isfinite(x).all()) or x.size < 2 or x[0] == x[-1]:
        raise ValueError("a law is fitted to at least two different finite values")
    return x
