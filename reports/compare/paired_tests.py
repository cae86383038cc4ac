"""Paired tests of log ratios, and Holm's correction for many of them.

Under fresh randomness the log ratio of two errors is symmetric about 0, whatever their distribution: there Student's
test keeps its level or errs on the careful side, and unlike a test of signs it can be sure after five runs.
`tests/reports/compare/test_false_alarms.py` bounds how often equals are taken for a change.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

LEAST_RUNS: Final = 3
"""Runs below which nothing is judged."""

LEVEL: Final = 0.05
"""Chance, over a whole comparison, of calling any method worse or better where none is."""


@dataclass(frozen=True)
class PairedTest:
    """A mean of log ratios, tested against 0.

    Attributes:
        runs: Number of ratios.
        ratio: Their geometric mean.
        low: Lower end of its interval at 95 %.
        high: Upper end.
        p: Two-sided chance of a mean as far from 0.
    """

    runs: int
    ratio: float
    low: float
    high: float
    p: float


def paired_test(problems: Sequence[Sequence[float]]) -> PairedTest:
    """Test the mean over problems of their mean log ratios, by Student's test with Welch's degrees of freedom.

    Runs of one problem are compared with each other, so that a change of one problem alone is no scatter. Where some
    problem has a single run, all of them are taken together.

    Args:
        problems: Log ratios of independent runs, by problem.

    Raises:
        ValueError: If there are fewer than three in all.
    """
    # Here and not above: a comparison of equal ledgers needs no tests.
    from scipy.special import stdtr, stdtrit

    number = sum(map(len, problems))
    if number < LEAST_RUNS:
        raise ValueError(f"problems needs at least {LEAST_RUNS} ratios, got {number}")
    strata = [np.asarray(logs, dtype=float) for logs in problems]
    if min(map(len, strata)) < 2:
        strata = [np.concatenate(strata)]
    mean = float(np.mean([logs.mean() for logs in strata]))
    variances = [float(logs.var(ddof=1)) / len(logs) / len(strata) ** 2 for logs in strata]
    stderr = math.sqrt(math.fsum(variances))
    # Ratios that agree to rounding differ by no chance at all.
    if stderr <= 1e-12 * abs(mean) or stderr == 0:
        return PairedTest(number, _exp(mean), _exp(mean), _exp(mean), float(mean == 0))
    shares = [variance / stderr**2 for variance in variances]
    freedom = 1 / math.fsum(share**2 / (len(logs) - 1) for share, logs in zip(shares, strata, strict=True))
    reach = float(stdtrit(freedom, 0.975)) * stderr
    p = 2 * float(stdtr(freedom, -abs(mean) / stderr))
    return PairedTest(number, _exp(mean), _exp(mean - reach), _exp(mean + reach), p)


def holm(chances: Sequence[float], weights: Sequence[float] | None = None) -> list[float]:
    """Chances after Holm's correction: each at most `LEVEL` with all true hypotheses held at that level together.

    Args:
        chances: Of each hypothesis.
        weights: Its share of the level; equal ones by default (Holm, Scand. J. Statist. 6 (1979) 65-70, section 4).
    """
    shares = [1.0] * len(chances) if weights is None else list(weights)
    order = sorted(range(len(chances)), key=lambda at: chances[at] / shares[at])
    adjusted, highest, left = [1.0] * len(chances), 0.0, sum(shares)
    for at in order:
        highest = max(highest, min(1.0, chances[at] / shares[at] * left))
        adjusted[at] = highest
        left -= shares[at]
    return adjusted


def _exp(value: float) -> float:
    return math.exp(min(value, 700.0))
