"""`hessbench references`."""

from __future__ import annotations

import os
import shlex
import time
from collections.abc import Sequence
from pathlib import Path

import click
from rich.console import Console

from hessbench.catalog import load_catalog
from hessbench.estimand import Estimand, parse_estimand
from hessbench.problem import Problem
from hessbench.problems.references.shipped import write_shipped
from hessbench.running.progress import reporter
from hessbench.running.truth import find_truth
from hessbench.workers.pool import Pool, WorkerConfig

ESTIMANDS = ("top-eigenvalues[k=20]", "trace", "density")


@click.command("references", epilog="Example: hessbench references mlp --estimand density --run runs/demo")
@click.argument("specs", nargs=-1, required=True, metavar="SPEC...")
@click.option("--run", "folder", metavar="DIR", type=click.Path(path_type=Path), help="Run whose rows they are for.")
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), help="Folder of files that can ship.")
@click.option("--estimand", "texts", multiple=True, default=ESTIMANDS, show_default=True, help="What to answer.")
@click.option("--plugin", "plugins", multiple=True, metavar="FILE", help="Python file with PROBLEMS.")
def command(
    specs: tuple[str, ...], folder: Path | None, out: Path | None, texts: tuple[str, ...], plugins: tuple[str, ...]
) -> None:
    """Compute references of problems: those of a run that its suite did not ask for, or files that can ship.

    With --run they are kept in the run's folder and in the cache, beside what is there already, and `hessbench rescore
    DIR` then scores the rows. With --out each problem's become one small JSON file; nothing that ships already is read.
    Minutes for a network of 10^5 parameters.
    """
    if (folder is None) == (out is None):
        raise ValueError("references takes one of --run DIR, for the rows of a run, and --out DIR, for files")
    catalog = load_catalog(plugins)
    estimands = [parse_estimand(text) for text in texts]
    for selected in [chosen for text in specs for chosen in catalog.problems.select(text)]:
        problem = catalog.problem(selected.spec)
        for estimand in estimands:
            estimand.check(problem.dim)
        reason = problem.refusal
        if reason:
            raise ValueError(f"{problem.name}: {reason}")
        if folder is not None:
            _keep(problem, estimands, folder, plugins)
        elif out is not None:
            _write(problem, estimands, out)


def _keep(problem: Problem, estimands: Sequence[Estimand], folder: Path, plugins: tuple[str, ...]) -> None:
    """Keep references in the folder of a run.

    Raises:
        ValueError: If the folder is not that of a run.
    """
    if not (folder / "ledger").is_dir():
        raise ValueError(f"{folder.name or 'the folder'} holds no ledger; the folder of a run is accepted")
    teller = reporter(Console(stderr=True))
    try:
        with Pool(WorkerConfig(plugins=plugins, modules=problem.modules)) as pool:
            asked = [estimand.spec for estimand in estimands]
            truth = find_truth(pool, folder, problem.name, asked, os.cpu_count() or 1, teller)
    finally:
        teller.close()
    for text in asked:
        found = truth.references.get(text)
        why = truth.missing.get(text, "the problem has no reference for this estimand")
        said = f"no reference: {why}" if found is None else f"{found.source}, bound {found.bound:.2g}"
        click.echo(f"{text} of {problem.name}: {said}")
    click.echo(f"`hessbench rescore {folder}` scores its rows against them")


def _write(problem: Problem, estimands: Sequence[Estimand], out: Path) -> None:
    begin = time.perf_counter()
    words = [problem.name, *(word for estimand in estimands for word in ("--estimand", estimand.spec))]
    made_by = f"hessbench references {shlex.join(words)} --out problems/references"
    path = write_shipped(problem, estimands, made_by, out)
    click.echo(f"{path.name}: {path.stat().st_size} bytes in {time.perf_counter() - begin:.0f} s")
