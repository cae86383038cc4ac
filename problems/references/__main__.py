"""Compute references of problems and write them as files that can ship; nothing that ships already is read."""

from __future__ import annotations

import shlex
import time
from pathlib import Path

import click

from hessbench.catalog import load_catalog
from hessbench.estimand import parse_estimand
from hessbench.problems.references.shipped import write_shipped

ESTIMANDS = ("top-eigenvalues[k=20]", "trace", "density")


@click.command()
@click.argument("specs", nargs=-1, required=True, metavar="SPEC...")
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), required=True, help="Folder of the files.")
@click.option("--estimand", "texts", multiple=True, default=ESTIMANDS, show_default=True, help="What to answer.")
def main(specs: tuple[str, ...], out: Path, texts: tuple[str, ...]) -> None:
    """Write one file of references for each problem SPEC into the folder --out."""
    catalog = load_catalog()
    try:
        estimands = [parse_estimand(text) for text in texts]
        chosen = [selected for text in specs for selected in catalog.problems.select(text)]
        for selected in chosen:
            begin = time.perf_counter()
            problem = catalog.problem(selected.spec)
            reason = problem.unavailable() if problem.unavailable else None
            if reason:
                raise ValueError(f"{problem.name}: {reason}")
            words = [problem.name, *(word for estimand in estimands for word in ("--estimand", estimand.spec))]
            command = f"python -m hessbench.problems.references {shlex.join(words)} --out problems/references"
            path = write_shipped(problem, estimands, command, out)
            click.echo(f"{path.name}: {path.stat().st_size} bytes in {time.perf_counter() - begin:.0f} s")
    except (ValueError, OSError) as failure:
        raise click.ClickException(str(failure)) from None


if __name__ == "__main__":
    main()
