"""Figures of the calibration study: coverage, and width over the true error, against the number of probes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from hessbench.reports.calibration.results import LEVELS
from hessbench.reports.calibration.verdicts import KINDS, CellCoverage
from hessbench.reports.writing.drawing import RC, Picture, faint_grid, to_svg
from hessbench.reports.writing.palette import COLOURS, GREY, MARKERS

_COLUMNS: Final = 3
_LOOKS: Final = {kind: (COLOURS[place][0], MARKERS[place]) for kind, place in zip(KINDS, (1, 0), strict=True)}
_TALLEST: Final = 30.0


def draw_coverage(found: Sequence[CellCoverage]) -> Picture:
    """Coverage of the 95 % intervals, a panel for each method, a faint line for each problem and the least one bold."""

    def panel(axes: Axes, cells: Sequence[CellCoverage], kind: str) -> None:
        _lines(axes, cells, kind, lambda one: one.coverage[-1].share, min)

    def finish(axes: Axes) -> None:
        axes.axhline(LEVELS[-1], color=GREY, linewidth=1.0, linestyle=(0, (3, 2)), zorder=1)
        axes.set_ylim(0.35, 1.02)
        axes.yaxis.set_major_locator(FixedLocator([0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0]))
        axes.yaxis.set_major_formatter(FuncFormatter(_per_cent))

    return _draw(found, panel, finish, "coverage of the 95 % interval (share of seeds)", "least over the problems")


def draw_widths(found: Sequence[CellCoverage]) -> Picture:
    """Width over the true error, a panel for each method, a faint line for each problem and the median bold."""

    def panel(axes: Axes, cells: Sequence[CellCoverage], kind: str) -> None:
        _lines(axes, cells, kind, lambda one: one.ratio, np.median)

    def finish(axes: Axes) -> None:
        axes.axhline(1.0, color=GREY, linewidth=1.0, linestyle=(0, (3, 2)), zorder=1)
        axes.set_yscale("log")
        axes.set_ylim(0.2, _TALLEST)
        axes.yaxis.set_major_locator(FixedLocator([0.2, 0.5, 1, 2, 5, 10, 20]))
        axes.yaxis.set_minor_locator(NullLocator())
        axes.yaxis.set_major_formatter(FuncFormatter(_plain))

    name = "68 % half width over the error, root mean squares (no unit)"
    return _draw(found, panel, finish, name, "median over the problems")


def _draw(
    found: Sequence[CellCoverage],
    panel: Callable[[Axes, Sequence[CellCoverage], str], None],
    finish: Callable[[Axes], None],
    label: str,
    bold: str,
) -> Picture:
    methods = list(dict.fromkeys(one.cell.method for one in found))
    rows = -(-len(methods) // _COLUMNS)
    places = sorted({one.cell.probes for one in found})
    with style.context(["default", RC]):
        figure = Figure(figsize=(10.2, 1.1 + 2.3 * rows), layout="constrained")
        grid = figure.subplots(rows, _COLUMNS, squeeze=False, sharex=True, sharey=True)
        for place, axes in enumerate(grid.flat):
            if place >= len(methods):
                axes.set_visible(False)
                continue
            cells = [one for one in found if one.cell.method == methods[place]]
            for kind in KINDS:
                panel(axes, cells, kind)
            axes.set_xscale("log")
            axes.xaxis.set_major_locator(FixedLocator(places))
            axes.xaxis.set_minor_locator(NullLocator())
            axes.xaxis.set_major_formatter(FuncFormatter(_plain))
            faint_grid(axes)
            axes.set_title(methods[place], fontsize=9, parse_math=False)
            axes.tick_params(labelbottom=place + _COLUMNS >= len(methods))
            finish(axes)
        for place in range(max(0, len(methods) - _COLUMNS), len(methods)):
            grid.flat[place].set_xlabel("probes")
        figure.supylabel(label, fontsize=9)
        handles = [line for line in grid.flat[0].get_lines() if not line.get_label().startswith("_")]
        names = [f"{line.get_label()}: {bold} (faint: each)" for line in handles]
        figure.legend(handles, names, loc="outside lower center", ncols=2, frameon=False, fontsize=8.5)
        return to_svg(figure)


def _lines(
    axes: Axes,
    cells: Sequence[CellCoverage],
    kind: str,
    value: Callable[[CellCoverage], float | None],
    middle: Callable[[list[float]], float],
) -> None:
    colour, marker = _LOOKS[kind]
    drawn = [one for one in cells if one.kind == kind and one.ratio is not None]
    for problem in dict.fromkeys(one.cell.problem for one in drawn):
        of_problem = [(one.cell.probes, value(one)) for one in drawn if one.cell.problem == problem]
        axes.plot(*zip(*of_problem, strict=True), color=colour, linewidth=0.8, alpha=0.3, label="_")
    probes = list(dict.fromkeys(one.cell.probes for one in drawn))
    levels = [
        float(middle([v for one in drawn if one.cell.probes == p and (v := value(one)) is not None])) for p in probes
    ]
    axes.plot(probes, levels, color=colour, marker=marker, markersize=4, linewidth=1.6, label=kind)


def _per_cent(value: float, _position: object = None) -> str:
    return f"{100 * value:.0f} %"


def _plain(value: float, _position: object = None) -> str:
    return f"{value:g}"
