"""`hessbench compare`."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from hessbench.reports.compare import FORMATS, THRESHOLD, Comparison, compare, compare_seconds, written

_SECONDS = (
    "seconds of two ledgers are not compared, since the machine's load between two runs moves them more than a change "
    "does: compare --interleaved OLD NEW times two checkouts in turns"
)


@click.command("compare", epilog="Example: hessbench compare runs/before runs/after --format markdown")
@click.argument("old")
@click.argument("new")
@click.option(
    "--threshold",
    type=float,
    default=THRESHOLD,
    show_default=True,
    help="Factor of an error, or of seconds, from which on a difference counts.",
)
@click.option("--format", "form", type=click.Choice(list(FORMATS)), default="text", show_default=True, help="Output.")
@click.option(
    "--interleaved", is_flag=True, help="OLD and NEW are checkouts; time the cells of a suite by both in turns."
)
@click.option("--suite", metavar="SUITE", help="With --interleaved: its cells; quick by default.")
@click.option("--rounds", type=int, help="With --interleaved: turns of every cell; 5 by default.")
@click.option("--time", is_flag=True, hidden=True)
def command(
    old: str,
    new: str,
    *,
    threshold: float,
    form: str,
    interleaved: bool,
    suite: str | None,
    rounds: int | None,
    time: bool,
) -> None:
    """Compare two runs, cell by cell; exit code 1 on a regression.

    Products, statuses, FLOPs and memory are compared as they are. An error equal to rounding is unchanged; changed ones
    are judged one by one where the method draws nothing, and by a paired test over all the method's runs where it does.
    Seconds are compared only with --interleaved, for which OLD and NEW are two checkouts of hessbench.
    """
    if time:
        raise ValueError(_SECONDS)
    if interleaved:
        found = _in_turns(Path(old), Path(new), threshold, suite or "quick", 5 if rounds is None else rounds)
    elif suite is not None or rounds is not None:
        raise ValueError("--suite and --rounds are accepted with --interleaved only")
    else:
        from hessbench.ledger.reading import Ledger

        found = compare(Ledger.read(old), Ledger.read(new), threshold=threshold)
    click.echo(written(found, form))
    if found.is_regression:
        sys.exit(1)


def _in_turns(old: Path, new: Path, threshold: float, suite: str, rounds: int) -> Comparison:
    from hessbench.catalog import load_catalog
    from hessbench.running.suite import Suite
    from hessbench.studies.interleaved import Turns, timed_in_turns

    turns = Turns(old, new, Suite.load(suite), rounds=rounds)
    pairs = timed_in_turns(turns, load_catalog(), lambda text: click.echo(text, err=True))
    return compare_seconds(pairs, threshold)
