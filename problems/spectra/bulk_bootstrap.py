"""Which gaps between eigenvalues are wider than a bulk without outliers has by chance: a parametric bootstrap."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from hessbench.estimand.base import Array
from hessbench.problems.spectra.power_tail import LEAST, fit_lognormal_tail

_KEPT: Final = 5
"""Times as many population values as gaps are looked at: those further down do not move the gaps at the top."""


@dataclass(frozen=True)
class GapCount:
    """Gaps of a spectrum beside those of bulks.

    Attributes:
        ratios: lambda_k / lambda_(k+1) for k from the first place to the last.
        largest: The largest such ratio of every bulk, (draws,).
        count: How many of the ratios are above the largest of all bulks.
    """

    ratios: Array
    largest: Array
    count: int


def gap_ratios(eigenvalues: Array, first: int, last: int) -> Array:
    """lambda_k / lambda_(k+1) for k = first..last, the eigenvalues in descending order, k counted from 1.

    Args:
        eigenvalues: Any order, more than `last` of them.
        first: At least 1.
        last: Down to a positive lambda_(last + 1).

    Raises:
        ValueError: If there are too few positive eigenvalues.
    """
    x = np.sort(eigenvalues)[::-1]
    if not 1 <= first <= last < x.size or x[last] <= 0:
        raise ValueError(f"the first {last + 1} eigenvalues must be positive, got {int((x > 0).sum())} that are")
    return x[first - 1 : last] / x[first : last + 1]


def count_gaps(
    eigenvalues: Array, samples: int, *, last: int, first: int = 2, draws: int = 200, seed: int = 0
) -> GapCount:
    """Count the gaps among the first eigenvalues that a bulk alone would not have.

    The bulk is what is left from place last + 1 on. A lognormal law, cut off at its median, is fitted to its upper
    half; its quantiles, at as many places as there are values, are the eigenvalues of a population, from which
    covariance matrices of `samples` normal rows are drawn.

    Args:
        eigenvalues: Positive, of a matrix that is a mean of outer products, any order.
        samples: Rows the matrix is made of, at least 2.
        last: Last place looked at; with C classes 3 C.
        first: First place.
        draws: Bulks.
        seed: Of the draws.

    Raises:
        ValueError: If an argument is out of range, or the bulk has too few values.
    """
    if samples < 2 or draws < 1:
        raise ValueError(f"samples must be at least 2 and draws at least 1, got {samples} and {draws}")
    x = np.sort(eigenvalues)[::-1]
    bulk = x[last:]
    upper = bulk[bulk >= np.median(bulk)] if bulk.size else bulk
    if upper.size < LEAST or upper[-1] <= 0:
        raise ValueError(f"a bulk takes at least {LEAST} positive values above its median, got {upper.size}")
    law = fit_lognormal_tail(upper, float(upper[-1]))
    kept = min(upper.size, _KEPT * last)
    population = law.quantiles((np.arange(kept) + 0.5) / upper.size)
    rng = np.random.default_rng(seed)
    largest = np.empty(draws)
    for draw in range(draws):
        rows = rng.standard_normal((samples, kept)) * np.sqrt(population)
        gram = rows.T @ rows if samples >= kept else rows @ rows.T
        found = np.asarray(np.linalg.eigvalsh(gram), dtype=np.float64)
        reach = min(last, found.size - 1)
        largest[draw] = gap_ratios(found, first, reach).max() if reach >= first else 1.0
    ratios = gap_ratios(x, first, last)
    return GapCount(ratios, largest, int((ratios > largest.max()).sum()))
