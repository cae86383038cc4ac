"""What a run did, cell by cell, in one line."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from itertools import groupby
from typing import Final

from hessbench.ledger.record import Record, Status
from hessbench.running.progress import by_status

FAILED: Final = frozenset(Status) - {Status.OK, Status.SKIPPED, Status.OVER_BUDGET}


@dataclass(frozen=True)
class FailedCell:
    """A cell that did not end well: which, and its status with the reason."""

    what: str
    why: str

    @classmethod
    def of(cls, terminal: Record) -> FailedCell:
        """That of a terminal row."""
        what = f"{terminal.estimand} of {terminal.problem} by {terminal.method}, cell {terminal.cell[:8]}"
        return cls(what, f"{terminal.status}: {terminal.reason}")


@dataclass
class Summary:
    """What a run did.

    Attributes:
        planned: Cells of the plan.
        ran: Cells run now.
        skipped: Cells that cannot run.
        kept: Cells that were there already.
        stale: Cells run again because a problem, method or library had changed.
        failed: Cells run now that did not end well.
        failures: Every cell of the plan that did not end well, now or when its kept row was written, with the reason.
        reasons: Why cells are skipped, each reason with its number of cells.
        missing: Why there is no reference, by estimand and problem; rows are without an error there.
        statuses: How the cells run now ended, each status with its number of cells.
    """

    planned: int = 0
    ran: int = 0
    skipped: int = 0
    kept: int = 0
    stale: int = 0
    failed: int = 0
    reasons: dict[str, int] = field(default_factory=dict[str, int])
    missing: dict[str, str] = field(default_factory=dict[str, str])
    statuses: Counter[str] = field(default_factory=Counter[str])
    failures: list[FailedCell] = field(default_factory=list[FailedCell])

    @property
    def text(self) -> str:
        """One line: every cell, by what became of it."""
        return (
            f"{self.planned} cells planned: {self.ran} run ({by_status(self.statuses)}), "
            f"{self.kept} kept, {self.stale} stale, {self.skipped} skipped"
        )

    def add(self, terminal: Record) -> bool:
        """Count a cell that was run now, by its terminal row, and say whether it failed."""
        failed = self._note(terminal)
        self.ran += 1
        self.failed += failed
        self.statuses[terminal.status.value] += 1
        return failed

    def keep(self, terminal: Record) -> None:
        """Count a cell that was there already."""
        self._note(terminal)
        self.kept += 1

    def _note(self, terminal: Record) -> bool:
        if terminal.status not in FAILED:
            return False
        self.failures.append(FailedCell.of(terminal))
        return True

    @property
    def failure_lines(self) -> list[str]:
        """Why cells failed, each reason once, with the first cell that ended so and the number of the others."""
        lines: list[str] = []
        for why, alike in groupby(sorted(self.failures, key=lambda it: it.why), lambda it: it.why):
            first, *others = alike
            beside = f" and {len(others)} more" if others else ""
            lines.append(f"failed ({1 + len(others)}): {why}; {first.what}{beside}")
        return lines
