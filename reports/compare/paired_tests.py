"""Paired tests of log ratios, and Holm's correction for many of them.

Under fresh randomness a log ratio is the difference of two independent draws of one law, symmetric about 0. Student's
test of it keeps its level, or errs on the careful side, as long as a few runs do not agree by chance. They do where
errors have few sizes, as with an outlier now and then: such a difference lies in a short interval on one side of 0 with
chance up to 1/4 (three values cannot be a step apart in pairs: Motzkin and Straus, Canad. J. Math. 17 (1965) 533-540),
so that n runs agree with chance up to 2 / 4^n. No test here is surer than that, and that of one problem among several
takes the scatter of all.

A test of signs keeps its level whatever the law, but cannot be sure before its sixth run, or before its tenth among
twenty methods: `tests/reports/compare/test_false_alarms.py` bounds how often equals are taken for a change here.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

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
    number = sum(map(len, problems))
    if number < LEAST_RUNS:
        raise ValueError(f"problems needs at least {LEAST_RUNS} ratios, got {number}")
    strata = _strata(problems)
    mean, reach, p = _welch([(1 / len(strata), logs) for logs in strata])
    return PairedTest(number, _exp(mean), _exp(mean - reach), _exp(mean + reach), max(p, _least_chance(number)))


def paired_test_of_one(one: Sequence[float], others: Sequence[Sequence[float]]) -> PairedTest:
    """Test one problem of several: its mean log ratio against its own scatter and against that of all, the less sure.

    Few runs of one problem agree by chance too often for the small share of the level that it has among many; the
    scatter of all problems about their own means tells what such agreement is worth.

    Args:
        one: Log ratios of its independent runs.
        others: Those of the other problems.

    Raises:
        ValueError: If there are fewer than three of its own, or fewer than two of others.
    """
    number = len(one) + sum(map(len, others))
    if number - len(one) < 2:
        raise ValueError("others needs at least 2 ratios: one says nothing of its scatter")
    alone, strata = paired_test([one]), [np.asarray(one, dtype=np.float64), *_strata(others)]
    freedom = sum(len(logs) - 1 for logs in strata)
    variance = math.fsum(float(((logs - logs.mean()) ** 2).sum()) for logs in strata) / freedom
    mean, _, by_own = _welch([(1.0, strata[0])])
    by_all = _chance(mean, math.sqrt(variance / len(one)), freedom)
    return replace(alone, p=max(by_own, by_all, _least_chance(number)))


def _chance(mean: float, stderr: float, freedom: float) -> float:
    """Two-sided chance by Student's law; ratios that agree to rounding differ by no chance that he knows of."""
    from scipy.special import stdtr

    if stderr <= 1e-12 * abs(mean) or stderr == 0:
        return float(mean == 0)
    return 2 * float(stdtr(freedom, -abs(mean) / stderr))


def _least_chance(runs: int) -> float:
    return 2 / 4.0**runs


def _strata(problems: Sequence[Sequence[float]]) -> list[NDArray[np.float64]]:
    """Runs within which the scatter is taken: those of each problem, or all where some problem has a single one."""
    strata = [np.asarray(logs, dtype=np.float64) for logs in problems]
    return strata if min(map(len, strata)) > 1 else [np.concatenate(strata)]


def _welch(strata: Sequence[tuple[float, NDArray[np.float64]]]) -> tuple[float, float, float]:
    """A weighted sum of means, the half width of its interval at 95 %, and the chance of one as far from 0."""
    # Here and not above: a comparison of equal ledgers needs no tests.
    from scipy.special import stdtrit

    mean = math.fsum(weight * float(logs.mean()) for weight, logs in strata)
    variances = [weight**2 * float(logs.var(ddof=1)) / len(logs) for weight, logs in strata]
    stderr = math.sqrt(math.fsum(variances))
    if stderr <= 1e-12 * abs(mean) or stderr == 0:
        return mean, 0.0, _chance(mean, 0.0, 1.0)
    shares = [variance / stderr**2 for variance in variances]
    freedom = 1 / math.fsum(share**2 / (len(logs) - 1) for share, (_, logs) in zip(shares, strata, strict=True))
    return mean, float(stdtrit(freedom, 0.975)) * stderr, _chance(mean, stderr, freedom)


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
