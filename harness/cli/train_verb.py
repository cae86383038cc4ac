"""`hessbench train`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from hessbench.catalog import Catalog, load_catalog
from hessbench.problem import Problem


@click.command("train", epilog="Example: hessbench train mlp 'cnn-3c3d[data=cifar10]'")
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@click.option("--plugin", "plugins", multiple=True, metavar="FILE", help="Python file with PROBLEMS.")
def command(names: tuple[str, ...], plugins: tuple[str, ...]) -> None:
    """Train the network of a problem by its recipe and keep the weights in the cache.

    The data are downloaded where they are missing. A training that was stopped, by whatever, goes on where it was; one
    that is kept is not made again. The weights go to HESSBENCH_CACHE, by default a folder of the user's cache.
    """
    catalog = load_catalog(plugins)
    problems = [catalog.problem(chosen.spec) for name in names for chosen in catalog.problems.select(name)]
    for problem in problems:
        if problem.train is None:
            raise ValueError(
                f"{problem.name} has no weights to train; accepted: {', '.join(_trainable(catalog))}, weights=trained"
            )
    console = Console()
    for problem in problems:
        _print(problem.name, _trained(problem, Console(stderr=True)), console)


def _trained(problem: Problem, console: Console) -> Sequence[Mapping[str, float]]:
    """Train one problem under a bar, or with a line now and then where there is no terminal."""
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TextColumn("loss {task.fields[loss]}"),
        TimeElapsedColumn(),
        TextColumn("elapsed,"),
        TimeRemainingColumn(),
        TextColumn("left"),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task(problem.name, total=None, loss="")

        def say(text: str) -> None:
            console.print(text, markup=False, highlight=False, soft_wrap=True)

        def progress(step: int, steps: int, loss: float) -> None:
            bar.update(task, completed=step, total=steps, loss=f"{loss:.4g}")

        if problem.train is None:
            raise ValueError(f"{problem.name} has no weights to train")
        return problem.train(say, progress)


def _print(name: str, rows: Sequence[Mapping[str, float]], console: Console) -> None:
    table = Table(title=name, title_justify="left", box=None, pad_edge=False)
    for head in rows[0] if rows else ():
        table.add_column(head, justify="right")
    for row in rows:
        table.add_row(*(_written(head, value) for head, value in row.items()))
    console.print(table)


def _written(head: str, value: float) -> str:
    if head.endswith("accuracy"):
        return f"{100 * value:.2f} %"
    return str(value) if isinstance(value, int) else f"{value:.5g}"


def _trainable(catalog: Catalog) -> list[str]:
    """Families that can be trained as they are."""
    return [family.name for family in catalog.problems if catalog.problem(family.name).train]
