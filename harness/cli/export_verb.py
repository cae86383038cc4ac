"""`hessbench export`."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import click

from hessbench.catalog import load_catalog
from hessbench.cli.answer_verb import parse_tolerances
from hessbench.cli.selecting import Part, part_options
from hessbench.ledger.reading import Ledger, to_frame
from hessbench.reports.export import FORMATS, export
from hessbench.reports.papers import PAPER_COLUMNS, PAPER_FORMATS, paper_table, write_paper_table
from hessbench.reports.sources import bibtex, sources
from hessbench.reports.writing.folders import write_text

_ENDINGS: Final = {"latex": "tex", "markdown": "md", "bibtex": "bib"}


@click.command("export", epilog="Example: hessbench export runs/demo --format latex --within 1% --out table.tex")
@click.argument("folder")
@click.option(
    "--format", "format_", type=click.Choice((*FORMATS, *PAPER_FORMATS, "bibtex")), default="csv", show_default=True
)
@click.option("--columns", metavar="NAMES", help="Columns of a latex or markdown table, with commas between them.")
@click.option("--within", metavar="SHARE", help="Each method at the smallest budget within this error, such as 1%.")
@part_options
@click.option("--plugin", "plugins", multiple=True, metavar="FILE", help="Plugin whose methods bibtex cites too.")
@click.option("--out", metavar="FILE", help="FOLDER/ledger.FORMAT by default.")
def command(
    folder: str,
    format_: str,
    columns: str | None,
    within: str | None,
    part: Part,
    plugins: tuple[str, ...],
    out: str | None,
) -> None:
    """Write the rows of a ledger as one table, a table for a paper, or the sources of its methods.

    csv, parquet and json hold every row. latex (booktabs) and markdown hold one line per problem, estimand and method:
    at its largest budget, or with --within at the smallest one from which on every repeat is within that error. bibtex
    holds the works that the methods of the ledger cite. --problem, --method and --estimand take a part of it.
    """
    target = Path(out) if out else Path(folder) / f"ledger.{_ENDINGS.get(format_, format_)}"
    if format_ not in PAPER_FORMATS and (columns is not None or within is not None):
        raise ValueError(f"--columns and --within are for the formats {' and '.join(PAPER_FORMATS)}, got {format_}")
    names = PAPER_COLUMNS if columns is None else tuple(name.strip() for name in columns.split(","))
    tolerances = () if within is None else parse_tolerances(within)
    if len(tolerances) > 1:
        raise ValueError(f"--within takes one tolerance for a table, got {within}")
    tolerance = next(iter(tolerances), None)
    ledger = Ledger.read(folder)
    rows = part.rows(ledger)
    for known in FORMATS:
        if known == format_:
            click.echo(export(to_frame(rows), known, target))
            return
    if format_ == "bibtex":
        citations = {method.name: method.citation for method in load_catalog(plugins).methods}
        text = bibtex(sources((row.method for row in rows), citations))
    else:
        cells = part.of(ledger).records
        text = "".join(
            write_paper_table(paper_table(cells, ledger.prices, names, tolerance, part.asks), known)
            for known in PAPER_FORMATS
            if known == format_
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    write_text(target, text)
    click.echo(target)
