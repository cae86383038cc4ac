"""`hessbench merge`."""

from __future__ import annotations

import shlex

import click

from hessbench.ledger.merging import merge
from hessbench.ledger.reading import Ledger


@click.command("merge", epilog="Example: hessbench merge runs/shard1 runs/shard2 --out runs/whole")
@click.argument("folders", nargs=-1, required=True)
@click.option("--out", required=True, metavar="DIR", help="Folder of the merged run.")
def command(folders: tuple[str, ...], out: str) -> None:
    """Put the ledgers of several runs, such as shards, into one folder; the sources stay as they are."""
    files = merge(folders, out)
    click.echo(f"{files} ledger files, {len(Ledger.read(out).terminals)} cells in {out}")
    click.echo(f"next: hessbench report {shlex.quote(out)}")
