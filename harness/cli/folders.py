"""What verbs do with the folder of a run: print its ledger, write its report."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from rich.console import Console

from hessbench.catalog import load_catalog
from hessbench.ledger.claimed_tolerance import default_tolerance
from hessbench.ledger.environment import current_command
from hessbench.ledger.reading import Ledger
from hessbench.reports.answers.text import summary
from hessbench.reports.console import print_ledger
from hessbench.reports.page import render_report

_WITHIN: Final = 0.01
"""The tolerance of the answers at the end of a run."""


def finish(folder: str | Path, console: Console, *, report: bool, plugins: Sequence[str] = ()) -> None:
    """Print what answers within 1 %, then the cost ledger of a run; when asked, write its report and print its path.

    Args:
        folder: Folder of the run.
        console: Where to print.
        report: Whether the report is written.
        plugins: Plugin files whose methods it cites beside those that are registered.

    Raises:
        ValueError: If the folder holds no ledger.
    """
    ledger = Ledger.read(folder)
    print_run(ledger, console)
    if report:
        path = write_report(folder, ledger, plugins=plugins)
        console.print(f"report: {path}", highlight=False, soft_wrap=True)


def print_run(ledger: Ledger, console: Console) -> None:
    """Print what answers within 1 %, then the cost ledger."""
    answers = summary(ledger.answer(within=(_WITHIN,)))
    if answers:
        console.out(answers + "\n", highlight=False)
    print_ledger(ledger.records, console, ledger.prices)


def write_report(
    folder: str | Path, ledger: Ledger, out: str | Path | None = None, plugins: Sequence[str] = ()
) -> Path:
    """Write the report of a ledger; it cites the methods that are registered here or in the plugins.

    Args:
        folder: Folder of the run.
        ledger: Its ledger.
        out: Folder of the report; `report` inside the run's folder by default.
        plugins: Plugin files.

    Returns:
        The page.
    """
    methods = load_catalog(plugins).methods
    citations = {method.name: method.citation for method in methods}
    tolerances = {method.name: value for method in methods if (value := default_tolerance(method.defaults)) is not None}
    target = Path(out) if out else Path(folder) / "report"
    return render_report(ledger, target, current_command(), citations, kept_in=folder, tolerances=tolerances)
