"""Two ledgers compared with each other: did a change make a method need more, or lose accuracy?

Counters and statuses are exact, so one difference is enough. Errors and seconds vary, so they are compared in pairs,
repeat by repeat on the same seed, and judged by the median ratio of at least five pairs.
"""

from __future__ import annotations

import math
import statistics
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, TypeAlias

from hessbench.ledger.grouping import Answer, answers
from hessbench.ledger.record import Kind, Record, Status
from hessbench.reports.writing.escaping import clean
from hessbench.reports.writing.units import count, error, ratio

THRESHOLD: Final = 1.5
LEAST_PAIRS: Final = 5
_RANKS: Final = {Status.OK: 0, Status.OVER_BUDGET: 1, Status.SKIPPED: 2, Status.DIVERGED: 3}
_FAILED: Final = 4
"""Statuses from good to bad; every other one is a failure, none worse than another."""

_COUNTED: Final = (Status.OK, Status.OVER_BUDGET)

PairedSeconds: TypeAlias = tuple[str, list[tuple[float, float]]]


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
    """One difference: what it means, where it is, and the two values."""

    verdict: Verdict
    where: str
    text: str


@dataclass(frozen=True)
class Comparison:
    """What differs between two ledgers, regressions first, and how many cells were compared."""

    lines: tuple[Difference, ...]
    compared: int

    @property
    def is_regression(self) -> bool:
        """Whether anything got worse."""
        return any(line.verdict is Verdict.REGRESSION for line in self.lines)


def compare(old: Sequence[Record], new: Sequence[Record], *, time: bool = False) -> Comparison:
    """Compare the rows of a new ledger with those of an old one.

    Cells are paired by id. A regression is: a status that was ok and is not; more products, calls or
    gradient-equivalents; a cell that was ok and is gone; an answer that had an error and has none; a median ratio of
    errors above 1.5 over at least five repeats of one problem, method, estimand and budget. Errors at or below the
    reference's bound count as the bound. A cell whose problem hash differs is listed and not compared.

    Args:
        old: Rows of the ledger to compare with.
        new: Rows of the ledger to judge.
        time: Judge build + wall seconds by the same rule as errors. Both ledgers must come from one quiet machine.

    Returns:
        The differences.
    """
    before, after = _terminals(old), _terminals(new)
    both = [cell for cell in before if cell in after]
    foreign = {cell for cell in both if not _is_same_problem(before[cell], after[cell])}
    found = [
        Difference(
            Verdict.NOT_COMPARABLE,
            _where(before[cell]),
            f"the problem is another one: hash {_label(before[cell])}, now {_label(after[cell])}",
        )
        for cell in both
        if cell in foreign
    ]
    found += [_missing(row) for cell, row in before.items() if cell not in after]
    found += [
        Difference(Verdict.ADDED, _where(row), f"status {row.status.value}")
        for cell, row in after.items()
        if cell not in before
    ]
    compared = [cell for cell in both if cell not in foreign]
    for cell in compared:
        found += _exact(before[cell], after[cell])
    shared = set(compared)
    lost, errors = _paired_errors(_answers(old, shared), _answers(new, shared), after)
    found += lost + _judge(errors, "error", error)
    if time:
        found += _judge(_paired_seconds(before, after, compared), "build + wall", lambda value: f"{value:.3g} s")
    order = list(Verdict)
    return Comparison(tuple(sorted(found, key=lambda it: (order.index(it.verdict), it.where, it.text))), len(compared))


def to_text(comparison: Comparison) -> str:
    """Write a comparison as plain text: a summary, then one line per difference."""
    numbers = [
        f"{number} {verdict.value}"
        for verdict in Verdict
        if (number := sum(line.verdict is verdict for line in comparison.lines))
    ]
    cells = f"{comparison.compared} cell{'s' * (comparison.compared != 1)} compared"
    head = f"{cells}: {', '.join(numbers) if numbers else 'no difference'}"
    return "\n".join([head, *(clean(f"{line.verdict.value}: {line.where}: {line.text}") for line in comparison.lines)])


def median_ratio(pairs: Iterable[tuple[float, float]]) -> float:
    """Median of new / old; 0 / 0 is 1, and a value from nothing is infinite."""
    return statistics.median(_quotient(new, old) for old, new in pairs)


def _terminals(records: Iterable[Record]) -> dict[str, Record]:
    rows = (row for row in records if row.kind is Kind.TERMINAL)
    return {row.cell: row for row in sorted(rows, key=lambda row: (_where(row), row.cell))}


def _answers(records: Sequence[Record], cells: set[str]) -> dict[tuple[str, str, int], Answer]:
    kept = [row for row in records if row.cell in cells]
    return {(it.row.cell, it.row.estimand, it.row.budget): it for it in answers(kept)}


def _is_same_problem(old: Record, new: Record) -> bool:
    return not old.problem_hash or not new.problem_hash or old.problem_hash == new.problem_hash


