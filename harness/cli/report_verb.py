"""`hessbench report`."""

from __future__ import annotations

import webbrowser

import click
from rich.console import Console

from hessbench.cli.folders import print_run, write_report
from hessbench.ledger.reading import Ledger


@click.command("report", epilog="Example: hessbench report runs/demo --open")
@click.argument("folder")
@click.option("--out", metavar="DIR", help="Where to write it; FOLDER/report by default.")
@click.option("--open", "opens", is_flag=True, help="Show it in the browser.")
def command(folder: str, out: str | None, opens: bool) -> None:
    """Write the report of a run: one static folder with the answers, the cost ledger, the figures and their data."""
    console = Console()
    ledger = Ledger.read(folder)
    print_run(ledger, console)
    page = write_report(folder, ledger, out)
    console.print(f"report: {page}", highlight=False, soft_wrap=True)
    if opens and not webbrowser.open(page.resolve().as_uri()):
        click.echo("no browser could be opened here: open the page above by hand", err=True)
