"""`hessbench report`."""

from __future__ import annotations

import click
from rich.console import Console

from hessbench.cli.folders import print_run, write_report
from hessbench.ledger.reading import Ledger


@click.command("report", epilog="Example: hessbench report runs/demo")
@click.argument("folder")
@click.option("--out", metavar="DIR", help="Where to write it; FOLDER/report by default.")
def command(folder: str, out: str | None) -> None:
    """Write the report of a run: one static folder with the cost ledger, the figures and their data."""
    console = Console()
    ledger = Ledger.read(folder)
    print_run(ledger, console)
    console.print(f"report: {write_report(folder, ledger, out)}", highlight=False, soft_wrap=True)
