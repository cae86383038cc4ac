"""`hessbench study`."""

from __future__ import annotations

import time
from functools import partial

import click

from hessbench.ledger.environment import current_command
from hessbench.reports.calibration.page import claim_folder as claim_calibration
from hessbench.reports.calibration.page import write_calibration_study
from hessbench.reports.sketch.page import claim_folder, write_sketch_study
from hessbench.studies.calibration import CalibrationDesign, run_calibration
from hessbench.studies.sketch import Design, run_study

STUDIES = ("sketch", "calibration")


@click.command("study", epilog="Example: hessbench study sketch --out runs/sketch-study")
@click.argument("name", type=click.Choice(STUDIES), metavar="NAME")
@click.option("--out", required=True, metavar="DIR", help="Folder of the page: new, empty, or an earlier study.")
def command(name: str, out: str) -> None:
    """Run a study that ships and write its page. NAME: sketch, calibration.

    `sketch`: errors of the sign sketch S^T A S against its size and the share of zero eigenvalues, a verdict on each
    published claim, and whether sketch-and-refine beats Lanczos. Some five minutes on two cores.

    `calibration`: how often the interval of every method that claims a standard error holds the truth, from
    2 to 30 probes, and which of them can be believed. Some five minutes on two cores.
    """
    begin = time.perf_counter()
    say = partial(click.echo, err=True)
    if name == "calibration":
        folder = claim_calibration(out)
        page = write_calibration_study(run_calibration(CalibrationDesign(), say), folder, current_command())
    else:
        folder = claim_folder(out)
        page = write_sketch_study(run_study(Design(), say), folder, current_command())
    click.echo(f"{page}: {time.perf_counter() - begin:.0f} s")
