"""Seconds of two checkouts that took turns on one machine, judged by ratios within a turn."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from hessbench.reports.compare.differences import Comparison, Difference, Group, Judgement, Verdict
from hessbench.reports.compare.judging import beyond, in_words
from hessbench.reports.compare.paired_tests import LEAST_RUNS, LEVEL, PairedTest, holm, paired_test

PRODUCTS: Final = "operator_s"
PROCESSOR: Final = "cpu_s"
WHOLE: Final = "seconds"
_LEAST_S: Final = 1e-6


@dataclass(frozen=True)
class TimedPair:
    """One cell run by the old and by the new checkout within one turn; of each pair of values the old one is first.

    Attributes:
        problem: Problem spec.
        method: Method spec.
        estimand: Estimand spec.
        device: Where both ran.
        dtype: In which dtype.
        threads: On how many threads.
        turn: Number of the round, from 1; 0 of one that is thrown away.
        status: How the cell ended; `unknown` where the checkout does not know it.
        reason: Why, where not well.
        seconds: Build and wall.
        operator_s: Seconds inside products.
        cpu_s: Seconds of processors inside products, which other load on the machine hardly moves.
        engine: How products were made.
    """

    problem: str
    method: str
    estimand: str
    device: str
    dtype: str
    threads: int
    turn: int
    status: tuple[str, str]
    reason: tuple[str, str]
    seconds: tuple[float, float]
    operator_s: tuple[float, float]
    cpu_s: tuple[float, float]
    engine: tuple[str, str] = ("", "")

    @property
    def is_timed(self) -> bool:
        """Whether both ended well."""
        return self.status == ("ok", "ok")

    @property
    def where(self) -> str:
        """The cell in words."""
        return f"{self.problem} {self.method} {self.estimand} on {self.device} {self.dtype} {self.threads}"


def compare_seconds(pairs: Sequence[TimedPair], threshold: float) -> Comparison:
    """Judge seconds: those of products by problem, over all methods; build and wall by method, over all problems.

    All by the paired test over rounds that errors are judged by, under one level.

    Args:
        pairs: What was timed.
        threshold: Factor from which on a difference counts, above 1.

    Returns:
        The differences.

    Raises:
        ValueError: If `threshold` is not above 1.
    """
    if not 1 < threshold < math.inf:
        raise ValueError(f"threshold must be above 1 and finite, got {threshold}")
    timed = [pair for pair in pairs if pair.is_timed]
    found = [_ended(pair) for pair in pairs if not pair.is_timed]
    judged = _judged(timed, threshold)
    found += [
        Difference(it.verdict, it.group.text if not it.problem else f"{it.problem} {it.group.text}", in_words(it),
                   it.group.column)
        for it in judged
        if it.verdict is not Verdict.CHANGED
    ]  # fmt: skip
    order = list(Verdict)
    cells = {(pair.problem, pair.method, pair.estimand) for pair in timed}
    lines = tuple(sorted(found, key=lambda it: (order.index(it.verdict), it.where, it.text)))
    return Comparison(lines, len(cells), _engines(timed), tuple(judged), thresholds={WHOLE: threshold})


def _judged(timed: Sequence[TimedPair], threshold: float) -> list[Judgement]:
    tests: list[tuple[Group, str, PairedTest]] = []
    for column in (PRODUCTS, PROCESSOR):
        for problem, logs in _by(timed, lambda pair: pair.problem, column).items():
            rounds = list(logs.values())
            if len(rounds) >= LEAST_RUNS:
                tests.append((_group(timed, "", "", column), problem, paired_test([rounds])))
    names = sorted({(pair.method, pair.estimand) for pair in timed})
    for method, estimand in names:
        mine = [pair for pair in timed if (pair.method, pair.estimand) == (method, estimand)]
        problems = [list(logs.values()) for logs in _by(mine, lambda pair: pair.problem, WHOLE).values()]
        if sum(map(len, problems)) >= LEAST_RUNS:
            tests.append((_group(mine, method, estimand, WHOLE), "", paired_test(problems)))
    adjusted = holm([test.p for _, _, test in tests])
    return [
        Judgement(
            group, problem, test.runs, test.ratio, test.low, test.high, test.p, chance,
            beyond(test.ratio, threshold) if chance <= LEVEL else Verdict.CHANGED,
        )
        for (group, problem, test), chance in zip(tests, adjusted, strict=True)
    ]  # fmt: skip


def _by(pairs: Sequence[TimedPair], key: Callable[[TimedPair], str], column: str) -> dict[str, dict[int, float]]:
    """Mean log ratio of every round, by key."""
    found: dict[str, dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
    for pair in pairs:
        was, now = {PRODUCTS: pair.operator_s, PROCESSOR: pair.cpu_s, WHOLE: pair.seconds}[column]
        found[key(pair)][pair.turn].append(math.log(max(now, _LEAST_S) / max(was, _LEAST_S)))
    return {
        name: {turn: math.fsum(logs) / len(logs) for turn, logs in rounds.items()}
        for name, rounds in sorted(found.items())
    }


def _group(pairs: Sequence[TimedPair], method: str, estimand: str, column: str) -> Group:
    first = pairs[0]
    return Group(method, estimand, estimand, first.device, first.dtype, first.threads, column)


def _engines(timed: Sequence[TimedPair]) -> tuple[str, ...]:
    """Turns in which the two chose different engines, one sentence a problem."""
    found: dict[str, list[str]] = defaultdict(list)
    for pair in timed:
        was, now = (name.split(" ")[0].rstrip(";,:") for name in pair.engine)
        if was != now:
            found[pair.problem].append(f"{was}, now {now}")
    return tuple(
        f"engine of {problem} {' or '.join(sorted(set(said)))} ({len(said)} turns)" for problem, said in found.items()
    )


def _ended(pair: TimedPair) -> Difference:
    was, now = pair.status
    if "unknown" in pair.status:
        which = "old" if was == "unknown" else "new"
        reason = next(filter(None, pair.reason), "")
        return Difference(Verdict.NOT_COMPARABLE, pair.where, f"the {which} checkout cannot run it: {reason}", "status")
    verdict = Verdict.CHANGED if was == now else Verdict.REGRESSION if was == "ok" else Verdict.IMPROVEMENT
    reason = f" ({pair.reason[1]})" if pair.reason[1] else ""
    return Difference(verdict, pair.where, f"status was {was}, is {now}{reason}", "status")
