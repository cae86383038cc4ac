"""A ledger as one folder of static files: a page, its figures, and the numbers behind them."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

from jinja2 import Environment
from markupsafe import Markup

from hessbench.ledger.answering import answers_by
from hessbench.ledger.frame import to_frame
from hessbench.ledger.record import SCHEMA, Kind, Record, Status
from hessbench.reports.answers.tables import csv as answers_csv
from hessbench.reports.costs.gradients import unit_frame, unit_prices, unit_sheet
from hessbench.reports.costs.lines import at_largest, lines_by_budget
from hessbench.reports.costs.predict import PREDICTED_DIM
from hessbench.reports.costs.prices import ladders
from hessbench.reports.costs.tables import frame, repeats_frame, sheet
from hessbench.reports.environments import environment_table
from hessbench.reports.error_curves.curves import charts
from hessbench.reports.error_curves.looks import chart_looks
from hessbench.reports.export import export
from hessbench.reports.failures import failures, failures_frame
from hessbench.reports.page.answer_cells import HEADS, said_of_all
from hessbench.reports.page.comparison import FOLDER, write_comparison
from hessbench.reports.page.pictures import Room, draw_pictures, draw_scales
from hessbench.reports.page.prices import price_row
from hessbench.reports.page.sections import FIRST, Section, sections
from hessbench.reports.scale.checks import checks
from hessbench.reports.scale.table import scale_frame, scale_sheet
from hessbench.reports.sources import bibtex, linked, sources
from hessbench.reports.spectra.in_report import report_spectra
from hessbench.reports.writing.folders import page_folder, templates, write_text
from hessbench.reports.writing.palette import FIGURE_STYLE
from hessbench.reports.writing.sheets import to_csv, to_latex, to_markdown

PAGE_LIMIT: Final = 7_600_000
"""Characters above which a page is written with less in it, so that it opens at once."""
_SCALE_FILES: Final = ("scale.md", "scale.tex", "scale.csv")


@dataclass(frozen=True)
class Detail:
    """How much a page holds; what is left out is in the files beside it.

    Attributes:
        has_inline_figures: Whether figures are in the page, with legends that switch, or shown from their files.
        has_claims: Whether each section has the table of costs and claims at each tolerance.
        has_every_budget: Whether tables have a row for every budget, or for the largest of each method.
        has_every_column: Whether tables have the columns that come on request.
        left_out: What the page says of it.
    """

    has_inline_figures: bool = True
    has_claims: bool = True
    has_every_budget: bool = True
    has_every_column: bool = True
    left_out: str = ""


_FEWER: Final = "To keep this page small, figures are shown from their files, so that their legends do not switch"
DETAILS: Final = (
    Detail(),
    Detail(has_inline_figures=False, left_out=f"{_FEWER}."),
    Detail(has_inline_figures=False, has_claims=False, left_out=f"{_FEWER}, and costs at each tolerance are left out."),
    Detail(
        has_inline_figures=False,
        has_claims=False,
        has_every_budget=False,
        left_out=f"{_FEWER}, costs at each tolerance are left out, and so are rows at smaller budgets.",
    ),
    Detail(
        has_inline_figures=False,
        has_claims=False,
        has_every_budget=False,
        has_every_column=False,
        left_out=f"{_FEWER}, and costs at each tolerance, rows at smaller budgets and further columns are left out.",
    ),
)
"""From the whole page to the least; the first that is small enough is written."""


class ReadableLedger(Protocol):
    """What a report needs of a ledger."""

    @property
    def records(self) -> Sequence[Record]:
        """Checkpoint and terminal rows."""
        ...

    @property
    def environments(self) -> Mapping[str, Mapping[str, Any]]:
        """Facts by environment hash."""
        ...

    @property
    def prices(self) -> Sequence[Mapping[str, Any]]:
        """Price rows."""
        ...

    @property
    def torn(self) -> int:
        """Lines that could not be read."""
        ...


def render_report(
    ledger: ReadableLedger,
    out: Path | str,
    command: str,
    citations: Mapping[str, str] | None = None,
    kept_in: Path | str | None = None,
    tolerances: Mapping[str, float] | None = None,
) -> Path:
    """Write a report: a page, its figures, the numbers behind each, tables in several formats, the sources.

    The same ledger, command and citations give the same bytes. A report that is already in `out` is replaced once the
    new one is whole; see `page_folder`.

    Args:
        ledger: What was read.
        out: Folder to write.
        command: Command line that made the report, shown on the page.
        citations: Source of each method by its name; those of the methods in the ledger are listed.
        kept_in: Folder of the run, whose arrays and references the spectra are drawn from; none are drawn without.
        tolerances: Default tolerance of each method by its name, for what it says of its own convergence.

    Returns:
        The page, `index.html` in `out`.

    Raises:
        ValueError: If `out` is a file, or a folder that holds something other than a report.
    """
    own = ("figures/*.svg", "figures/*.csv", f"{FOLDER}/*", "sources.bib", *_SCALE_FILES)
    with page_folder(out, "report", own=own) as folder:
        _write(ledger, folder, command, citations or {}, kept_in, tolerances or {})
    return Path(out) / "index.html"


def _write(
    ledger: ReadableLedger,
    folder: Path,
    command: str,
    citations: Mapping[str, str],
    kept_in: Path | str | None,
    tolerances: Mapping[str, float],
) -> None:
    """Write the page and all its files into an empty folder."""
    (folder / "figures").mkdir()
    records = [_encodable(row) for row in ledger.records]
    prices = [{name: _text(value) for name, value in row.items()} for row in ledger.prices]
    environments = {str(_text(name)): facts for name, facts in ledger.environments.items()}
    every = lines_by_budget(records, prices, on_the_way=True)
    compared = checks(records, prices)
    in_gradients = unit_prices(records, prices)
    cited = sources((row.method for row in records), citations)
    made = at_largest(every)
    laid_out = sheet(made)
    write_text(folder / "table.md", to_markdown(laid_out))
    write_text(folder / "table.tex", to_latex(laid_out))
    write_text(folder / "table.csv", to_csv(frame(made)))
    write_text(folder / "gradients.csv", to_csv(unit_frame(in_gradients)))
    write_text(folder / "repeats.csv", to_csv(repeats_frame(made)))
    write_text(folder / "failures.csv", to_csv(failures_frame(records)))
    export(to_frame(records), "csv", folder / "rows.csv")
    if cited:
        write_text(folder / "sources.bib", bibtex(cited))
    if compared:
        written = scale_sheet(compared)
        write_text(folder / "scale.md", to_markdown(written))
        write_text(folder / "scale.tex", to_latex(written))
        write_text(folder / "scale.csv", to_csv(scale_frame(compared)))
    drawn = charts(records)
    looks = chart_looks(drawn, [row.method for row in records])
    room = Room()
    pictures = {
        (chart.problem, chart.problem_hash, chart.estimand): draw_pictures(chart, looks, folder, room)
        for chart in drawn
    }
    spectra = report_spectra(records, kept_in, looks, folder)
    methods = sorted({line.key.method for line in every})
    failed = failures(records)
    terminals = [row for row in records if row.kind is Kind.TERMINAL]
    by_cost = answers_by(records)
    answered = by_cost["seconds"]
    write_text(folder / "answers.csv", answers_csv(answered))
    comparison = write_comparison(records, by_cost, looks, folder, tolerances)
    facts = {
        **_scripts(templates()),
        "figure_style": Markup(FIGURE_STYLE),  # our own text, and nothing is put into it
        "title": _title(terminals),
        "suites": sorted({row.suite for row in terminals} - {""}),
        "statuses": _statuses(terminals),
        "number": len(terminals),
        "torn": ledger.torn,
        "schema": SCHEMA,
        "command": command,
        "methods": methods,
        "first": FIRST,
        "heads": HEADS,
        "compared": comparison,
        "spectra": spectra.shown,
        "spectra_said": spectra.said,
        "spectrum_of": {shown.problem: shown.anchor for shown in spectra.shown},
        "failures": [failure for failure in failed if failure.status != Status.SKIPPED.value],
        "skipped": [failure for failure in failed if failure.status == Status.SKIPPED.value],
        "environments": environment_table(environments, terminals),
        "predicted_dim": f"{PREDICTED_DIM:,}",
        "ladders": [price_row(ladder) for ladder in ladders(prices)],
        "unit_sheet": unit_sheet(in_gradients),
        "scale_sheet": scale_sheet(compared),
        "scale_figures": draw_scales(compared, ladders(prices), looks, folder),
        "sources": [(name, linked(citation)) for name, citation in cited],
    }
    page = ""
    for detail in DETAILS:
        lines = every if detail.has_every_budget else made
        shown = sections(lines, answered, pictures, comparison.fronts, methods, every_column=detail.has_every_column)
        page = templates().get_template("index.html").render(facts | _sections(shown, methods) | {"detail": detail})
        if len(page) < PAGE_LIMIT:
            break
    write_text(folder / "index.html", page)


def _sections(shown: Sequence[Section], methods: Sequence[str]) -> dict[str, Any]:
    """The sections, and what the filters and the script take from them."""
    return {
        "sections": shown,
        "said_of_all": said_of_all([question for section in shown for question in section.questions]),
        "data": _data(shown, methods),
        "problems": list(dict.fromkeys(section.problem for section in shown)),
        "estimands": sorted({section.estimand for section in shown}),
        "budgets": sorted({row.budget for section in shown for row in section.rows}),
    }


def _scripts(pages: Environment) -> dict[str, Any]:
    """The page's script, and what its policy knows it by."""
    script = pages.get_template("page.js").render()
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return {"script": Markup(script), "script_hash": digest}  # our own file, and nothing is put into it


def _data(shown: Sequence[Section], methods: Sequence[str]) -> Markup:
    """What the script reads: methods by place, and the cells behind each row; no character of it can end the block."""
    held = {"methods": methods, "cells": [section.cells for section in shown]}
    text = json.dumps(held, ensure_ascii=True, separators=(",", ":"), allow_nan=False)
    for character in "<>&'":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)


def _encodable(row: Record) -> Record:
    """The row with lone surrogates replaced: undecodable bytes of a file name, which no file or frame takes."""
    texts = {name: value for name, value in vars(row).items() if type(value) is str}
    changed = {name: written for name, value in texts.items() if (written := _text(value)) != value}
    return dataclasses.replace(row, **changed) if changed else row


def _text(value: Any) -> Any:
    return value.encode("utf-8", "replace").decode() if type(value) is str else value


def _title(terminals: Sequence[Record]) -> str:
    suites = sorted({row.suite for row in terminals} - {""})
    return f"hessbench report: {', '.join(suites)}" if suites else "hessbench report"


def _statuses(terminals: Sequence[Record]) -> list[tuple[str, int]]:
    numbers = Counter(row.status for row in terminals)
    return [(status.value, numbers[status]) for status in Status if numbers[status]]
