"""Rules that several claims share, each a function of numbers alone."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, TypeAlias

import numpy as np
from scipy import stats

from hessbench.estimand.base import Array
from hessbench.reports.claims.claim import ClaimOutcome

Size: TypeAlias = Callable[[Array], Array]

USUAL_SHARE: Final = 0.9
"""Share of units from which on what is claimed to happen usually does; below one less this share it does not."""


def usually(agreeing: int, units: int) -> ClaimOutcome:
    """Judge what is said to hold usually: 9 of 10 units (5 of 5) bear it out, 1 of 10 (0 of 5) refutes it.

    Args:
        agreeing: Units that agree.
        units: All of them; none leaves the claim undecided.

    Raises:
        ValueError: If more agree than there are.
    """
    _check_count(agreeing, units)
    if units == 0:
        return ClaimOutcome.UNDECIDED
    # Counts, not shares: 0.9 of 10 is not exact in binary.
    needed = math.ceil(USUAL_SHARE * units - 1e-9)
    if agreeing >= needed:
        return ClaimOutcome.BORNE_OUT
    return ClaimOutcome.REFUTED if agreeing <= units - needed else ClaimOutcome.UNDECIDED


def always(agreeing: int, units: int) -> ClaimOutcome:
    """Judge what is said to hold always: one unit that does not agree refutes it.

    Args:
        agreeing: Units that agree, or that do not disagree beyond the bound of their reference.
        units: All of them; none leaves the claim undecided.

    Raises:
        ValueError: If more agree than there are.
    """
    _check_count(agreeing, units)
    if units == 0:
        return ClaimOutcome.UNDECIDED
    return ClaimOutcome.BORNE_OUT if agreeing == units else ClaimOutcome.REFUTED


def _check_count(agreeing: int, units: int) -> None:
    """Refuse a count that no units can have.

    Raises:
        ValueError: If more agree than there are.
    """
    if not 0 <= agreeing <= units:
        raise ValueError(f"agreeing must be from 0 to the {units} units, got {agreeing}")


def at_least(value: float, borne_out: float, refuted: float) -> ClaimOutcome:
    """Judge a number that bears a claim out from `borne_out` up and refutes it from `refuted` down; NaN does neither.

    Raises:
        ValueError: If the two bounds are not in this order.
    """
    if not refuted < borne_out:
        raise ValueError(f"refuted must be below borne_out, got {refuted} and {borne_out}")
    if value >= borne_out:
        return ClaimOutcome.BORNE_OUT
    return ClaimOutcome.REFUTED if value <= refuted else ClaimOutcome.UNDECIDED


def at_most(value: float, borne_out: float, refuted: float) -> ClaimOutcome:
    """Judge a number that bears a claim out from `borne_out` down and refutes it from `refuted` up.

    Raises:
        ValueError: If the two bounds are not in this order.
    """
    if not borne_out < refuted:
        raise ValueError(f"borne_out must be below refuted, got {borne_out} and {refuted}")
    return at_least(-value, -borne_out, -refuted)


@lru_cache(maxsize=4096)  # a large ledger asks for few of them, very often
def share_interval(agreeing: int, units: int, level: float = 0.95) -> tuple[float, float]:
    """Exact interval of a share, by Clopper and Pearson (1934), doi 10.1093/biomet/26.4.404.

    Args:
        agreeing: Units that agree.
        units: All of them, one at least.
        level: Least probability that the interval holds the true share.

    Raises:
        ValueError: If there are no units, or more agree than there are.
    """
    if units < 1 or not 0 <= agreeing <= units:
        raise ValueError(f"agreeing must be from 0 to units, of which there is one at least, got {agreeing} of {units}")
    found = stats.binomtest(agreeing, units).proportion_ci(level, method="exact")
    return float(found.low), float(found.high)


def share_uncertainty(agreeing: int, units: int) -> str:
    """The 95 % interval of the share of all such units that agree, in words; empty where there is no unit."""
    if units == 0:
        return ""
    low, high = share_interval(agreeing, units)
    return f"share of such networks that agree within {low:.2f} to {high:.2f}, 95 %"


@dataclass(frozen=True)
class Exponent:
    """Slope of a line on two logarithmic axes with an interval."""

    low: float
    value: float
    high: float


def fitted_exponent(
    x: Array, samples: list[Array], size: Size, level: float = 0.95, draws: int = 2000, seed: int = 0
) -> Exponent:
    """Exponent of a power law through the sizes of samples, its interval by resampling within each place.

    Args:
        x: Places, positive, shape (m,), two different ones at least.
        samples: Numbers of independent repeats at each place, one array each.
        size: What is taken of the samples of a place, over the last axis of an array: `typical` or `deviation`.
        level: Share of the resampled exponents within the interval.
        draws: Times the samples are drawn again.
        seed: Seed of the drawing.

    Raises:
        ValueError: If there are too few places, or a size is not positive and finite.
    """
    if np.unique(x).size < 2 or len(samples) != x.size:
        raise ValueError(f"x must hold two different places at least, each with samples, got {x.size} places")
    sizes = np.asarray([size(each) for each in samples])
    if not bool((np.isfinite(sizes) & (sizes > 0)).all()):
        raise ValueError("sizes of a power law must be finite and above 0")
    rng = np.random.default_rng(seed)
    drawn = np.stack([size(each[rng.integers(0, each.size, (draws, each.size))]) for each in samples])
    # A drawing in which all samples of a place are the same one has no deviation.
    drawn = drawn[:, (drawn > 0).all(axis=0)]
    low, high = np.quantile(_slope(np.log(x), np.log(drawn)), [(1 - level) / 2, (1 + level) / 2])
    return Exponent(float(low), float(_slope(np.log(x), np.log(sizes))), float(high))


def typical(samples: Array) -> Array:
    """Median over the last axis."""
    return np.asarray(np.median(samples, axis=-1))


def deviation(samples: Array) -> Array:
    """Standard deviation over the last axis."""
    return np.asarray(np.std(samples, axis=-1, ddof=1))


def _slope(x: Array, y: Array) -> Array:
    """Least-squares slopes of y, shape (m,) or (m, k), on x (m,)."""
    t = x - x.mean()
    return t @ y / (t @ t)
