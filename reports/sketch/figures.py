"""Figures of the sketch study: errors by rank, in both families of the document, error sizes, and the race."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from textwrap import wrap
from typing import Final

import numpy as np
from matplotlib import colormaps, style
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, MaxNLocator, NullFormatter, NullLocator

from hessbench.estimand.base import Array
from hessbench.reports.sketch.results import Race, SketchResults
from hessbench.reports.sketch.verdicts import matrix_errors
from hessbench.reports.writing.drawing import RC, Picture, faint_grid, to_svg
from hessbench.reports.writing.median_intervals import median_interval
from hessbench.reports.writing.palette import GREY, looks

_LINEAR: Final = 10.0  # per cent: the axis is linear within it and logarithmic beyond
_MARKERS: Final = ("o", "s", "^", "D", "v", "P")
_WIDTH: Final = 5.0  # inches: 480 CSS pixels, which a narrow window shows nearly at their own size
_COLUMNS: Final = 2


@dataclass(frozen=True)
class Bands:
    """What is drawn of a family: lowest, middle and highest curves, shape (Z, R, K) each."""

    low: Array
    middle: Array
    high: Array


def over_matrices(errors: Array) -> Bands:
    """Median over matrices of each matrix's median over sketches, with 95 % intervals over matrices."""
    typical = np.median(errors, axis=3)
    found = np.empty((3, *typical.shape[:2], typical.shape[3]))
    for at in np.ndindex(*found.shape[1:]):
        interval = median_interval(typical[at[0], at[1], :, at[2]])
        found[(slice(None), *at)] = interval.low, interval.median, interval.high
    return Bands(*found)


def over_realisations(errors: Array) -> Bands:
    """Median over all sketches of all matrices, with their least and largest error."""
    pooled = errors.reshape(*errors.shape[:2], -1, errors.shape[4])
    return Bands(pooled.min(axis=2), np.median(pooled, axis=2), pooled.max(axis=2))


def draw_by_rank(results: SketchResults, bands: Bands, *, by_zeros: bool) -> Picture:
    """Six panels of signed error against rank: one for each zero fraction, with a curve for each ratio, or the reverse.

    Args:
        results: For the values of the two parameters.
        bands: What is drawn.
        by_zeros: Whether a panel is a zero fraction (figures 7 to 12 of the document) or a ratio (13 to 18).
    """
    panels, curves = (results.zero_fractions, results.ratios) if by_zeros else (results.ratios, results.zero_fractions)
    panel_name, curve_name = (
        ("zero eigenvalues", "sketch ratio") if by_zeros else ("sketch ratio", "share of zero eigenvalues")
    )
    low, middle, high = (
        part if by_zeros else np.swapaxes(part, 0, 1) for part in (bands.low, bands.middle, bands.high)
    )
    ranks = np.arange(1, middle.shape[2] + 1)
    colours = _colours(len(curves))
    with style.context(["default", RC]):
        rows = -(-len(panels) // _COLUMNS)
        figure = Figure(figsize=(_WIDTH, 0.9 + 2.1 * rows), layout="constrained")
        grid = figure.subplots(rows, min(_COLUMNS, len(panels)), sharex=True, sharey=True, squeeze=False)
        for place, axes in enumerate(grid.flat):
            if place >= len(panels):
                axes.set_visible(False)
                continue
            for curve, colour in enumerate(colours):
                axes.fill_between(ranks, low[place, curve], high[place, curve], color=colour, alpha=0.1, linewidth=0)
                axes.plot(ranks, middle[place, curve], color=colour, linewidth=1.3,
                          marker=_MARKERS[curve % len(_MARKERS)], markersize=2.8)  # fmt: skip
            label = f"{100 * panels[place]:g} % {panel_name}" if by_zeros else f"{panel_name} {panels[place]:g}"
            axes.set_title(label, fontsize=9)
            axes.axhline(0, color=GREY, linewidth=0.9, linestyle=(0, (3, 2)), zorder=1)
            axes.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))
            faint_grid(axes)
            _per_cent(axes, float(low.min()), float(high.max()))
        _label_below(list(grid.flat), len(panels), "rank (1 is the largest)")
        figure.supylabel("signed error (per cent of the eigenvalue)", fontsize=9)
        handles = grid.flat[0].get_lines()[: len(curves)]
        figure.legend(handles, [f"{value:g}" for value in curves], loc="outside lower center", ncols=len(curves),
                      frameon=False, fontsize=8.5, title=curve_name, title_fontsize=8.5)  # fmt: skip
        return to_svg(figure)


