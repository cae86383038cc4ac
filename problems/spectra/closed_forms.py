"""Spectra in closed form, and random ones from a seed: functions of n that return n float64 eigenvalues."""

from __future__ import annotations

from collections.abc import Callable
from types import MappingProxyType
from typing import Final

import numpy as np

from hessbench.estimand.base import Array

ClosedForm = Callable[[int], Array]


def power_law(n: int) -> Array:
    """1 / i for i = 1..n: a heavy tail, the trace growing like log n."""
    return 1.0 / np.arange(1, n + 1, dtype=np.float64)


def geometric(n: int) -> Array:
    """0.9^(i - 1): the trace tends to 10 and most of a large matrix is below any rounding."""
    return np.power(0.9, np.arange(n, dtype=np.float64))


def step(n: int) -> Array:
    """1 for the first tenth (rounded up), 1e-3 for the rest."""
    values = np.full(n, 1e-3)
    values[: -(-n // 10)] = 1.0
    return values


def spiked(n: int) -> Array:
    """100, 90, ..., 10 above a bulk evenly spaced from just below 1 down to 0, as near a minimum of a classifier."""
    spikes = np.arange(100, 0, -10, dtype=np.float64)[:n]
    bulk = n - spikes.size
    return np.concatenate([spikes, np.arange(bulk - 1, -1, -1, dtype=np.float64) / max(bulk, 1)])


def clustered(n: int) -> Array:
    """Ten clusters near 2^-c, c = 0..9, of width 1e-3 of their place: 2^-c (1 - 1e-3 (u - c)), u = 10 (i - 1) / n."""
    position = 10.0 * np.arange(n, dtype=np.float64) / n
    cluster = np.floor(position)
    return 2.0**-cluster * (1 - 1e-3 * (position - cluster))


def linear(n: int) -> Array:
    """(n + 1 - i) / n: evenly spaced from 1 down to 1 / n."""
    return np.arange(n, 0, -1, dtype=np.float64) / n


def zero(n: int) -> Array:
    """All 0."""
    return np.zeros(n)


def rank_one(n: int) -> Array:
    """1 once, then 0."""
    return (np.arange(n) < 1).astype(np.float64)


def identity(n: int) -> Array:
    """All 1."""
    return np.ones(n)


SPECTRA: Final = MappingProxyType[str, ClosedForm](
    {
        "power-law": power_law,
        "geometric": geometric,
        "step": step,
        "spiked": spiked,
        "clustered": clustered,
        "linear": linear,
        "zero": zero,
        "rank-one": rank_one,
        "identity": identity,
    }
)
"""Named spectra, all from the top down and none negative."""


def alternate(eigenvalues: Array) -> Array:
    """Turn the sign of the second eigenvalue, the fourth, and so on."""
    return eigenvalues * np.where(np.arange(eigenvalues.size) % 2 == 0, 1.0, -1.0)


def student_t(n: int, zero_fraction: float, df: float, *, signed: bool, seed: int) -> Array:
    """Independent Student-t values, then exactly round(zero_fraction n) zeros.

    Args:
        n: Number of eigenvalues.
        zero_fraction: Share of zeros, in [0, 1].
        df: Degrees of freedom; 1 is Cauchy, infinity would be normal.
        signed: Keep the signs; otherwise take absolute values.
        seed: Seed of the values.
    """
    zeros = round(zero_fraction * n)
    values = np.random.default_rng(seed).standard_t(df, size=n - zeros)
    return np.concatenate([values if signed else np.abs(values), np.zeros(zeros)])
