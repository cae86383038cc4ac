"""`hessbench run`."""

from __future__ import annotations

import sys

import click
from rich.console import Console

from hessbench.catalog import load_catalog
from hessbench.cli.conditions import condition_options, read_conditions
from hessbench.cli.folders import finish
from hessbench.cli.quantities import parse_shard
from hessbench.cli.selecting import selected_suite, selection_options
from hessbench.running.described import trusted_files
from hessbench.running.options import retry_statuses
from hessbench.running.progress import reporter
from hessbench.running.runner import Options, run
from hessbench.running.selection import left_out
from hessbench.running.suite import Selection


@click.command("run", epilog="Example: hessbench run quick --out runs/first --threads 2 --timeout 60s")
@click.argument("suite")
@click.option("--out", metavar="DIR", help="Folder of the run; runs/SUITE by default. An existing run is resumed.")
@condition_options
@selection_options
@click.option("--jobs", type=int, default=1, show_default=True, help="Cells at once; above 1, times are contended.")
@click.option("--retry", default="", help="Statuses to run again, as in timeout,oom-host.")
@click.option("--report/--no-report", default=True, show_default=True, help="Write DIR/report at the end.")
@click.option("--strict", is_flag=True, help="Exit with code 1 where a cell failed; a skipped cell is no failure.")
@click.option("--sealed", is_flag=True, help="Run each method in a process from which nothing leads to its operator.")
@click.option("--trusted-plugin", "trusted", multiple=True, metavar="FILE", help="Plugin that --sealed imports too.")
@click.option("--prices/--no-prices", default=True, show_default=True, help="Measure the price of products up to 10^7.")
def command(
    suite: str,
    out: str | None,
    plugins: tuple[str, ...],
    device: str | None,
    dtype: str | None,
    threads: int | None,
    timeout: str,
    memory: str,
    shard: str,
    selection: Selection,
    jobs: int,
    retry: str,
    report: bool,
    strict: bool,
    sealed: bool,
    trusted: tuple[str, ...],
    prices: bool,
) -> None:
    """Run a suite (a name or a TOML file) and print its cost ledger.

    Every cell ends as one row, whatever becomes of it. The same command on an existing folder runs only what is
    missing, or stale because a problem, a method or a library has changed. --timeout and --memory are limits: what
    is ok stays under any, and what ended by one runs again when it is raised. A cell failed where it ended by a limit,
    an error, a crash or without a finite answer; one that is skipped, or over its budget, did not.
    """
    if jobs < 1:
        raise ValueError(f"jobs must be at least 1, got {jobs}")
    loaded = selected_suite(suite, selection)
    options = Options(
        plugins=plugins,
        conditions=read_conditions(device, dtype, threads, timeout, memory),
        jobs=jobs,
        retry=retry_statuses([text for text in retry.split(",") if text]),
        shard=parse_shard(shard),
        prices=prices,
        sealed=sealed,
        trusted=trusted,
    )
    folder = out or f"runs/{loaded.name}"
    console, log = Console(), Console(stderr=True)
    imported = trusted_files(options)
    for sentence in left_out(loaded, load_catalog(imported), imported):
        log.print(sentence, markup=False, highlight=False, soft_wrap=True)
    summary = run(loaded, folder, options, reporter=reporter(log))
    finish(folder, console, report=report, plugins=imported)
    for reason, cells in summary.reasons.items():
        console.print(f"skipped ({cells}): {reason}", markup=False, highlight=False, soft_wrap=True)
    for what, reason in summary.missing.items():
        text = f"no reference: {what}: {reason}; the same command tries again and scores the rows it has"
        console.print(text, markup=False, highlight=False, soft_wrap=True)
    for line in summary.failure_lines:
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    console.print(summary.text, markup=False, highlight=False, soft_wrap=True)
    if strict and summary.failures:
        sys.exit(1)
