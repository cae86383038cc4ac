"""Which error bars can be believed, by a rule that was written before the first run.

A case is a problem and a level, 68 or 95 %, of a method, a kind of interval and a number of probes. A case is short
where the exact (Clopper-Pearson) 99.9 % interval of its coverage lies below the level. The answer for a method, a kind
and a number of probes is

- yes, where no case is short;
- nearly, where one is, but coverage is at least 58 and 85 % on every problem;
- no, otherwise.

Yes and nearly are called wide where the median over the problems of the width over the true error exceeds 1.5: root
mean square of the half width at 68 %, over that of the error. A problem on which every interval and error is rounding
is exact, and no case. The bound of 99.9 % leaves a set of some twenty cases that are all true a chance of about 1 % to
have one called short.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.stats import beta

from hessbench.estimand.base import Array
from hessbench.reports.calibration.results import LEVELS, CalibrationCell

CONFIDENCE: Final = 0.999
NEARLY: Final = (0.58, 0.85)
WIDE: Final = 1.5
ROUNDING: Final = 1e-11
"""Share of the sum of the absolute eigenvalues below which an error is rounding."""

KINDS: Final = ("claimed", "corrected")
"""The formula of the source with the normal quantile, and what the estimate stands for now."""


@dataclass(frozen=True)
class Coverage:
    """How often an interval held the truth.

    Attributes:
        share: Share of the seeds.
        low: Lower end of the exact interval of the coverage.
        high: Upper end.
    """

    share: float
    low: float
    high: float


@dataclass(frozen=True)
class CellCoverage:
    """One kind of interval in one cell: coverage at each level, and width over the true error; None where exact."""

    cell: CalibrationCell
    kind: str
    coverage: tuple[Coverage, ...]
    ratio: float | None

    @property
    def is_short(self) -> bool:
        """Whether coverage is shown to be below a level."""
        return any(found.high < level for found, level in zip(self.coverage, LEVELS, strict=True))


@dataclass(frozen=True)
class Believed:
    """The answer for a method, a kind of interval and a number of probes.

    Attributes:
        method: Its spec.
        probes: Number of probes.
        kind: Of `KINDS`.
        answer: yes, nearly, no, with "wide" where it is; exact where nothing but rounding was left.
        worst: Least coverage of the 95 % interval over the problems, and on which; None where exact.
        worst_problem: That problem.
        ratio: Median of the width over the true error; None where exact.
        short: Number of short problems.
        problems: Number of problems that were no rounding.
    """

    method: str
    probes: int
    kind: str
    answer: str
    worst: float | None
    worst_problem: str
    ratio: float | None
    short: int
    problems: int


def exact_interval(hits: int, number: int, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Clopper and Pearson's interval of a probability from so many hits of a number of trials."""
    tail = (1 - confidence) / 2
    low = float(beta.ppf(tail, hits, number - hits + 1)) if hits else 0.0
    high = float(beta.ppf(1 - tail, hits + 1, number - hits)) if hits < number else 1.0
    return low, high


def coverage_of(cell: CalibrationCell, kind: str) -> CellCoverage:
    """Coverage and width of one kind of interval in a cell; differences that are rounding count as held."""
    widths: Array = getattr(cell, kind)
    floor = ROUNDING * cell.scale
    found: list[Coverage] = []
    for row in widths:
        held = np.abs(cell.errors) <= row + floor
        low, high = exact_interval(int(held.sum()), held.size)
        found.append(Coverage(float(held.mean()), low, high))
    size = float(np.sqrt(np.mean(cell.errors**2)))
    ratio = None if size <= floor else float(np.sqrt(np.mean(widths[0] ** 2))) / size
    return CellCoverage(cell, kind, tuple(found), ratio)


def judge(cells: Sequence[CellCoverage]) -> Believed:
    """The answer from all problems of one method, kind and number of probes."""
    first = cells[0]
    real = [found for found in cells if found.ratio is not None]
    if not real:
        return Believed(first.cell.method, first.cell.probes, first.kind, "exact", None, "", None, 0, 0)
    short = sum(found.is_short for found in real)
    near = all(c.share >= least for found in real for c, least in zip(found.coverage, NEARLY, strict=True))
    answer = "yes" if not short else "nearly" if near else "no"
    ratio = float(np.median([found.ratio for found in real if found.ratio is not None]))
    worst = min(real, key=lambda found: found.coverage[-1].share)
    return Believed(
        first.cell.method, first.cell.probes, first.kind,
        f"{answer}, wide" if answer != "no" and ratio > WIDE else answer,
        worst.coverage[-1].share, worst.cell.problem, ratio, short, len(real),
    )  # fmt: skip


def all_coverage(cells: Sequence[CalibrationCell]) -> list[CellCoverage]:
    """Coverage of every cell and kind."""
    return [coverage_of(cell, kind) for cell in cells for kind in KINDS]


def all_trust(found: Sequence[CellCoverage]) -> list[Believed]:
    """The answers, in the order of methods, probes and kinds."""
    groups: dict[tuple[str, int, str], list[CellCoverage]] = {}
    for one in found:
        groups.setdefault((one.cell.method, one.cell.probes, one.kind), []).append(one)
    return [judge(group) for group in groups.values()]
