"""`hessbench rescore`."""

from __future__ import annotations

import click

from hessbench.ledger.scoring import rescore


@click.command("rescore", epilog="Example: hessbench rescore runs/demo")
@click.argument("folder")
def command(folder: str) -> None:
    """Score the kept estimates of a run again, without computing any; rows that change are appended."""
    done, left = rescore(folder)
    click.echo(f"{done} estimates scored again; {left} left as they were for want of arrays or a reference")
