"""`hessbench claims`."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Final

import click

import hessbench.reports as reports
from hessbench.files import write_whole
from hessbench.ledger.environment import current_command
from hessbench.reports.claims.claims_table import HEADS, TABLE_FORMATS, summary, table_cells
from hessbench.reports.claims.gathered import gather
from hessbench.reports.writing.escaping import clean
from hessbench.reports.writing.terminal import print_table, table_console
from hessbench.studies.shipped import STUDIES

_PUBLISHED: Final = "published"


@click.command("claims", epilog="Example: hessbench claims runs/density runs/sketch --format html --out claims.html")
@click.argument("folders", nargs=-1, metavar="[FOLDER]...")
@click.option("--format", "format_", type=click.Choice(("table", *TABLE_FORMATS)), default="table", show_default=True)
@click.option("--out", metavar="FILE", help="File to write; the standard output by default.")
def command(folders: tuple[str, ...], format_: str, out: str | None) -> None:
    """Gather the verdicts of studies that were run, and name the claims that none of them judges.

    A FOLDER is that of a study, or holds such folders; without one the published pages of the checkout are read. A
    claim that no folder judges is listed as not run, with the command that would. Where a study is there with several
    seeds the first one counts, and a verdict that the others do not give is undecided.
    """
    if out is not None and format_ == "table":
        raise ValueError(f"--out is for the formats {', '.join(TABLE_FORMATS)}, got table")
    if out is not None and Path(out).is_dir():
        raise ValueError(f"--out must be a file, {clean(Path(out).name)} is a folder")
    where = [Path(it) for it in folders] or published_pages()
    rows = gather(where, {name: study.claims for name, study in STUDIES.items()}, partial(click.echo, err=True))
    if format_ == "table":
        console = table_console()
        print_table(console, HEADS, [tuple(map(clean, table_cells(row))) for row in rows], leads=3)
        click.echo(f"\n{summary(rows)}")
        return
    text = TABLE_FORMATS[format_](rows, current_command())
    if out is None:
        click.echo(text, nl=False)
    else:
        write_whole(Path(out), text.encode("utf-8", "replace"))
        click.echo(f"{out}: {summary(rows)}")


def published_pages() -> list[Path]:
    """Folder of the published pages: of this checkout, else of the one the package lies in, where one has it."""
    here = Path("reports") / _PUBLISHED
    package = Path(reports.__file__ or "").resolve().parent / _PUBLISHED
    # A wheel holds one file of them, which a study reads, and no verdict.
    return [it for it in (here, package) if any(it.glob("*/verdicts.csv"))][:1]
