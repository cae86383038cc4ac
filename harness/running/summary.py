"""What a run did, cell by cell, in one line."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Final

from hessbench.ledger.record import Status
from hessbench.running.progress import by_status

FAILED: Final = frozenset(Status) - {Status.OK, Status.SKIPPED, Status.OVER_BUDGET}


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

    @property
    def text(self) -> str:
        """One line: every cell, by what became of it."""
        return (
            f"{self.planned} cells planned: {self.ran} run ({by_status(self.statuses)}), "
            f"{self.kept} kept, {self.stale} stale, {self.skipped} skipped"
        )

    def add(self, status: Status) -> bool:
        """Count a cell that was run now, and say whether it failed."""
        failed = status in FAILED
        self.ran += 1
        self.failed += failed
        self.statuses[status.value] += 1
        return failed
