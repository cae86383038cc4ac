"""`hessbench leaderboard`."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Final

import click

import hessbench.reports as reports
from hessbench.catalog import load_catalog
from hessbench.cli.method_target import file_and_name
from hessbench.cli.own_run import run_own
from hessbench.cli.selecting import Part
from hessbench.ledger.answering.words import plural
from hessbench.ledger.environment import current_command
from hessbench.ledger.published import PublishedLedger, published_folders, read_all
from hessbench.reports.leaderboard.board import (
    BOARD_FORMATS,
    Board,
    board,
    claim_board_folder,
    print_board,
    write_board,
)
from hessbench.reports.leaderboard.gathering import OwnRun, gather_rows
from hessbench.reports.writing.escaping import clean
from hessbench.reports.writing.terminal import table_console
from hessbench.running.publishing import publish, suite_of

_OUT: Final = "runs/leaderboard"
_LEDGERS: Final = "reports/published/ledgers"
_SUITE: Final = "peers-quick"
"""The suite that a method of one's own is run on where none is named."""


@click.command(
    "leaderboard", epilog="Example: hessbench leaderboard --method my_estimator.py:my-method --out runs/mine"
)
@click.argument("folders", nargs=-1, metavar="[FOLDER]...")
@click.option("--method", metavar="FILE:METHOD", help="Run this method on a published suite, and show its place.")
@click.option(
    "--suite", metavar="NAME", help="The suite it runs on; peers-quick by default. Without --method, the one shown."
)
@click.option("--estimand", "estimands", multiple=True, metavar="SPEC", help="Only this estimand: trace, density.")
@click.option("--plan", "only_plan", is_flag=True, help="Say what running the method would take; nothing is run.")
@click.option("--timeout", default="none", show_default=True, help="Limit of a cell of the method: 10s, 5m or none.")
@click.option(
    "--publish", "published_run", metavar="RUN", help="Write this finished run of a frozen suite as a ledger."
)
@click.option("--format", "format_", type=click.Choice(("table", *BOARD_FORMATS)), default="table", show_default=True)
@click.option("--out", metavar="DIR", help=f"Folder of the page, {_OUT} by default; with --publish, of ledgers.")
def command(
    folders: tuple[str, ...],
    method: str | None,
    suite: str | None,
    estimands: tuple[str, ...],
    only_plan: bool,
    timeout: str,
    published_run: str | None,
    format_: str,
    out: str | None,
) -> None:
    """Say who is best within 1 % on each estimand and class of problems, and where a method of one's own stands.

    A FOLDER is a published ledger, or holds such folders; without one those of the checkout are read. With --method
    only that method runs: on the published problems and budgets, from the same seeds. Running it again resumes. Times
    are multiples of a gradient timed in the same run. --format markdown, csv and html print one text, and write the
    folder of the page only where --out names it.
    """
    say = partial(click.echo, err=True)
    if published_run is not None:
        _publish(published_run, out, other=bool(folders or method or suite or estimands or only_plan))
        return
    if only_plan and method is None:
        raise ValueError("--plan says what running a method would take: name it with --method")
    part = Part(estimands=estimands)
    known = _published(folders, say)
    chosen = _of_suite(known, suite) if suite is not None else known
    own: list[OwnRun] = []
    if method is not None:
        target = file_and_name(method)
        on = _on(chosen, suite)
        where = Path(out or _OUT) if only_plan else claim_board_folder(out or _OUT)
        done = run_own(
            suite_of(on), on.description, target, where, asks=part.asks, timeout=timeout, only_plan=only_plan
        )
        if done is None:
            return
        own.append(done)
    shown = board(gather_rows(chosen, own, say), current_command(), part.asks)
    _write(shown, format_, out)


def _write(shown: Board, format_: str, out: str | None) -> None:
    """Print the board in its format, and write its page where one is asked for."""
    if format_ == "table":
        print_board(shown, table_console())
    else:
        click.echo(BOARD_FORMATS[format_](shown), nl=False)
    if format_ == "table" or out is not None:
        page = write_board(shown, out or _OUT)
        click.echo(f"page: {page}", err=format_ != "table")


def _publish(run: str, out: str | None, *, other: bool) -> None:
    if other:
        raise ValueError("--publish takes --out alone beside it")
    done = publish(run, out or _LEDGERS, load_catalog())
    said = done.description
    left = f"; {done.left_out} cells that are none of the suite's are left out" if done.left_out else ""
    skipped = f", {said.skipped} of them skipped" if said.skipped else ""
    click.echo(f"{done.folder}: {plural(said.cells, 'cell')} of {said.suite}{skipped}, in "
               f"{plural(len(said.parts), 'file')} of rows{left}")  # fmt: skip


def _published(folders: Sequence[str], say: partial[None]) -> list[PublishedLedger]:
    """The published ledgers that can be read and are of a frozen suite.

    Raises:
        ValueError: If there is none.
    """
    places = [Path(it) for it in folders] or _checkout()
    found: list[Path] = []
    for place in places:
        inner = published_folders(place)
        if not inner:
            raise ValueError(f"folder must be a published ledger, or hold such folders, {clean(place.name)} does not")
        found += inner
    kept: list[PublishedLedger] = []
    for ledger in read_all(found, say):
        try:
            suite_of(ledger)
        except ValueError as failure:
            say(f"left out: {failure}")
            continue
        kept.append(ledger)
    if not kept:
        raise ValueError("no published ledger can be read here: name a folder of them, such as reports/published of a "
                         "checkout; `hessbench leaderboard --publish RUN` makes one of a finished run")  # fmt: skip
    return kept


def _checkout() -> list[Path]:
    """Where ledgers are published: in this checkout, else in the one that the package lies in."""
    here = Path(_LEDGERS)
    package = Path(reports.__file__ or "").resolve().parent / "published" / "ledgers"
    return [place for place in (here, package) if published_folders(place)][:1]


def _of_suite(known: Sequence[PublishedLedger], suite: str) -> list[PublishedLedger]:
    """The ledgers of a suite, by its name, or by name and version.

    Raises:
        ValueError: If there is none.
    """
    labels = [it.description.suite for it in known]
    kept = [it for it in known if suite in (it.description.suite, it.description.suite.rpartition("-")[0])]
    if not kept:
        raise ValueError(f"no ledger of the suite {suite!r} is published here; there are: {', '.join(labels)}")
    return kept


def _on(known: Sequence[PublishedLedger], suite: str | None) -> PublishedLedger:
    """The ledger on whose suite a method runs: the latest version of the one named, else of the usual, else the only.

    Raises:
        ValueError: If none is named and there are several others.
    """
    names = {it.description.suite.rpartition("-")[0] for it in known}
    usual = [it for it in known if it.description.suite.rpartition("-")[0] == _SUITE]
    among = known if suite is not None or len(names) == 1 else usual
    if not among:
        raise ValueError(f"name the suite to run on with --suite: {', '.join(sorted(names))}")
    return max(among, key=lambda it: int(it.description.suite.rpartition("-")[2]))
