"""`hessbench study`."""

from __future__ import annotations

import time
from functools import partial

import click

from hessbench.ledger.environment import current_command
from hessbench.reports.sketch.page import claim_folder, write_sketch_study
from hessbench.studies.sketch import Design, run_study

STUDIES = ("sketch",)


@click.command("study", epilog="Example: hessbench study sketch --out runs/sketch-study")
@click.argument("name", type=click.Choice(STUDIES), metavar="NAME")
@click.option("--out", required=True, metavar="DIR", help="Folder of the page: new, empty, or an earlier study.")
def command(name: str, out: str) -> None:
    """Run a study that ships and write its page. NAME: sketch.

    `sketch`: errors of the sign sketch S^T A S against its size and the share of zero eigenvalues, a verdict on each
    published claim, and whether sketch-and-refine beats Lanczos. Some five minutes on two cores.
    """
    del name
    folder = claim_folder(out)
    begin = time.perf_counter()
    results = run_study(Design(), partial(click.echo, err=True))
    page = write_sketch_study(results, folder, current_command())
    click.echo(f"{page}: {time.perf_counter() - begin:.0f} s")
