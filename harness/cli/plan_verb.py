"""`hessbench plan`."""

from __future__ import annotations

from functools import partial

import click
from rich.console import Console
from rich.text import Text

from hessbench.catalog import load_catalog
from hessbench.cli.conditions import condition_options, read_conditions
from hessbench.cli.plan_prices import price_text, say, show_prices
from hessbench.cli.quantities import parse_seconds, parse_shard
from hessbench.cli.selecting import selected_suite, selection_options
from hessbench.reports.writing.terminal import print_table, table_console
from hessbench.running.plan import PlannedCell, plan, shard
from hessbench.running.price_pass import price_plan
from hessbench.running.price_store import PriceStore
from hessbench.running.selection import left_out
from hessbench.running.suite import Selection


@click.command("plan", epilog="Example: hessbench plan quick --shard 1/4")
@click.argument("suite")
@condition_options
@selection_options
@click.option("--cells", is_flag=True, help="One line per cell, with its id.")
@click.option("--prices/--no-prices", default=True, show_default=True, help="Say what cells will take.")
@click.option("--price-limit", default="30s", show_default=True, help="Time to measure prices that are not remembered.")
def command(
    suite: str,
    plugins: tuple[str, ...],
    device: str | None,
    dtype: str | None,
    threads: int | None,
    timeout: str,
    memory: str,
    shard: str,
    selection: Selection,
    cells: bool,
    prices: bool,
    price_limit: str,
) -> None:
    """Show what a suite would run, without running it: cells, budgets, what is skipped and why, and what it will take.

    Seconds and memory follow from the price of a product and of a build, which is remembered from an earlier plan or
    measured now within --price-limit. "Last time" is how many times as long such a cell took when it last ran.
    """
    catalog = load_catalog(plugins)
    conditions = read_conditions(device, dtype, threads, timeout, memory)
    loaded = selected_suite(suite, selection)
    planned = _sharded(plan(loaded, catalog, conditions), shard)
    console = table_console(200)
    priced, told = None, ""
    if prices and any(not entry.skip_reason for entry in planned):
        limit_s = parse_seconds(price_limit)
        if limit_s is None:
            raise ValueError("--price-limit takes a time such as 30s or 5m, got 'none'; --no-prices measures nothing")
        progress = partial(say, Console(stderr=True))
        priced, summary = price_plan(planned, PriceStore(), limit_s, progress, plugins=plugins)
        told = summary.text
    if cells:
        for entry in planned:
            cell = entry.cell
            line = f"{cell.id}  {cell.pass_:6}  {cell.estimand}  {cell.problem}  {cell.method}  repeat {cell.repeat}"
            if priced is not None and not entry.skip_reason:
                line += f"  {price_text(entry, priced)}"
            console.print(Text(f"{line}  {entry.skip_reason and 'skipped: ' + entry.skip_reason}"), soft_wrap=True)
        say(console, told)
        return
    groups: dict[tuple[str, str, str, str], list[PlannedCell]] = {}
    for entry in planned:
        groups.setdefault((entry.cell.estimand, entry.cell.problem, entry.cell.method, entry.skip_reason), []).append(
            entry
        )
    rows: list[tuple[str, ...]] = []
    for (estimand, problem, method, reason), group in sorted(groups.items()):
        budgets = sorted({budget for entry in group for budget in entry.cell.budgets})
        least = group[0].bound.min_matvecs(group[0].problem.dim)
        repeats = len({entry.cell.repeat for entry in group})
        rows.append((estimand, problem, method, " ".join(map(str, budgets)), str(least), str(repeats), reason))
    heads = ("estimand", "problem", "method", "budgets", "least", "repeats", "skipped because")
    print_table(console, heads, rows, numbers=(4, 5), leads=2)
    timed = [entry.cell for entry in planned if not entry.skip_reason]
    products = sum(cell.budget for cell in timed)
    skipped = len(planned) - len(timed)
    console.print(f"{len(timed)} cells to run, at most {products} products; {skipped} skipped", highlight=False)
    if priced is not None:
        show_prices(console, planned, priced, conditions.memory_cap_bytes, told)
    for sentence in left_out(loaded, catalog, plugins):
        console.print(sentence, markup=False, highlight=False, soft_wrap=True)


def _sharded(planned: list[PlannedCell], text: str) -> list[PlannedCell]:
    return shard(planned, *parse_shard(text))
