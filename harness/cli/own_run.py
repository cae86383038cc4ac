"""A method of one's own over the problems of a published suite: how many products it may take, then the run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from rich.console import Console

from hessbench.cli.method_target import named_in
from hessbench.cli.plan_prices import say
from hessbench.cli.quantities import parse_seconds
from hessbench.ledger.answering.words import plural
from hessbench.ledger.published import LedgerDescription
from hessbench.ledger.reading import Ledger
from hessbench.reports.leaderboard.gathering import OwnRun
from hessbench.reports.writing.escaping import file_stem
from hessbench.running.described import catalog_for
from hessbench.running.options import Options
from hessbench.running.own_suite import own_suite
from hessbench.running.plan import Conditions, plan
from hessbench.running.progress import reporter
from hessbench.running.runner import run
from hessbench.running.sealed import sealed
from hessbench.running.suite import Suite


def leaderboard_options(plugins: tuple[str, ...], conditions: Conditions) -> Options:
    """How every run for the leaderboard is run: sealed, alone, and with a gradient timed."""
    return Options(plugins=plugins, conditions=conditions, ladders=False, sealed=True)


def run_own(
    suite: Suite,
    published: LedgerDescription,
    target: tuple[str, str],
    out: Path,
    *,
    asks: Callable[[str], bool],
    timeout: str,
    only_plan: bool,
) -> OwnRun | None:
    """Say what it will take, then run what is missing.

    Args:
        suite: The published suite.
        published: Where and how its rows were made; this run is made so too.
        target: Plugin file, empty where the method is registered, and the method; the file is never imported here.
        out: Folder of the leaderboard; the run's is in it, one for each method and suite.
        asks: Whether an estimand is asked for.
        timeout: Limit of a cell.
        only_plan: Say what it would take, and run nothing.

    Returns:
        The run; None where nothing was to be run.

    Raises:
        ValueError: If the method, an estimand or the limit is not accepted.
    """
    file, named = target
    plugins = (file,) if file else ()
    conditions = Conditions(published.device, published.dtype, published.threads, parse_seconds(timeout))
    options = leaderboard_options(plugins, conditions)
    log = Console(stderr=True)
    with catalog_for(options, out) as catalog:
        name = named_in(catalog, file, named)
        method = catalog.methods.entry_of(name)
        spec = str(method.spec(name))
        asked = own_suite(suite, method, spec, asks)
        planned = sealed(plan(asked, catalog, conditions), catalog, forked=False)
        timed = [entry for entry in planned if not entry.skip_reason]
    for reason in dict.fromkeys(entry.skip_reason for entry in planned if entry.skip_reason):
        say(log, f"skipped: {reason}")
    # A price in seconds would have the file imported beside an operator: products say it without.
    products = sum(entry.cell.budget for entry in timed)
    say(log, f"{plural(len(timed), 'cell')} to run, at most {products:,} products in all; the file is run sealed alone")
    if not timed:
        raise ValueError(f"{spec} can run on no problem of the suite {suite.label} for what is asked")
    if only_plan:
        return None
    folder = out / file_stem(spec, suite.label)
    summary = run(asked, folder, options, reporter=reporter(log))
    for line in summary.failure_lines:
        say(log, line)
    say(log, summary.text)
    return OwnRun(spec, str(folder), plugins, Ledger.read(folder))
