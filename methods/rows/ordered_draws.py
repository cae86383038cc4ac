"""Draws without replacement, each of which estimates the whole sum without bias: the estimator of Des Raj."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from hessbench.estimand import Array

_LEAST_LEFT: Final = 1e-6
"""Share of the squares at the beginning below which what is left counts no less, so that weights stay finite."""

_POINTS: Final = 200
_LARGEST_COUNTED: Final = 3.0
_MANY: Final = 1000
_WITHIN: Final = 0.02


@dataclass(frozen=True)
class Drawn:
    """Rows drawn one after another.

    Attributes:
        places: Their places, (m,).
        inverse_chances: 1 / p of each, p its chance among those that were left, (m,).
    """

    places: NDArray[np.int64]
    inverse_chances: Array


def draw(sizes: Array, count: int, generator: torch.Generator) -> Drawn:
    """Draw without replacement with chances in proportion to sizes.

    An exponential clock of rate z rings first at r with the chance z_r / sum z, and so on among those that are left.

    Args:
        sizes: Positive numbers (m,).
        count: Number of draws, at most m.
        generator: Source of randomness.
    """
    clocks = torch.empty(sizes.size, dtype=torch.float64, device=generator.device)
    rings = clocks.exponential_(generator=generator).cpu().numpy() / sizes
    # Sorted are the first ones alone: there may be many rows and few draws.
    places = np.arange(rings.size) if count >= rings.size else np.argpartition(rings, count)[:count]
    places = places[np.argsort(rings[places], kind="stable")]
    drawn = sizes[places]
    rest = float(np.delete(sizes, places).sum())
    left = rest + drawn[::-1].cumsum()[::-1]
    return Drawn(places, left / drawn)


def precision_weights(squares: Array, count: int) -> Array:
    """Weights of successive draws, in proportion to the precision expected of them: fixed before the first.

    Where ||b_r||^2 is about in proportion to ||s_r||^2, an estimate has a standard deviation in proportion to what is
    left, R_k = E sum ||s_r||^2 over rows not among the first k. With clocks that ring at time t a row is left with
    chance exp(-t ||s_r||^2), and k is the expected number of those that are not.

    Args:
        squares: ||s_r||^2 of the rows to be drawn from, (m,), positive.
        count: Number of weights, at most m.

    Returns:
        (R_0 / R_k)^2, (count,), from 1.
    """
    times = np.concatenate([[0.0], np.geomspace(1e-3 / squares.max(), 50 / squares.min(), _POINTS)])
    alike, counts = _alike(squares)
    left = np.exp(-times[:, None] * alike)
    numbers, sums = (1 - left) @ counts, left @ (alike * counts)
    expected = np.interp(np.arange(count), numbers, sums)
    return (1 / np.maximum(expected / squares.sum(), _LEAST_LEFT)) ** 2


def _alike(squares: Array) -> tuple[Array, Array]:
    """Numbers and how many there are of each; of many, those within 2 % of each other as their mean."""
    if squares.size <= _MANY:
        return squares, np.ones(squares.size)
    places = np.floor(np.log(squares / squares.min()) / _WITHIN).astype(np.int64)
    _, inside, counts = np.unique(places, return_inverse=True, return_counts=True)
    return np.bincount(inside, squares) / counts, counts.astype(np.float64)


@dataclass(frozen=True)
class OrderedEstimate:
    """A weighted mean of uncorrelated estimates of one number.

    Attributes:
        value: The mean.
        stderr: Its standard error.
        dof: Degrees of freedom that go with it.
    """

    value: float
    stderr: float
    dof: float


def ordered_estimate(terms: Array, weights: Array, extreme: float) -> OrderedEstimate:
    """Mean and standard error of estimates t_k of one number, weighted by w_k.

    Given what came before it, t_k is unbiased: the t_k - t are martingale differences, whose covariances vanish. Their
    spread is taken in two ways, as if their variances were 1 / w_k and as they are, and the larger counts. Few values
    of a skewed distribution lack its largest ones, so the largest deviation counts 4 times, or that of `extreme` once,
    and the degrees of freedom are half of those of normal values, as for an excess kurtosis of 2. On the rows of
    seven networks, 300 seeds each, an interval at 99 % so made missed at most 5 times at any checkpoint from 16 draws
    on, and without the two up to 13 times. Where ||b_r||^2 / ||s_r||^2 scatters by more than its mean no few draws tell
    of the rest: at 1.4 times the mean it was seen to miss in 2 %, at 4 times in 9 %.

    Args:
        terms: t_k, (m,), m at least 2.
        weights: w_k, (m,), positive and fixed in advance, from 1.
        extreme: What t_1 would have been if it had come out as large as anything that has been seen.

    Source:
        Des Raj, J. Am. Stat. Assoc. 51 (1956), doi:10.1080/01621459.1956.10501326, whose weights are equal.
    """
    total = float(weights.sum())
    value = float(weights @ terms) / total
    deviations = weights * (terms - value) ** 2
    effective = total**2 / float(weights @ weights)
    unseen = max(_LARGEST_COUNTED * float(deviations.max()), (extreme - value) ** 2)
    by_weight = (float(deviations.sum()) + unseen) / (terms.size - 1) / total
    as_they_are = float(weights @ deviations) / total**2 * effective / max(effective - 1, 1)
    return OrderedEstimate(value, float(max(by_weight, as_they_are)) ** 0.5, max(effective - 1, 1.0) / 2)
