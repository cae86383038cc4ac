"""One row for each answer of a ledger: what was asked of a cell at one budget, with its error and what it cost."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Sequence

from hessbench.ledger.costs import MEMORY_PASS
from hessbench.ledger.grouping import Answer, answers
from hessbench.ledger.record import Kind, Record, Status


def answer_rows(records: Sequence[Record], cells: Collection[str] | None = None) -> tuple[Record, ...]:
    """One row for each repeat and budget of what a cell was asked, in the order of problem, method and budget.

    A row is the checkpoint, with the build; that of a cell's largest budget is of the kind `terminal` and says how the
    cell ended. The peaks and FLOPs are those that the memory pass took at that budget. A skipped cell has its one row.

    Args:
        records: Rows of a ledger.
        cells: Ids of the cells that count; all by default.

    Returns:
        Rows of the time pass.
    """
    chosen = [row for row in records if cells is None or row.cell in cells]
    peaks = {_place(row): row for row in chosen if row.pass_ == "memory" and row.kind is Kind.TERMINAL}
    found = [_row(answer, peaks.get(_place(answer.row))) for answer in answers(chosen) if _is_asked(answer)]
    skipped = [row for row in chosen if row.status is Status.SKIPPED and row.kind is Kind.TERMINAL]
    return (*found, *skipped)


def _is_asked(answer: Answer) -> bool:
    return answer.row.estimand == answer.terminal.estimand


def _place(row: Record) -> tuple[str, str, str, int]:
    return row.problem, row.method, row.estimand, row.budget


def _row(answer: Answer, memory: Record | None) -> Record:
    """The row of an answer, with what its terminal row and the memory pass say of it."""
    row, terminal = answer.row, answer.terminal
    row = dataclasses.replace(
        row,
        build_s=answer.build_s,
        warmup_s=terminal.warmup_s if row.warmup_s is None else row.warmup_s,
        engine=row.engine or terminal.engine,
    )
    if row.budget == terminal.budget:
        notes = {**row.notes, **terminal.notes}
        row = dataclasses.replace(row, kind=Kind.TERMINAL, status=terminal.status, reason=terminal.reason, notes=notes)
    if memory is None:
        return row
    taken = {name: getattr(memory, name) for name in MEMORY_PASS if getattr(row, name) is None}
    notes = {name: says for name, says in row.notes.items() if name not in taken}
    return dataclasses.replace(row, notes=notes, **taken)
