"""A ledger as one folder of static files that opens from a disk, with no network and nothing to install."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

from markupsafe import Markup

from hessbench.ledger.reading import to_frame
from hessbench.ledger.record import SCHEMA, Kind, Record, Status
from hessbench.reports.costs.gradients import unit_frame, unit_prices, unit_sheet
from hessbench.reports.costs.lines import lines
from hessbench.reports.costs.predict import PREDICTED_DIM
from hessbench.reports.costs.prices import Ladder, exponent, ladders, last_miss, price_at
from hessbench.reports.costs.tables import frame, repeats_frame, sheet
from hessbench.reports.environments import environment_table
from hessbench.reports.error_curves.captions import caption
from hessbench.reports.error_curves.curves import Chart, chart_frame, charts
from hessbench.reports.error_curves.figures import draw
from hessbench.reports.error_curves.looks import chart_looks
from hessbench.reports.error_curves.traces import Cost
from hessbench.reports.export import export
from hessbench.reports.failures import failures, failures_frame
from hessbench.reports.scale.checks import Check, checks
from hessbench.reports.scale.curves import scale_chart_frame, scale_charts
from hessbench.reports.scale.figure import draw_scale, scale_caption
from hessbench.reports.scale.table import scale_frame, scale_sheet
from hessbench.reports.sources import sources
from hessbench.reports.writing import units
from hessbench.reports.writing.escaping import file_stem, short_hash
from hessbench.reports.writing.folders import page_folder, templates, write_text
from hessbench.reports.writing.palette import Look
from hessbench.reports.writing.sheets import to_csv, to_latex, to_markdown

_SCALE_FILES: Final = ("scale.md", "scale.tex", "scale.csv")


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


@dataclass(frozen=True)
class FigureFile:
    """A figure on the page."""

    file: str
    alt: str
    caption: str


@dataclass(frozen=True)
class ScaleFigure:
    """The figure of one family against size, and where its numbers are."""

    title: str
    csv: str
    figure: FigureFile


@dataclass(frozen=True)
class ChartSection:
    """The figures of one problem and one estimand, and where their numbers are."""

    anchor: str
    title: str
    subtitle: str
    csv: str
    figures: tuple[FigureFile, ...]
    missing: tuple[str, ...]
    cells: tuple[str, ...]


def render_report(
    ledger: ReadableLedger, out: Path | str, command: str, citations: Mapping[str, str] | None = None
) -> Path:
    """Write a report: a page, its figures, the numbers behind each, and the cost table in four formats.

    The same ledger, command and citations give the same bytes. A report that is already in `out` is replaced once the
    new one is whole; see `page_folder`.

    Args:
        ledger: What was read.
        out: Folder to write.
        command: Command line that made the report, shown on the page.
        citations: Source of each method by its name; those of the methods in the ledger are listed.

    Returns:
        The page, `index.html` in `out`.

    Raises:
        ValueError: If `out` is a file, or a folder that holds something other than a report.
    """
    with page_folder(out, "report", own=("figures/*.svg", "figures/*.csv", *_SCALE_FILES)) as folder:
        _write(ledger, folder, command, citations or {})
    return Path(out) / "index.html"


def _write(ledger: ReadableLedger, folder: Path, command: str, citations: Mapping[str, str]) -> None:
    """Write the page and all its files into an empty folder."""
    (folder / "figures").mkdir()
    records = [_encodable(row) for row in ledger.records]
    prices = [{name: _text(value) for name, value in row.items()} for row in ledger.prices]
    environments = {str(_text(name)): facts for name, facts in ledger.environments.items()}
    made = lines(records, prices)
    laid_out = sheet(made)
    write_text(folder / "table.md", to_markdown(laid_out))
    write_text(folder / "table.tex", to_latex(laid_out))
    write_text(folder / "table.csv", to_csv(frame(made)))
    compared = checks(records, prices)
    in_gradients = unit_prices(records, prices)
    write_text(folder / "gradients.csv", to_csv(unit_frame(in_gradients)))
    write_text(folder / "repeats.csv", to_csv(repeats_frame(made)))
    write_text(folder / "failures.csv", to_csv(failures_frame(records)))
    export(to_frame(records), "csv", folder / "rows.csv")
    drawn = charts(records)
    known = chart_looks(drawn, [row.method for row in records])
    sections = [_chart_section(chart, known, folder) for chart in drawn]
    scale = _scale(compared, ladders(prices), known, folder)
    failed = failures(records)
    terminals = [row for row in records if row.kind is Kind.TERMINAL]
    pages = templates()
    script = pages.get_template("sort.html").render()
    page = pages.get_template("index.html").render(
        script=Markup(script),  # our own file, and nothing is put into it
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        title=_title(terminals),
        suites=sorted({row.suite for row in terminals} - {""}),
        statuses=_statuses(terminals),
        number=len(terminals),
        torn=ledger.torn,
        schema=SCHEMA,
        command=command,
        sheet=laid_out,
        sections=sections,
        failures=[failure for failure in failed if failure.status != Status.SKIPPED.value],
        skipped=[failure for failure in failed if failure.status == Status.SKIPPED.value],
        environments=environment_table(environments, terminals),
        predicted_dim=f"{PREDICTED_DIM:,}",
        ladders=[_ladder(ladder) for ladder in ladders(prices)],
        unit_sheet=unit_sheet(in_gradients),
        scale_sheet=scale_sheet(compared),
        scale_figures=scale,
        sources=sources((row.method for row in records), citations),
    )
    write_text(folder / "index.html", page)


def _encodable(row: Record) -> Record:
    """The row with lone surrogates replaced: undecodable bytes of a file name, which no file or frame takes."""
    texts = {field.name: getattr(row, field.name) for field in dataclasses.fields(row)}
    return dataclasses.replace(row, **{name: _text(value) for name, value in texts.items() if type(value) is str})


def _text(value: Any) -> Any:
    return value.encode("utf-8", "replace").decode() if type(value) is str else value


def _title(terminals: Sequence[Record]) -> str:
    suites = sorted({row.suite for row in terminals} - {""})
    return f"hessbench report: {', '.join(suites)}" if suites else "hessbench report"


def _statuses(terminals: Sequence[Record]) -> list[tuple[str, int]]:
    numbers = Counter(row.status for row in terminals)
    return [(status.value, numbers[status]) for status in Status if numbers[status]]


def _chart_section(chart: Chart, known: Mapping[str, Look], folder: Path) -> ChartSection:
    stem = file_stem(chart.problem, chart.estimand, apart=chart.problem_hash)
    csv = f"figures/{stem}.csv"
    write_text(folder / csv, to_csv(chart_frame(chart)))
    figures: list[FigureFile] = []
    missing: list[str] = []
    costs: tuple[tuple[Cost, str], ...] = (("matvecs", "products"), ("seconds", "seconds"))
    for cost, name in costs:
        drawing = draw(chart, cost, known, stem)
        if isinstance(drawing, str):
            missing.append(drawing)
            continue
        file = f"figures/{stem}-{cost}.svg"
        (folder / file).write_bytes(drawing.svg)
        alt = f"Error against {name}, {chart.estimand} of {chart.problem}, one curve per method"
        figures.append(FigureFile(file, alt, caption(chart, cost, drawing)))
    return ChartSection(
        anchor=f"figure-{short_hash(stem)}",
        title=f"{chart.problem}: {chart.estimand}",
        subtitle=f"{len(chart.series)} method{'s' * (len(chart.series) != 1)}, {len(chart.cells)} cells",
        csv=csv,
        figures=tuple(figures),
        missing=tuple(missing),
        cells=chart.cells,
    )


def _scale(
    compared: Sequence[Check], known: Sequence[Ladder], styles: Mapping[str, Look], folder: Path
) -> tuple[ScaleFigure, ...]:
    """Write the table of predicted against measured and its figures, where there is any."""
    if not compared:
        return ()
    laid_out = scale_sheet(compared)
    write_text(folder / "scale.md", to_markdown(laid_out))
    write_text(folder / "scale.tex", to_latex(laid_out))
    write_text(folder / "scale.csv", to_csv(scale_frame(compared)))
    made: list[ScaleFigure] = []
    for chart in scale_charts(compared, known, styles):
        stem = f"figures/{file_stem('scale', chart.title, apart=chart.conditions)}"
        write_text(folder / f"{stem}.csv", to_csv(scale_chart_frame(chart)))
        (folder / f"{stem}.svg").write_bytes(draw_scale(chart).svg)
        alt = f"Seconds against size, predicted and measured, {chart.title}, {chart.conditions}"
        made.append(ScaleFigure(chart.title, f"{stem}.csv", FigureFile(f"{stem}.svg", alt, scale_caption(chart))))
    return tuple(made)


def _ladder(ladder: Ladder) -> dict[str, str]:
    """One row of the table of prices."""
    miss = last_miss(ladder)
    return {
        "problem": ladder.problem + (f", {ladder.method}" if ladder.method else ""),
        "kind": ladder.kind,
        "where": units.conditions(ladder.device, ladder.dtype, ladder.threads),
        "rungs": "; ".join(f"{rung.dim:,}: {units.seconds(rung.seconds)}" for rung in ladder.rungs),
        "bandwidth": units.DASH if ladder.bandwidth is None else f"{units.significant(ladder.bandwidth / 1e9)} GB/s",
        "exponent": f"{exponent(ladder.rungs, PREDICTED_DIM):.2f}" if len(ladder.rungs) > 1 else units.DASH,
        "price": units.seconds(price_at(ladder.rungs, PREDICTED_DIM))
        if ladder.can_price(PREDICTED_DIM)
        else units.DASH,
        "miss": units.DASH
        if miss is None
        else f"{units.seconds(miss.predicted_s)} predicted, {units.seconds(miss.measured_s)} measured "
        f"at {miss.dim:,}: {units.ratio(miss.factor)}",
    }
