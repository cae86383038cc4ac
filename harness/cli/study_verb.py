"""`hessbench study`."""

from __future__ import annotations

import time
from functools import partial
from typing import Final

import click

from hessbench.ledger.environment import current_command
from hessbench.reports.claims.study_page import claim_folder
from hessbench.studies.shipped import STUDIES

_HELP: Final = "\n\n".join([
    "Run a study that ships and write its page, with a verdict on each published claim that it judges.",
    f"NAME: {', '.join(STUDIES)}.",
    *(f"`{study.name}`: {study.summary}" for study in STUDIES.values()),
])  # fmt: skip


@click.command("study", help=_HELP, epilog="Example: hessbench study sketch --out runs/sketch-study")
@click.argument("name", type=click.Choice(tuple(STUDIES)), metavar="NAME")
@click.option("--out", required=True, metavar="DIR", help="Folder of the page: new, empty, or an earlier study.")
def command(name: str, out: str) -> None:
    """Run a study that ships and write its page."""
    study = STUDIES[name]
    folder = claim_folder(name, out)
    begin = time.perf_counter()
    page = study.write(study.run(partial(click.echo, err=True)), folder, current_command())
    click.echo(f"{page}: {time.perf_counter() - begin:.0f} s")
