"""The page of what products cost beside a gradient: a table and a figure for each problem."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pandas as pd
from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from hessbench.reports.writing import units
from hessbench.reports.writing.drawing import RC, Picture, faint_grid, to_svg, writable
from hessbench.reports.writing.escaping import clean, file_stem, short_hash, shorten
from hessbench.reports.writing.folders import page_folder, templates, write_text
from hessbench.reports.writing.sheets import Column, Sheet, Shown, lay_out, to_csv, to_markdown

SCHEMA: Final = 1

_MATRICES: Final = {"hessian": "Hessian", "ggn": "GGN"}
_COLOURS: Final = ("#0072B2", "#D55E00", "#009E73", "#CC79A7")
_MARKERS: Final = ("o", "s", "^", "D")

TimingRow = Mapping[str, Any]


@dataclass(frozen=True)
class ProblemSection:
    """One problem on the page."""

    anchor: str
    title: str
    subtitle: str
    sheet: Sheet
    figure: str
    width: int
    height: int
    alt: str
    caption: str


def render_operators(rows: Sequence[TimingRow], environment: Mapping[str, Any], out: Path, command: str) -> Path:
    """Write the page, its figures and its numbers.

    Args:
        rows: One for each problem, matrix, way and width, with the fields of a timing and `problem`, `dim`, `samples`,
            `device`, `dtype`, `threads` and `gradient_s`.
        environment: Facts of the machine.
        out: Folder to write; new, empty, or an earlier page.
        command: Command line that made it, shown on the page.

    Returns:
        The page, `index.html` in `out`.

    Raises:
        ValueError: If there are no rows, or `out` is a file or holds something else.
    """
    if not rows:
        raise ValueError("there is nothing to show: no product was measured")
    with page_folder(out, "page", own=("figures/operators*.svg",)) as folder:
        _write(rows, environment, folder, command)
    return out / "index.html"


def _write(rows: Sequence[TimingRow], environment: Mapping[str, Any], out: Path, command: str) -> None:
    """Write the page and all its files into an empty folder."""
    figures = out / "figures"
    figures.mkdir()
    sections = [_section(problem, figures) for problem in _by_problem(rows)]
    content = {"schema": SCHEMA, "command": command, "environment": dict(environment), "rows": [dict(r) for r in rows]}
    write_text(out / "operators.json", json.dumps(content, indent=1, allow_nan=False) + "\n")
    write_text(out / "operators.csv", to_csv(pd.DataFrame([dict(row) for row in rows])))
    tables = [f"## {clean(section.title)}\n\n{to_markdown(section.sheet)}" for section in sections]
    write_text(out / "operators.md", "\n".join(tables))
    page = (
        templates().get_template("operators.html").render(command=command, facts=_facts(environment), sections=sections)
    )
    write_text(out / "index.html", page)


def operators_sheet(rows: Sequence[TimingRow]) -> Sheet:
    """Lay out the rows of one problem."""
    return lay_out(OPERATOR_COLUMNS, rows, lambda row: {"ratio": row["note"]} if row["note"] else {})


def draw_operators(rows: Sequence[TimingRow]) -> Picture:
    """Ratio to a gradient of every way, a panel for each matrix, a marker for each width."""
    matrices = [name for name in _MATRICES if any(row["matrix"] == name for row in rows)]
    widths = sorted({int(row["width"]) for row in rows})
    ways = list(dict.fromkeys(str(row["way"]) for row in rows))
    with style.context(["default", RC]):
        figure = Figure(figsize=(5.0, (0.3 * len(ways) + 0.75) * len(matrices) + 0.4), layout="constrained")
        grid = figure.subplots(len(matrices), 1, sharex=True, sharey=True, squeeze=False)
        for axes, matrix in zip(grid.flat, matrices, strict=True):
            _draw_panel(axes, [row for row in rows if row["matrix"] == matrix], ways, widths)
            axes.set_title(_MATRICES[matrix], fontsize=9, loc="left")
            axes.label_outer()
        figure.legend(
            handles=_handles(widths), loc="outside lower center", ncols=len(widths), frameon=False, fontsize=8
        )
        return to_svg(figure)


def _draw_panel(axes: Axes, rows: Sequence[TimingRow], ways: Sequence[str], widths: Sequence[int]) -> None:
    axes.set_xscale("log")
    axes.axvline(1.0, color="#888888", linewidth=0.9, linestyle=(0, (4, 2)), zorder=1)
    for row in rows:
        if row["ratio"] is None:
            continue
        place = widths.index(int(row["width"]))
        y = ways.index(str(row["way"])) + (place - (len(widths) - 1) / 2) * 0.22
        colour = _COLOURS[place % len(_COLOURS)]
        axes.plot([row["low"], row["high"]], [y, y], color=colour, linewidth=1.0, zorder=2)
        axes.plot(
            [row["ratio"]], [y], linestyle="none", marker=_MARKERS[place % len(_MARKERS)], markersize=4.8,
            color=colour, zorder=3,
        )  # fmt: skip
    axes.set_yticks(range(len(ways)), [shorten(writable(clean(way)), 28) for way in ways], fontsize=8, parse_math=False)
    axes.set_ylim(len(ways) - 0.5, -0.5)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.xaxis.set_minor_formatter(lambda value, _: f"{value:g}" if f"{value:e}"[0] in "25" else "")
    axes.tick_params(axis="x", which="both", labelsize=7.5)
    axes.set_xlabel("time of a column (gradients, log scale)", fontsize=8.5)
    faint_grid(axes, "x")
    axes.set_axisbelow(True)


def _handles(widths: Sequence[int]) -> list[Line2D]:
    return [
        Line2D(
            [], [], linestyle="none", marker=_MARKERS[place % len(_MARKERS)], markersize=4.8,
            color=_COLOURS[place % len(_COLOURS)], label="one vector" if width == 1 else f"block of {width}",
        )
        for place, width in enumerate(widths)
    ]  # fmt: skip


def _section(rows: Sequence[TimingRow], figures: Path) -> ProblemSection:
    first = rows[0]
    problem = str(first["problem"])
    stem = file_stem("operators", problem, apart=str(first["device"]))
    drawn = draw_operators(rows)
    (figures / f"{stem}.svg").write_bytes(drawn.svg)
    conditions = units.conditions(first["device"], first["dtype"], int(first["threads"]))
    return ProblemSection(
        anchor=f"problem-{short_hash(stem)}",
        title=problem,
        subtitle=(
            f"P = {int(first['dim']):,}, N = {int(first['samples']):,}, {conditions}; "
            f"a gradient takes {_gradient(rows)}"
        ),
        sheet=operators_sheet(rows),
        figure=f"figures/{stem}.svg",
        width=drawn.width,
        height=drawn.height,
        alt=f"Time of a Hessian and of a GGN product in gradients, by way and block width, {problem}",
        caption=(
            "Time of one column over that of one gradient, logarithmic; left is better. Markers are medians, lines go "
            "from the least to the largest ratio; the dashed line is one gradient."
        ),
    )


def _by_problem(rows: Sequence[TimingRow]) -> list[list[TimingRow]]:
    found: dict[tuple[str, str], list[TimingRow]] = {}
    for row in rows:
        found.setdefault((str(row["problem"]), str(row["device"])), []).append(row)
    return list(found.values())


def _facts(environment: Mapping[str, Any]) -> list[tuple[str, str]]:
    names = {
        "cpu": "Processor",
        "cpus_usable": "Cores",
        "load_1min": "Load before",
        "commit": "Commit",
    }
    facts = [(title, str(environment[name])) for name, title in names.items() if environment.get(name)]
    device: Mapping[str, Any] = environment.get("device", {})
    facts += [("Device", str(device["model"]))] if "model" in device else []
    versions: Mapping[str, Any] = environment.get("versions", {})
    return [*facts, *((name, str(versions[name])) for name in ("hessbench", "torch") if name in versions)]


def _gradient(rows: Sequence[TimingRow]) -> str:
    """How long a gradient took beside the first product that was timed with this problem."""
    known = [row["gradient_s"] for row in rows if row["gradient_s"] is not None]
    return units.seconds(known[0]) if known else units.DASH


def _matrix(row: TimingRow) -> str:
    return _MATRICES.get(row["matrix"], str(row["matrix"]))


def _ratio(row: TimingRow) -> Shown:
    value = row["ratio"]
    if value is None:
        return Shown(units.DASH)
    return Shown(f"{value:.2f}", f"{row['low']:.2f} to {row['high']:.2f}", sort=value)


def _millions(value: float) -> str:
    return units.significant(value / 1e6)


def _optional(row: TimingRow, name: str, write: Any) -> Shown:
    value = row[name]
    return Shown(units.DASH) if value is None else Shown(write(value), sort=value)


OPERATOR_COLUMNS: Final[tuple[Column[TimingRow], ...]] = (
    Column("matrix", "Matrix", "", lambda row: Shown(_matrix(row)), is_number=False),
    Column("way", "Way", "engine", lambda row: Shown(str(row["way"]), str(row["engine"])), is_number=False),
    Column("width", "Block", "columns", lambda row: Shown(str(row["width"]), sort=row["width"])),
    Column("seconds", "Time", "of a column", lambda row: _optional(row, "seconds", units.seconds)),
    Column("ratio", "Over a gradient", "median, range", _ratio),
    Column("nominal", "Counted", "gradients", lambda row: _optional(row, "nominal", "{:.2f}".format)),
    Column("over_kept", "Over the kept graph", "one vector", lambda row: _optional(row, "over_kept", "{:.2f}".format)),
    Column("setup", "Set-up", "gradients", lambda row: _optional(row, "setup", units.significant)),
    Column("flops", "FLOPs", "millions a column", lambda row: _optional(row, "flops", _millions)),
    Column("kept_bytes", "Memory", "kept", lambda row: _optional(row, "kept_bytes", units.size)),
    Column("peak_bytes", "Memory", "peak", lambda row: _optional(row, "peak_bytes", units.size)),
    Column("difference", "Difference", "relative", lambda row: _optional(row, "difference", units.error)),
)
"""Columns of the table; a note of a row stands at its ratio."""
