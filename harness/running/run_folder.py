"""The folder of a run: which of its rows stand, and which are written again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from hessbench.cells.cell import Cell
from hessbench.ledger.attempts import best_attempt
from hessbench.ledger.environment import library_version
from hessbench.ledger.reading import LedgerTail
from hessbench.ledger.record import Record, Status
from hessbench.ledger.scoring import append_attempt, scored_since
from hessbench.ledger.stored_references import Truth
from hessbench.ledger.writing import LedgerWriter
from hessbench.running.plan import PlannedCell


class Standing(StrEnum):
    """What a folder holds of a cell: a row that stands, rows of what has changed since, or none that counts."""

    KEPT = "kept"
    STALE = "stale"
    ABSENT = "absent"


@dataclass(frozen=True)
class RunFolder:
    """A folder that rows are read from and written to.

    Attributes:
        path: Where it is.
        tail: Its rows, those of other processes included, as far as they were read.
        writer: Where this process writes.
        retry: Statuses with which a cell is run again.
    """

    path: Path
    tail: LedgerTail
    writer: LedgerWriter
    retry: frozenset[Status] = frozenset()

    def standing(self, planned: PlannedCell, truth: Truth) -> Standing:
        """Whether a cell has a row that stands.

        One that is ok stands whatever the limits; one that a limit ended stands until that limit is raised.
        """
        attempts = [a.terminal for a in self.tail.attempts(planned.cell.id) if a.terminal.status is not Status.SKIPPED]
        current = [row for row in attempts if is_current(row, planned, truth)]
        if not current:
            return Standing.STALE if attempts else Standing.ABSENT
        if any(row.status is Status.OK for row in current):
            return Standing.KEPT
        last = max(current, key=lambda row: (row.attempt, row.time))
        again = last.status in self.retry or has_more_room(
            planned.cell, [r for r in current if r.status is last.status]
        )
        return Standing.ABSENT if again else Standing.KEPT

    def kept_row(self, planned: PlannedCell, truth: Truth) -> Record:
        """The terminal row of a kept cell that stands."""
        attempts = self.tail.attempts(planned.cell.id)
        return best_attempt([attempt for attempt in attempts if is_current(attempt.terminal, planned, truth)]).terminal

    def stand_again(self, planned: PlannedCell, truth: Truth) -> bool:
        """Write a kept cell's rows again where another attempt would be shown, or a reference has come since."""
        attempts = self.tail.attempts(planned.cell.id)
        kept = best_attempt([attempt for attempt in attempts if is_current(attempt.terminal, planned, truth)])
        scored = scored_since(kept, self.path, truth.references)
        if scored == kept and best_attempt(attempts) is kept:
            return False
        append_attempt(self.writer, scored, self.tail.next_attempt(planned.cell.id))
        return True

    def skips(self, row: Record) -> bool:
        """Whether a cell was skipped for the reason of this row before."""
        return row.reason in {attempt.terminal.reason for attempt in self.tail.attempts(row.cell)}


def is_current(row: Record, planned: PlannedCell, truth: Truth) -> bool:
    """Whether a row is of what would run now: the same content of the problem, the same method, the same library.

    A row of a sealed run stands for an unsealed one, and not the other way round.
    """
    method = planned.bound.method
    return (
        row.problem_hash == truth.problem_hash
        and row.method_hash == method.hash
        and row.library_version == library_version(method.library)
        and (row.sealed is True or not planned.sealed)
    )


def has_more_room(cell: Cell, ended: Sequence[Record]) -> bool:
    """Whether the limit that ended every one of these rows, all of one status, is higher now, or there is none."""
    (status,) = {row.status for row in ended}
    if status is Status.TIMEOUT:
        return is_raised([row.timeout_s for row in ended], cell.timeout_s)
    if status is Status.OOM_HOST:
        return is_raised([row.memory_cap_bytes for row in ended], cell.memory_cap_bytes)
    return False


def is_raised(before: Sequence[float | None], now: float | None) -> bool:
    """Whether a limit is above each of those before; None is no limit."""
    return all(limit is not None and (now is None or now > limit) for limit in before)
