"""`hessbench spectrum`."""

from __future__ import annotations

import webbrowser
from functools import partial
from pathlib import Path

import click
from rich.console import Console

from hessbench.cli.conditions import read_conditions
from hessbench.cli.kept_vectors import FOLDER, keep_vectors, print_vectors, vector_products, with_vectors
from hessbench.cli.plan_prices import say
from hessbench.cli.quantities import parse_seconds
from hessbench.cli.spectrum_suite import (
    BUDGET,
    VALUES,
    makes_references,
    price_suite,
    refuse_long,
    spectrum_suite,
)
from hessbench.cli.spectrum_target import ProblemTarget, find_target
from hessbench.eigenvectors import read_eigenvectors
from hessbench.ledger.environment import current_command
from hessbench.ledger.reading import Ledger
from hessbench.reports.spectra.axis import SCALES, Scale
from hessbench.reports.spectra.page import write_spectra
from hessbench.reports.spectra.text import print_spectrum
from hessbench.reports.writing.escaping import file_stem
from hessbench.reports.writing.terminal import table_console
from hessbench.running.options import Options
from hessbench.running.plan import Conditions, plan, prepare
from hessbench.running.progress import reporter
from hessbench.running.runner import run

_PAGE = "spectrum"


@click.command("spectrum", epilog="Example: hessbench spectrum digits-mlp[step=500] --k 20 --open")
@click.argument("target", metavar="FOLDER|SPEC|FILE")
@click.option("--out", metavar="DIR", help="Folder of the page, or of the run that is made for a problem.")
@click.option("--k", type=int, help=f"First eigenvalues of a problem, by magnitude.  [default: {VALUES}]")
@click.option("--budget", type=int, help=f"Products for a problem, in all.  [default: {BUDGET}]")
@click.option("--limit", default="60s", show_default=True, help="A problem predicted to take longer needs --yes.")
@click.option("--yes", is_flag=True, help="Start whatever it takes.")
@click.option("--axis", "axes", default="", help="Axes of the density, with commas: linear, log, symlog.")
@click.option("--sigma", type=float, help="Width of the Gaussian, as a share of half the axis.")
@click.option("--keep-vectors", "keeps", is_flag=True, help="Keep the eigenvectors of a problem too, of any size.")
@click.option("--plugin", "plugins", multiple=True, metavar="FILE", help="Python file with METHODS or PROBLEMS.")
@click.option("--device", help="cpu or cuda; cpu by default.")
@click.option("--dtype", help="float32 or float64; float32 by default.")
@click.option("--threads", type=int, help="Threads of the tensor library; 1 by default.")
@click.option("--open", "opens", is_flag=True, help="Show the page in the browser.")
def command(
    target: str,
    out: str | None,
    k: int | None,
    budget: int | None,
    limit: str,
    yes: bool,
    axes: str,
    sigma: float | None,
    keeps: bool,
    plugins: tuple[str, ...],
    device: str | None,
    dtype: str | None,
    threads: int | None,
    opens: bool,
) -> None:
    """Draw a spectrum: density, nodes, shares by sign, first eigenvalues, and which of it to trust.

    FOLDER is a run: what it keeps is drawn into FOLDER/spectrum, and nothing is computed. SPEC is a problem, FILE a
    Python file that lists one in PROBLEMS, such as a network of one's own (FILE:NAME where there are several): what it
    takes is predicted, then the first eigenvalues with bounds, the trace with an interval and the density are computed
    into runs/spectrum-..., an ordinary run's folder that report and answer work on.
    """
    scales = parse_axes(axes)
    if sigma is not None and not 0 < sigma <= 1:
        raise ValueError(f"sigma must be above 0 and at most 1, as a share of half the axis, got {sigma}")
    limit_s = parse_seconds(limit)
    found = find_target(target, plugins)
    if isinstance(found, Path):
        if k is not None or budget is not None or keeps:
            raise ValueError(
                "--k and --budget are for a problem, as --keep-vectors is; of a run's folder what it keeps is drawn"
            )
        folder, page_at, said = found, Path(out) if out else found / _PAGE, []
    else:
        conditions = read_conditions(device, dtype, threads, "none", "none")
        folder = Path(out) if out else Path("runs") / f"spectrum-{file_stem(found.spec)}"
        asked = (VALUES if k is None else k, BUDGET if budget is None else budget)
        said = _computed(found, folder, asked, conditions, None if yes else limit_s, yes=yes, keeps=keeps)
        page_at = folder / _PAGE
    ledger = Ledger.read(folder)
    page, spectra = write_spectra(
        ledger.records, folder, page_at, current_command(), scales=scales, sigma=sigma, torn=ledger.torn, said=said
    )
    console = table_console(100)
    for spectrum in spectra:
        print_spectrum(spectrum, console)
    if keeps:
        print_vectors(read_eigenvectors(folder / FOLDER), console)
    for sentence in said:
        say(console, sentence)
    console.print(f"page: {page}", highlight=False, soft_wrap=True, markup=False)
    if opens and not webbrowser.open(page.resolve().as_uri()):
        click.echo("no browser could be opened here: open the page above by hand", err=True)


def parse_axes(text: str) -> tuple[Scale, ...]:
    """Read axes such as `linear,log`; empty for those that suit.

    Raises:
        ValueError: If one is not known.
    """
    asked = [part.strip() for part in text.split(",") if part.strip()]
    unknown = [part for part in asked if part not in SCALES]
    if unknown:
        raise ValueError(f"axis takes {', '.join(SCALES)}, with commas between them, got {unknown[0]!r}")
    return tuple(scale for scale in SCALES if scale in asked)


def _computed(
    target: ProblemTarget,
    folder: Path,
    asked: tuple[int, int],
    conditions: Conditions,
    limit_s: float | None,
    *,
    yes: bool,
    keeps: bool,
) -> list[str]:
    """Price and run the suite of a problem into a folder; what is to be said of it.

    Raises:
        ValueError: If the problem cannot be built here, takes longer than the limit, or an argument is not accepted.
    """
    log = Console(stderr=True)
    tell = partial(say, log)
    problem = target.catalog.problem(target.spec)
    suite = spectrum_suite(problem, *asked)
    prepare(suite, target.catalog, tell)
    planned = plan(suite, target.catalog, conditions)
    if all(entry.skip_reason for entry in planned):
        raise ValueError(f"{problem.name}: {planned[0].skip_reason}")
    price = price_suite([entry for entry in planned if not entry.skip_reason], target, tell)
    extra = vector_products(asked[0], problem.dim, asked[1]) if keeps else 0
    price = with_vectors(price, extra)
    tell(f"{problem.name}: {price.text}; {price.told}")
    if not yes:
        refuse_long(price, limit_s, problem.name)
    references = makes_references(problem, price)
    options = Options(plugins=target.plugins, conditions=conditions, prices=False, references=references)
    summary = run(suite, folder, options, reporter=reporter(log))
    for line in (*summary.failure_lines, *(f"skipped ({cells}): {why}" for why, cells in summary.reasons.items())):
        tell(line)
    if keeps:
        keep_vectors(problem, folder, asked[0], extra, conditions, tell)
    said = [f"Predicted before: {price.text}."]
    if not references:
        said.append("References that are not kept were not made: they would take longer than the spectrum.")
    if summary.failures:
        said.append(f"{summary.failures} of {summary.planned} cells failed: {summary.text}.")
    return said
