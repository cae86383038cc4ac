"""`hessbench compare`."""

from __future__ import annotations

import sys

import click

from hessbench.ledger.reading import Ledger
from hessbench.reports.compare import compare, to_text


@click.command("compare", epilog="Example: hessbench compare runs/before runs/after --time")
@click.argument("old")
@click.argument("new")
@click.option("--time", is_flag=True, help="Judge times as well, by the median paired ratio.")
def command(old: str, new: str, time: bool) -> None:
    """Compare two runs, cell by cell; exit code 1 on a regression.

    Counts of products and statuses are compared exactly; errors by the median paired ratio over at least 5 repeats.
    """
    found = compare(Ledger.read(old).records, Ledger.read(new).records, time=time)
    click.echo(to_text(found))
    if found.is_regression:
        sys.exit(1)
