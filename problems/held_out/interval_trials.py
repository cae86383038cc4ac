"""Trials of the 99 % intervals of statistical references, on spectra whose truth is known by construction."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import numpy as np
import scipy.stats

from hessbench.estimand import Array, TopEigenvalues
from hessbench.problems.held_out.spectra import HeldOutSpectrum
from hessbench.problems.references.statistical import statistical_density, statistical_trace
from hessbench.problems.references.trace_interval import Effort
from hessbench.problems.spectra.closed_forms import SPECTRA, student_t


@dataclass(frozen=True)
class IntervalTrial:
    """One interval, and whether it covers the truth.

    Attributes:
        name: Of the spectrum.
        covers: Whether the truth lies in the interval.
        value: The estimate; of a density its distance to the truth.
        truth: The truth; of a density 0.
        half_width: Half width of the interval, or the bound.
    """

    name: str
    covers: bool
    value: float
    truth: float
    half_width: float


def interval_trial(spectrum: HeldOutSpectrum, seed: int, effort: Effort | None = None) -> IntervalTrial:
    """Estimate a trace from a seed, and see whether its bound covers the sum of the eigenvalues."""
    found = statistical_trace(spectrum.build(), 10.0, f"trial {seed}", psd=True, effort=effort)
    value, truth = float(found.arrays["trace"][0]), math.fsum(spectrum.eigenvalues)
    return IntervalTrial(spectrum.name, abs(value - truth) <= found.bound, value, truth, found.bound)


def density_trial(spectrum: HeldOutSpectrum, seed: int, effort: Effort | None = None) -> IntervalTrial:
    """Estimate a density from a seed, and see whether its bound covers the Wasserstein-1 distance to the truth."""
    found = statistical_density(spectrum.build(), 10.0, f"trial {seed}", effort)
    truth = np.sort(spectrum.eigenvalues)
    nodes, weights = found.arrays["nodes"], found.arrays["weights"]
    distance = float(scipy.stats.wasserstein_distance(nodes, truth, weights))
    return IntervalTrial(spectrum.name, distance <= found.bound_in("float64"), distance, 0.0, found.bound)


def outside_the_sketch(n: int, large: int = 21) -> Array:
    """Equal eigenvalues, one more than a sketch of 20 takes in, above a small bulk: one large one stays outside."""
    return np.concatenate([np.ones(large), np.full(n - large, 1e-4)])


DRAWS: Final = MappingProxyType[str, Callable[[], Array]](
    {
        **{name: lambda draw=draw: draw(500) for name, draw in SPECTRA.items()},
        "student-t with zeros, n=30": lambda: student_t(30, 0.1, 3.0, signed=True, seed=1),
        "student-t with zeros, n=300": lambda: student_t(300, 0.5, 2.5, signed=True, seed=2),
        "student-t with zeros, n=2000": lambda: student_t(2000, 0.9, 2.0, signed=True, seed=3),
        "student-t, non-negative, n=2000": lambda: student_t(2000, 0.9, 1.5, signed=False, seed=4),
        "one outside the sketch, n=30": lambda: outside_the_sketch(30),
        "one outside the sketch, n=400": lambda: outside_the_sketch(400),
        "one outside the sketch, negative, n=2000": lambda: -outside_the_sketch(2000),
        "three outside the sketch, n=400": lambda: outside_the_sketch(400, 23),
    }
)
"""Spectra by name, of 30 to 2000 eigenvalues."""


def trial_spectrum(name: str, seed: int) -> HeldOutSpectrum:
    """A spectrum of `DRAWS`, its rotation drawn from the seed."""
    return HeldOutSpectrum(name, DRAWS[name](), TopEigenvalues(1), seed)
