"""What the density study measured, as arrays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from hessbench.estimand.base import Array, Arrays

METRICS: Final[Mapping[str, str]] = {
    "wasserstein1": "Wasserstein-1",
    "bulk_wasserstein1": "Wasserstein-1 of the bulk",
    "ks": "Kolmogorov-Smirnov",
    "zero_mass": "mass near zero",
}
"""Errors that are compared, by their name in the ledger, with the name that is shown."""

TINY: Final = 1e-9
"""Errors up to this are rounding."""


@dataclass(frozen=True)
class CaseRuns:
    """One problem, or one network step over several networks, with every method on it.

    Attributes:
        name: What it is called.
        is_network: Whether it is one, or a matrix made up.
        outlier_reach: Largest distance of an eigenvalue from the mean over the mean distance; of the first draw.
        largest_atom: Largest share of equal eigenvalues; of the first draw.
        errors: Errors by method and metric, shape (repeats,), NaN where there was no density.
        clipped: Mass below zero that was cut off, by method, shape (repeats,).
        escaped: Whether an eigenvalue was found outside the first bounds, by method, shape (repeats,).
        reasons: Why there was no density, by method; each reason once.
        truth: Nodes and weights of the first draw.
        rules: Nodes and weights that each method gave for it at the first repeat, where it gave any.
    """

    name: str
    is_network: bool
    outlier_reach: float
    largest_atom: float
    errors: Mapping[str, Mapping[str, Array]]
    clipped: Mapping[str, Array]
    escaped: Mapping[str, NDArray[np.bool_]]
    reasons: Mapping[str, tuple[str, ...]]
    truth: Arrays
    rules: Mapping[str, Arrays]


@dataclass(frozen=True)
class DensityResults:
    """Everything that was measured.

    Attributes:
        budget: Products of every run.
        methods: Specs, in the order they are shown.
        cases: The problems.
        shown: Names of the cases whose densities are drawn.
    """

    budget: int
    methods: tuple[str, ...]
    cases: tuple[CaseRuns, ...]
    shown: tuple[str, ...]

    @property
    def metrics(self) -> tuple[str, ...]:
        """Metrics that were measured, in the order they are shown."""
        return tuple(name for name in METRICS if all(name in it for case in self.cases for it in case.errors.values()))
