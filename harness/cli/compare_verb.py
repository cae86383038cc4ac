"""`hessbench compare`."""

from __future__ import annotations

import sys

import click

from hessbench.ledger.reading import Ledger
from hessbench.reports.compare import FORMATS, THRESHOLD, compare, written


@click.command("compare", epilog="Example: hessbench compare runs/before runs/after --format markdown")
@click.argument("old")
@click.argument("new")
@click.option(
    "--threshold",
    type=float,
    default=THRESHOLD,
    show_default=True,
    help="Factor of an error from which on a difference counts.",
)
@click.option("--format", "form", type=click.Choice(list(FORMATS)), default="text", show_default=True, help="Output.")
def command(old: str, new: str, threshold: float, form: str) -> None:
    """Compare two runs, cell by cell; exit code 1 on a regression.

    Products, statuses, FLOPs and memory are compared as they are. An error equal to rounding is unchanged; changed ones
    are judged one by one where the method draws nothing, and by a paired test over all the method's runs where it does.
    """
    found = compare(Ledger.read(old), Ledger.read(new), threshold=threshold)
    click.echo(written(found, form))
    if found.is_regression:
        sys.exit(1)
