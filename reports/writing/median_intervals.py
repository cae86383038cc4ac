"""Medians with intervals that cover them whatever the distribution, from the order statistics of the sign test."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats


@dataclass(frozen=True)
class MedianInterval:
    """A median with an interval that covers it."""

    low: float
    median: float
    high: float


def median_interval(samples: ArrayLike, level: float = 0.95) -> MedianInterval:
    """Median of independent samples (m,), with the order statistics that cover it with at least `level`.

    From the least to the largest sample where even these cover it with less: then the interval is not one of `level`,
    and `can_cover` says so.
    """
    ordered: NDArray[np.float64] = np.sort(np.asarray(samples, dtype=np.float64))
    low, high = _places(ordered.size, level) if can_cover(ordered.size, level) else (0, -1)
    return MedianInterval(float(ordered[low]), float(np.median(ordered)), float(ordered[high]))


def can_cover(number: int, level: float) -> bool:
    """Whether the extremes of so many samples cover the median with `level`."""
    return not any(map(math.isnan, _ends(number, level)))


def _places(number: int, level: float) -> tuple[int, int]:
    low, high = _ends(number, level)
    return int(low), int(high)


@lru_cache(maxsize=1024)
def _ends(number: int, level: float) -> tuple[float, float]:
    """Places of the two order statistics among samples of this number, from 0; NaN where there is none."""
    found = stats.quantile_test(np.arange(number), p=0.5).confidence_interval(level)
    return float(found.low), float(found.high)
