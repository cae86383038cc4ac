"""`hessbench study`."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

import click

from hessbench.cli.study_plan import plan_lines
from hessbench.ledger.environment import current_command
from hessbench.reports.claims.gathered import study_of
from hessbench.reports.claims.other_seeds import show_other_seeds
from hessbench.reports.claims.study_page import claim_folder
from hessbench.reports.writing.escaping import clean
from hessbench.studies.calls import units_of_call
from hessbench.studies.scale import Scale, StudySetting
from hessbench.studies.shipped import STUDIES
from hessbench.studies.study import Study, WholeStudy
from hessbench.studies.units import run_units

_HELP: Final = "\n\n".join([
    "Run a study that ships and write its page, with a verdict on each published claim that it judges.",
    f"NAME: {', '.join(STUDIES)}.",
    *(f"`{study.name}`: {study.summary}" for study in STUDIES.values()),
])  # fmt: skip


@click.command("study", help=_HELP, epilog="Example: hessbench study sketch --out runs/sketch-study")
@click.argument("name", type=click.Choice(tuple(STUDIES)), metavar="NAME")
@click.option("--out", metavar="DIR", help="Folder of the page: new, empty, or an earlier study, which is resumed.")
@click.option(
    "--scale", type=click.Choice([it.value for it in Scale]), default="small", show_default=True,
    help="small: minutes on two cores; medium: for an accelerator, in calls of at most eight minutes.",
)  # fmt: skip
@click.option("--device", default="cpu", show_default=True, help="Where it runs: cpu, cuda or cuda:N.")
@click.option("--seed", type=int, default=0, show_default=True, help="Another one has other trainings and starts.")
@click.option("--plan", "only_plan", is_flag=True, help="List what would be run and for how long; nothing is.")
@click.option("--call", metavar="K/M", help="Run the K-th of the M calls of the plan alone.")
@click.option(
    "--beside", multiple=True, metavar="DIR", help="Run nothing: show the verdicts of this run, from another seed, "
    "beside those of the page in --out.",
)  # fmt: skip
def command(
    name: str,
    out: str | None,
    scale: str,
    device: str,
    seed: int,
    only_plan: bool,
    call: str | None,
    beside: tuple[str, ...],
) -> None:
    """Run a study that ships and write its page."""
    study = STUDIES[name]
    if beside:
        _show_beside(study, out, beside)
        return
    setting = StudySetting(Scale(scale), device, seed)
    say = partial(click.echo, err=True)
    if out is None and not only_plan:
        raise click.UsageError("missing option '--out', the folder of the page")
    if isinstance(study, Study):
        if only_plan:
            click.echo("\n".join(plan_lines(study, setting, Path(out) if out else None, say)))
        elif out is not None:
            _run(study, setting, out, call)
        return
    if setting != StudySetting() or only_plan or call:
        raise ValueError(
            f"{name} is run in one piece: --scale small, --device cpu and --seed 0 are accepted, --plan and --call not"
        )
    if out is not None:
        folder = claim_folder(name, out)
        begin = time.perf_counter()
        page = study.write(study.run(say), folder, current_command())
        click.echo(f"{page}: {time.perf_counter() - begin:.0f} s")


def _run(study: Study, setting: StudySetting, out: str, call: str | None) -> None:
    """Run the units, or those of one call, and write the page when all are there."""
    begin = time.perf_counter()
    _check_device(setting.device)
    units = study.units(setting)
    only = None if call is None else [unit.name for unit in units_of_call(units, call)]
    folder = claim_folder(study.name, out)
    say = partial(click.echo, err=True)
    measured = run_units(units, folder, say, study=study.name, setting=setting, only=only)
    left = len(units) - len(measured.units)
    seconds = time.perf_counter() - begin
    if left:
        click.echo(
            f"{left} of {len(units)} units are left after {seconds:.0f} s; the page is written when all are there"
        )
    else:
        page = study.write(measured, setting, folder, current_command())
        click.echo(f"{page}: {time.perf_counter() - begin:.0f} s")


def _show_beside(study: Study | WholeStudy[Any], out: str | None, beside: Sequence[str]) -> None:
    """Write the verdicts of a page anew, with those of other seeds."""
    if out is None:
        raise click.UsageError("missing option '--out', the folder of the page")
    if study_of(Path(out)) != study.name:
        raise ValueError(f"--out must hold a finished page of {study.name} for --beside, got {clean(Path(out).name)}")
    unjudged = study.unjudged if isinstance(study, Study) else ()
    found = show_other_seeds(Path(out), [Path(it) for it in beside], study.claims, unjudged)
    click.echo(f"{out}: {found.same} of {found.rows} rows have the same verdict with seeds {', '.join(found.seeds)}")


def _check_device(device: str) -> None:
    import torch

    try:
        kind = torch.device(device)
    except RuntimeError as failure:
        raise ValueError(f"device must be cpu, cuda or cuda:N, got {device!r}") from failure
    if kind.type not in ("cpu", "cuda"):
        raise ValueError(f"device must be cpu, cuda or cuda:N, got {device!r}")
    if kind.type == "cuda" and (kind.index or 0) >= torch.cuda.device_count():
        raise ValueError(f"device {device} is not there: {torch.cuda.device_count()} are; cpu is accepted")
