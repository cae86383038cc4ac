"""What verbs do with the folder of a run: print its ledger, write its report."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from hessbench.environment import current_command
from hessbench.ledger import Ledger
from hessbench.reports.console import print_ledger
from hessbench.reports.page import render_report


def finish(folder: str | Path, console: Console, *, report: bool) -> None:
    """Print the cost ledger of a run and, when asked, write its report and print its path.

    Raises:
        ValueError: If the folder holds no ledger.
    """
    ledger = Ledger.read(folder)
    print_ledger(ledger.records, console)
    if report:
        path = write_report(folder, ledger)
        console.print(f"report: {path}", highlight=False, soft_wrap=True)


def write_report(folder: str | Path, ledger: Ledger, out: str | Path | None = None) -> Path:
    """Write the report of a ledger; by default into `report` inside the run's folder."""
    return render_report(ledger, Path(out) if out else Path(folder) / "report", current_command())