def draw_sizes(results: SketchResults, basis: str) -> Picture:
    """Size of the error against the ratio, with a curve for each zero fraction, and the reverse."""
    sizes = matrix_errors(results.errors[basis])
    with style.context(["default", RC]):
        figure = Figure(figsize=(_WIDTH, 7.0), layout="constrained")
        above, below = figure.subplots(2, 1, sharey=True)
        _curves(above, results.ratios, np.swapaxes(sizes, 0, 1), results.zero_fractions, "share of zeros")
        _curves(below, results.zero_fractions, sizes, results.ratios, "sketch ratio")
        above.set_ylim(bottom=0.4 * above.get_ylim()[0])  # room for the legends
        above.set_xscale("log")
        above.set_xlabel("sketch ratio: columns of the sketch over n (no unit)")
        below.set_xlabel("share of zero eigenvalues (no unit)")
        figure.supylabel("median |error| over ranks and sketches (per cent)", fontsize=9)
        for axes, places in ((above, results.ratios), (below, results.zero_fractions)):
            axes.xaxis.set_major_locator(FixedLocator(list(places)))
            axes.xaxis.set_minor_locator(NullLocator())
            axes.xaxis.set_major_formatter(FuncFormatter(_plain))
        return to_svg(figure)


def draw_race(races: Sequence[Race]) -> Picture:
    """Error against products, one panel a problem: median over the starts, with the range."""
    methods = list(dict.fromkeys(method for race in races for method in race.errors))
    known = looks(methods)
    with style.context(["default", RC]):
        rows = -(-len(races) // _COLUMNS)
        figure = Figure(figsize=(_WIDTH, 0.9 + 2.1 * rows), layout="constrained")
        grid = figure.subplots(rows, min(_COLUMNS, len(races)), squeeze=False)
        for place, axes in enumerate(grid.flat):
            if place >= len(races):
                axes.set_visible(False)
                continue
            race = races[place]
            edge = max(race.floor, 1e-16)
            for method, errors in race.errors.items():
                shown = np.maximum(errors, edge)
                look = known[method]
                axes.fill_between(race.budgets, shown.min(axis=0), shown.max(axis=0), color=look.colour, alpha=0.1,
                                  linewidth=0)  # fmt: skip
                axes.plot(race.budgets, np.median(shown, axis=0), color=look.colour, marker=look.marker,
                          markersize=3.2, linewidth=1.2, label=method)  # fmt: skip
            axes.set_yscale("log")
            # A bound far below every curve would squeeze them; it is then left outside.
            if edge >= 1e-3 * min(float(np.nanmin(errors)) for errors in race.errors.values()):
                axes.axhline(edge, color=GREY, linewidth=0.9, linestyle=(0, (3, 2)), zorder=1)
            axes.yaxis.set_major_locator(LogLocator(numticks=6))
            axes.yaxis.set_minor_locator(NullLocator())
            axes.set_title("\n".join(wrap(race.problem.replace(",", ", "), 34)), fontsize=8, parse_math=False)
            faint_grid(axes)
            axes.xaxis.set_major_locator(FixedLocator(list(race.budgets)))
        _label_below(list(grid.flat), len(races), "products with the operator")
        figure.supylabel("largest relative error of the top 10 (no unit)", fontsize=9)
        handles, labels = grid.flat[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=1, frameon=False, fontsize=8)
        return to_svg(figure)


def _label_below(panels: Sequence[Axes], number: int, text: str) -> None:
    """Write the name of the horizontal axis below the lowest panel of each column."""
    for place in range(max(0, number - _COLUMNS), number):
        panels[place].set_xlabel(text)


def _curves(axes: Axes, places: Sequence[float], sizes: Array, curves: Sequence[float], name: str) -> None:
    """Curves of (places, curves, M) with intervals over the matrices."""
    for curve, colour in enumerate(_colours(len(curves))):
        intervals = [median_interval(sizes[place, curve]) for place in range(len(places))]
        axes.fill_between(places, [i.low for i in intervals], [i.high for i in intervals], color=colour, alpha=0.1,
                          linewidth=0)  # fmt: skip
        axes.plot(places, [i.median for i in intervals], color=colour, linewidth=1.3, markersize=3.4,
                  marker=_MARKERS[curve % len(_MARKERS)], label=f"{curves[curve]:g}")  # fmt: skip
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter(FuncFormatter(_plain))
    axes.yaxis.set_minor_formatter(NullFormatter())
    faint_grid(axes)
    axes.legend(title=name, fontsize=7.5, title_fontsize=7.5, frameon=False, loc="lower left", ncols=2)


def _per_cent(axes: Axes, least: float, largest: float) -> None:
    """A scale that is linear near zero and logarithmic beyond, ticks at 0, +-10, +-100 and so on."""
    axes.set_yscale("symlog", linthresh=_LINEAR, linscale=0.7)
    decades = int(np.ceil(np.log10(max(largest, -least, _LINEAR))))
    ticks = [10.0**power for power in range(1, decades + 1)]
    axes.yaxis.set_major_locator(FixedLocator([*(-tick for tick in reversed(ticks)), 0.0, *ticks]))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(_plain))
    axes.set_ylim(min(-_LINEAR, 1.3 * least), max(_LINEAR, 1.3 * largest))


def _plain(value: float, _position: object = None) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:g}"


def _colours(number: int) -> list[str]:
    return [to_hex(colormaps["viridis"](float(place))) for place in np.linspace(0.0, 0.88, number)]
