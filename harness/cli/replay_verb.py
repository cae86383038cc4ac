"""`hessbench replay`."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from hessbench.catalog import load_catalog
from hessbench.ledger.compressed import SUFFIX
from hessbench.ledger.reading import Ledger
from hessbench.ledger.record import Kind, Status
from hessbench.running.progress import reporter
from hessbench.running.replay import cell_of, checkpoint_line, differences, find_cell, replay


@click.command("replay", epilog="Example: hessbench replay runs/demo 3f9c2a7b")
@click.argument("folder")
@click.argument("cell")
@click.option("--plugin", "plugins", multiple=True, metavar="FILE", help="Python file with METHODS or PROBLEMS.")
def command(folder: str, cell: str, plugins: tuple[str, ...]) -> None:
    """Run one cell of a ledger again, by its id or the first digits of it, and compare; exit code 1 if it differs.

    FOLDER is that of a run, or a published ledger or one of its files of rows. Counters must agree exactly, the error
    within a factor of 1.5; times and peaks are shown.
    """
    if folder.endswith(SUFFIX):
        folder = str(Path(folder).parent)
    ledger = Ledger.read(folder)
    before = find_cell(ledger, cell)
    if before.status is Status.SKIPPED:
        raise ValueError(f"cell {before.cell} was skipped: {before.reason}; a cell that ran is accepted")
    kept = [row for row in ledger.records if row.cell == before.cell and row.kind is Kind.CHECKPOINT]
    also = sorted({row.estimand for row in kept if row.error is not None} - {before.estimand})
    with tempfile.TemporaryDirectory() as scratch:
        catalog, log = load_catalog(plugins), reporter(Console(stderr=True))
        *now, after = replay(folder, cell_of(before), catalog, plugins, scratch, also=also, reporter=log)
    console = Console()
    console.print(
        f"{before.problem}  {before.method}  {before.estimand}  repeat {before.repeat}", markup=False, highlight=False
    )
    table = Table(box=None, pad_edge=False)
    for head in ("quantity", "before", "now", ""):
        table.add_column(head)
    lines = [*differences(before, after), checkpoint_line(kept, now)]
    for line in lines:
        verdict = {True: "agrees", False: "DIFFERS", None: ""}[line.agrees]
        table.add_row(*map(Text, (line.what, line.before, line.after, verdict)))
    console.print(table)
    if any(line.agrees is False for line in lines):
        sys.exit(1)
