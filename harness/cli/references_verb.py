"""`hessbench references`."""

from __future__ import annotations

import shlex
import time
from pathlib import Path

import click

from hessbench.catalog import load_catalog
from hessbench.estimand import parse_estimand
from hessbench.problems.references.shipped import write_shipped

ESTIMANDS = ("top-eigenvalues[k=20]", "trace", "density")


@click.command("references", epilog="Example: hessbench references mlp --estimand trace --out answers")
@click.argument("specs", nargs=-1, required=True, metavar="SPEC...")
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), required=True, help="Folder of the files.")
@click.option("--estimand", "texts", multiple=True, default=ESTIMANDS, show_default=True, help="What to answer.")
def command(specs: tuple[str, ...], out: Path, texts: tuple[str, ...]) -> None:
    """Compute references of problems and write each problem's as a small JSON file that can ship.

    Nothing that ships already is read. Minutes for a network of 10^5 parameters.
    """
    catalog = load_catalog()
    estimands = [parse_estimand(text) for text in texts]
    for selected in [chosen for text in specs for chosen in catalog.problems.select(text)]:
        begin = time.perf_counter()
        problem = catalog.problem(selected.spec)
        for estimand in estimands:
            estimand.check(problem.dim)
        reason = problem.refusal
        if reason:
            raise ValueError(f"{problem.name}: {reason}")
        words = [problem.name, *(word for estimand in estimands for word in ("--estimand", estimand.spec))]
        made_by = f"hessbench references {shlex.join(words)} --out problems/references"
        path = write_shipped(problem, estimands, made_by, out)
        click.echo(f"{path.name}: {path.stat().st_size} bytes in {time.perf_counter() - begin:.0f} s")
