"""The comparison of two ledgers: cells paired by id, each column by the rule that fits what it holds.

Statuses, counts and FLOPs are exact, so one difference is enough; peaks of memory are nearly so. Errors are compared on
the same seed. Where the conditions are alike the same bits come of it, and what differs has changed; where they are
not, only a paired test can tell a change from other rounding or other draws. Seconds of two ledgers are not compared:
the load of the machine between two runs moves them more than most changes do.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from hessbench.ledger.reading import Ledger
from hessbench.ledger.record import Kind, Record
from hessbench.reports.compare.differences import ERROR, Comparison, Difference, Verdict
from hessbench.reports.compare.exact_columns import (
    FLOPS_THRESHOLD,
    MEMORY_THRESHOLD,
    exact_differences,
    missing,
    where_of,
)
from hessbench.reports.compare.judging import judge
from hessbench.reports.compare.paired_answers import paired
from hessbench.reports.compare.unlike import Environments, unlike_conditions
from hessbench.reports.writing.units import error

THRESHOLD: Final = 1.25
"""Factor of an error from which on a difference counts."""

Rows = Ledger | Sequence[Record]


def compare(old: Rows, new: Rows, *, threshold: float = THRESHOLD) -> Comparison:
    """Compare a new ledger with an old one.

    Cells are paired by id. A regression is: a status that was ok and is not; more products, calls,
    gradient-equivalents, FLOPs (1 %) or memory at the peak (10 % and 4 MiB); a cell that was ok and is gone; an answer
    that had an error and has none; a larger error. Errors at or below the reference's bound count as the bound, and
    those that are equal to rounding as unchanged. Of the others, those without randomness are judged one by one: beyond
    the threshold is a regression. Random ones are changed, and a regression where a paired test over all the method's
    changed runs for an estimand says so at 5 % in all, Holm's correction made, and their geometric mean ratio is beyond
    the threshold; a problem alone may say so too. The standard error that a method claims is judged likewise, since it
    tells a loss of accuracy that five errors cannot. An answer from a run made for another estimand is judged apart.

    Args:
        old: The ledger to compare with, or its rows.
        new: The ledger to judge, or its rows.
        threshold: Factor of an error from which on a difference counts, above 1.

    Returns:
        The differences.

    Cost:
        Linear in the rows.

    Raises:
        ValueError: If `threshold` is not above 1.
    """
    if not 1 < threshold < float("inf"):
        raise ValueError(f"threshold must be above 1 and finite, got {threshold}")
    then, now = _records(old), _records(new)
    before, after = _terminals(then), _terminals(now)
    both = [cell for cell in before if cell in after]
    foreign = {cell for cell in both if not _is_same_problem(before[cell], after[cell])}
    cells = [cell for cell in both if cell not in foreign]
    environments = _environments(old), _environments(new)
    found = [_foreign(before[cell], after[cell]) for cell in both if cell in foreign]
    found += [missing(row) for cell, row in before.items() if cell not in after]
    found += [
        Difference(Verdict.ADDED, where_of(row), f"status {row.status.value}", "status")
        for cell, row in after.items()
        if cell not in before
    ]
    for cell in cells:
        found += exact_differences(before[cell], after[cell])
    pairs, lost, answers = paired(then, now, set(cells), *environments)
    for answer, group in lost:
        row = answer.row
        text = f"repeat {row.repeat} had error {error(answer.error or 0.0)}, has none now"
        where = f"{row.problem} {group} budget {row.budget}"
        found.append(Difference(Verdict.REGRESSION, where, text, "error"))
    lines, judged = judge(pairs, threshold)
    order = list(Verdict)
    return Comparison(
        tuple(sorted([*found, *lines], key=lambda it: (order.index(it.verdict), it.where, it.text))),
        len(cells),
        tuple(unlike_conditions(((before[cell], after[cell]) for cell in cells), *environments)),
        tuple(judged),
        sum(pair.is_unchanged for pair in pairs if pair.group.column == ERROR),
        answers,
        {"error": threshold, "flops": FLOPS_THRESHOLD, "peak_bytes": MEMORY_THRESHOLD},
    )


def _records(ledger: Rows) -> Sequence[Record]:
    return ledger.records if isinstance(ledger, Ledger) else ledger


def _environments(ledger: Rows) -> Environments:
    return ledger.environments if isinstance(ledger, Ledger) else {}


def _terminals(records: Iterable[Record]) -> Mapping[str, Record]:
    rows = (row for row in records if row.kind is Kind.TERMINAL)
    return {row.cell: row for row in sorted(rows, key=lambda row: (where_of(row), row.cell))}


def _is_same_problem(old: Record, new: Record) -> bool:
    return not old.problem_hash or not new.problem_hash or old.problem_hash == new.problem_hash


def _foreign(old: Record, new: Record) -> Difference:
    text = f"the problem is another one: hash {_label(old)}, now {_label(new)}"
    return Difference(Verdict.NOT_COMPARABLE, where_of(old), text, "problem_hash")


def _label(row: Record) -> str:
    return row.problem_hash[:8] or "none"
