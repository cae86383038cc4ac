"""What a comparison finds: differences, judgements of whole methods, and the conditions that are not alike."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, NamedTuple

ERROR: Final = "error"
CLAIMED: Final = "said_stderr"
_WORDS: Final = {
    ERROR: "error",
    CLAIMED: "claimed standard error",
    "operator_s": "seconds in products",
    "cpu_s": "seconds of processors in products",
    "seconds": "build + wall",
}


class Verdict(StrEnum):
    """What a difference means."""

    REGRESSION = "regression"
    IMPROVEMENT = "improvement"
    CHANGED = "changed"
    NOT_COMPARABLE = "not comparable"
    TOO_FEW = "too few repeats to judge"
    ADDED = "only in the new ledger"


@dataclass(frozen=True)
class Difference:
    """One difference: what it means, where it is, the two values in words, and the column they are of."""

    verdict: Verdict
    where: str
    text: str
    column: str = ""


class Group(NamedTuple):
    """What is judged together: one column of a method's answers for one estimand, from runs made for one."""

    method: str
    estimand: str
    source: str
    device: str
    dtype: str
    threads: int
    column: str

    @property
    def text(self) -> str:
        """The group in words."""
        what = f"{self.method} {answered(self.estimand, self.source)}" if self.method else "all methods"
        return f"{what} on {self.device} {self.dtype} {self.threads}"

    @property
    def what(self) -> str:
        """The column in words."""
        return _WORDS[self.column]


def answered(estimand: str, source: str) -> str:
    """An estimand, and the run that it comes from where that was made for another."""
    return estimand if estimand == source else f"{estimand} from its {source} run"


@dataclass(frozen=True)
class Judgement:
    """What changed of a method's answers for one estimand, judged together by a paired test.

    Attributes:
        group: The method, the estimand, the run they are from and the column.
        problem: The one problem it is about; empty where it is about all of them.
        runs: Changed runs: repeats of a problem, their budgets put together.
        ratio: Geometric mean of new over old error.
        low: Lower end of its interval at 95 %, for this method alone.
        high: Upper end.
        p: Chance of a ratio as far from 1 where nothing got worse or better.
        adjusted: The same after Holm's correction for everything that was judged.
        verdict: What follows.
    """

    group: Group
    problem: str
    runs: int
    ratio: float
    low: float
    high: float
    p: float
    adjusted: float
    verdict: Verdict


@dataclass(frozen=True)
class Comparison:
    """What differs between two ledgers.

    Attributes:
        lines: The differences, regressions first.
        compared: Number of cells that were compared.
        conditions: Conditions that are not alike, one a sentence.
        judged: Every paired test, by method and estimand.
        unchanged: Number of answers that are equal to rounding.
        answers: Number of answers that have an error in both ledgers.
        thresholds: The factors from which on a difference counts, by column.
    """

    lines: tuple[Difference, ...]
    compared: int
    conditions: tuple[str, ...] = ()
    judged: tuple[Judgement, ...] = ()
    unchanged: int = 0
    answers: int = 0
    thresholds: Mapping[str, float] = field(default_factory=dict[str, float])

    @property
    def is_regression(self) -> bool:
        """Whether anything got worse."""
        return any(line.verdict is Verdict.REGRESSION for line in self.lines)

    def count(self, verdict: Verdict) -> int:
        """Number of differences of one verdict."""
        return sum(line.verdict is verdict for line in self.lines)
