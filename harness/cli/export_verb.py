"""`hessbench export`."""

from __future__ import annotations

from pathlib import Path

import click

from hessbench.ledger.reading import Ledger
from hessbench.reports.export import FORMATS, export


@click.command("export", epilog="Example: hessbench export runs/demo --format csv --out demo.csv")
@click.argument("folder")
@click.option("--format", "format_", type=click.Choice(FORMATS), default="csv", show_default=True)
@click.option("--out", metavar="FILE", help="FOLDER/ledger.FORMAT by default.")
def command(folder: str, format_: str, out: str | None) -> None:
    """Write the rows of a ledger as one table."""
    target = Path(out) if out else Path(folder) / f"ledger.{format_}"
    for known in FORMATS:
        if known == format_:
            click.echo(export(Ledger.read(folder).to_frame(), known, target))
