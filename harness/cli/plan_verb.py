"""`hessbench plan`."""

from __future__ import annotations

import click
from rich.text import Text

from hessbench.catalog import load_catalog
from hessbench.cli.conditions import condition_options, read_conditions
from hessbench.cli.quantities import parse_shard
from hessbench.cli.selecting import selected_suite, selection_options
from hessbench.reports.writing.terminal import print_table, table_console
from hessbench.running.plan import PlannedCell, plan, shard
from hessbench.running.selection import left_out
from hessbench.running.suite import Selection


@click.command("plan", epilog="Example: hessbench plan quick --shard 1/4")
@click.argument("suite")
@condition_options
@selection_options
@click.option("--cells", is_flag=True, help="One line per cell, with its id.")
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
) -> None:
    """Show what a suite would run, without running it: cells, budgets, least budgets, and what is skipped and why."""
    catalog = load_catalog(plugins)
    conditions = read_conditions(device, dtype, threads, timeout, memory)
    loaded = selected_suite(suite, selection)
    planned = _sharded(plan(loaded, catalog, conditions), shard)
    console = table_console(200)
    if cells:
        for entry in planned:
            cell = entry.cell
            line = f"{cell.id}  {cell.pass_:6}  {cell.estimand}  {cell.problem}  {cell.method}  repeat {cell.repeat}"
            console.print(Text(f"{line}  {entry.skip_reason and 'skipped: ' + entry.skip_reason}"), soft_wrap=True)
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
    for sentence in left_out(loaded, catalog, plugins):
        console.print(sentence, markup=False, highlight=False, soft_wrap=True)


def _sharded(planned: list[PlannedCell], text: str) -> list[PlannedCell]:
    return shard(planned, *parse_shard(text))