def _missing(row: Record) -> Difference:
    if row.status in _COUNTED:
        return Difference(Verdict.REGRESSION, _where(row), f"was {row.status.value}, is missing now")
    return Difference(Verdict.CHANGED, _where(row), f"was {row.status.value}, is missing now")


def _exact(old: Record, new: Record) -> list[Difference]:
    """Statuses and counters of one cell."""
    where = _where(old)
    if old.status is not new.status:
        was, now = _RANKS.get(old.status, _FAILED), _RANKS.get(new.status, _FAILED)
        verdict = Verdict.CHANGED
        if now > was:
            verdict = Verdict.REGRESSION
        elif now < was:
            verdict = Verdict.IMPROVEMENT
        reason = f" ({new.reason})" if new.reason else ""
        return [Difference(verdict, where, f"status was {old.status.value}, is {new.status.value}{reason}")]
    if old.status not in _COUNTED:
        return []
    found: list[Difference] = []
    for name, was, now in (
        ("matvecs", old.matvecs, new.matvecs),
        ("calls", old.calls, new.calls),
        ("gradient-equivalents", old.gradient_equivalents, new.gradient_equivalents),
    ):
        if not math.isclose(was, now, rel_tol=1e-9, abs_tol=1e-12):
            verdict = Verdict.REGRESSION if now > was else Verdict.IMPROVEMENT
            found.append(Difference(verdict, where, f"{name} {count(was)}, now {count(now)}"))
    kinds = sorted({*old.counts, *new.counts})
    changed = [kind for kind in kinds if old.counts.get(kind, 0) != new.counts.get(kind, 0)]
    if changed and not found:
        # The common unit is unchanged, so neither mix of kinds costs more.
        mix = ", ".join(f"{kind} {old.counts.get(kind, 0)}, now {new.counts.get(kind, 0)}" for kind in changed)
        found.append(Difference(Verdict.CHANGED, where, f"products by kind: {mix}"))
    return found


def _paired_errors(
    old: Mapping[tuple[str, str, int], Answer], new: Mapping[tuple[str, str, int], Answer], after: Mapping[str, Record]
) -> tuple[list[Difference], list[PairedSeconds]]:
    lost: list[Difference] = []
    groups: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for place, was in old.items():
        now = new.get(place)
        if was.error is None or after[was.row.cell].status is not was.terminal.status:
            continue  # a change of status is reported as one
        where = _group(was.row)
        if now is None or now.error is None:
            text = f"repeat {was.row.repeat} had error {error(was.error)}, has none now"
            lost.append(Difference(Verdict.REGRESSION, where, text))
            continue
        bound = max(was.row.reference_bound or 0.0, now.row.reference_bound or 0.0)
        groups[where].append((max(was.error, bound), max(now.error, bound)))
    return lost, list(groups.items())


def _paired_seconds(
    before: Mapping[str, Record], after: Mapping[str, Record], cells: Iterable[str]
) -> list[PairedSeconds]:
    groups: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for cell in cells:
        was, now = _seconds(before[cell]), _seconds(after[cell])
        if was is not None and now is not None:
            groups[_group(before[cell])].append((was, now))
    return list(groups.items())


def _seconds(row: Record) -> float | None:
    if row.pass_ != "time" or row.status is not Status.OK or row.build_s is None or row.wall_s is None:
        return None
    return row.build_s + row.wall_s


def _judge(groups: Iterable[PairedSeconds], what: str, write: Callable[[float], str]) -> list[Difference]:
    found: list[Difference] = []
    for where, pairs in groups:
        factor = median_ratio(pairs)
        is_judged = len(pairs) >= LEAST_PAIRS
        if (1 / THRESHOLD <= factor <= THRESHOLD) if is_judged else all(was == now for was, now in pairs):
            continue
        was, now = (write(statistics.median(side)) for side in zip(*pairs, strict=True))
        text = (
            f"{what} {was}, now {now}: median ratio {ratio(factor)} over {len(pairs)} repeat{'s' * (len(pairs) != 1)}"
        )
        verdict = Verdict.REGRESSION if factor > THRESHOLD else Verdict.IMPROVEMENT
        found.append(Difference(verdict if is_judged else Verdict.TOO_FEW, where, text))
    return found


def _quotient(new: float, old: float) -> float:
    if old > 0:
        return new / old
    return math.inf if new > 0 else 1.0


def _label(row: Record) -> str:
    return row.problem_hash[:8] or "none"


def _where(row: Record) -> str:
    what = f"{row.problem} {row.method} {row.estimand}"
    return f"{what} budget {row.budget} repeat {row.repeat} {row.pass_} ({row.cell[:8]})"


def _group(row: Record) -> str:
    return f"{row.problem} {row.method} {row.estimand} budget {row.budget} on {row.device} {row.dtype} {row.threads}"
