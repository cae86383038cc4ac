"""What methods answered, as it is kept: densities, first eigenvalues and traces, with how they came about."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from hessbench.estimand import Array
from hessbench.reports.spectra.measure import Measure


@dataclass(frozen=True)
class Spent:
    """How an answer came about.

    Attributes:
        method: Name to show.
        spec: Spec of the method.
        matvecs: Products that it spent, the most of its repeats.
        error: Median of the primary errors of its repeats; None where there is none.
        repeats: How many repeats are read.
        diagnostics: What the method says of its first repeat.
        stderrs: Standard errors that it claims, by repeat.
    """

    method: str
    spec: str
    matvecs: int
    error: float | None
    repeats: int
    diagnostics: Mapping[str, Any] = field(default_factory=dict[str, Any])
    stderrs: tuple[float | None, ...] = ()


@dataclass(frozen=True)
class DensityAnswer:
    """A method's density: one measure a repeat, and their mean."""

    spent: Spent
    measures: tuple[Measure, ...]
    mean: Measure

    @property
    def steps(self) -> int:
        """Steps of a start: nodes of one quadrature, or half the moments of a series; at least 1."""
        said = self.spent.diagnostics
        moments, starts = whole_number(said.get("moments")), whole_number(said.get("starts"))
        if moments:
            return max(1, moments // 2)
        return max(1, round(self.measures[0].nodes.size / max(1, starts)))


@dataclass(frozen=True)
class ValuesAnswer:
    """A method's first eigenvalues: those of its first repeat with what is said of them, and those of the others.

    Attributes:
        spent: How it came about.
        which: Their order.
        values: In that order, shape (k,).
        residuals: Norms |A y - theta y| of each, by the method itself, shape (k,); None where it does not say.
        worst: The largest of them where only that is said.
        dtype: What it was computed in.
        others: Values of the other repeats, in that order, each of any length.
    """

    spent: Spent
    which: str
    values: Array
    residuals: Array | None
    worst: float | None
    dtype: str
    others: tuple[Array, ...] = ()

    @property
    def spread(self) -> tuple[Array, Array]:
        """Least and largest magnitude at each rank over all repeats, as far as each goes, shape (k,) each."""
        least = np.abs(self.values)
        most = least.copy()
        for other in self.others:
            sizes = np.abs(other[: least.size])
            least[: sizes.size] = np.minimum(least[: sizes.size], sizes)
            most[: sizes.size] = np.maximum(most[: sizes.size], sizes)
        return least, most


@dataclass(frozen=True)
class TraceAnswer:
    """A method's traces, one a repeat."""

    spent: Spent
    values: Array


def whole_number(value: object) -> int:
    """A number of 1 or more, as a whole one; 0 for anything else."""
    return int(value) if isinstance(value, int | float) and not isinstance(value, bool) and value >= 1 else 0
