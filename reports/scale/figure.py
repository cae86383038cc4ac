"""Seconds against size as SVG: what was predicted from smaller sizes, and what was measured."""

from __future__ import annotations

import math
from typing import Final

from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from hessbench.reports.scale.checks import FAR
from hessbench.reports.scale.curves import Panel, ScaleChart
from hessbench.reports.writing.drawing import RC, Picture, faint_grid, set_limits, to_svg, writable
from hessbench.reports.writing.escaping import clean, shorten

_COLUMNS: Final = 2
_TITLE_WIDTH: Final = 36


def draw_scale(chart: ScaleChart) -> Picture:
    """Draw a chart as small panels that share both axes."""
    number = len(chart.panels)
    columns = min(_COLUMNS, number)
    rows = math.ceil(number / columns)
    with style.context(["default", RC]):
        figure = Figure(figsize=(2.3 * columns + 0.4, 1.9 * rows + 0.9), layout="constrained")
        grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
        every: list[Axes] = list(grid.flat)
        for axes in every:
            axes.set_xscale("log")
            axes.set_yscale("log")
        for place, (axes, panel) in enumerate(zip(every, chart.panels, strict=False)):
            _draw_panel(axes, panel)
            if place + columns >= number:
                axes.set_xlabel("size P (dimension)", fontsize=8.5)
                axes.xaxis.set_tick_params(labelbottom=True)
            if place % columns == 0:
                axes.set_ylabel("time (seconds)", fontsize=8.5)
        for axes in every[number:]:
            axes.set_axis_off()
        places = [
            (point.dim, edge)
            for panel in chart.panels
            for point in panel.points
            for edge in (point.seconds.low, point.seconds.high)
        ]
        places += [place for panel in chart.panels for place in panel.curve]
        set_limits(every[0], [x for x, _ in places], [y for _, y in places])
        figure.legend(
            handles=_handles(), loc="outside lower center", ncols=1 if columns == 1 else 2, frameon=False, fontsize=8
        )
        return to_svg(figure)


def scale_caption(chart: ScaleChart) -> str:
    """Say how to read the figure."""
    sentences = [
        f"Seconds against size, {chart.conditions}; both axes are logarithmic and the same in every panel.",
        f"Dashed: the prediction for the largest size. It rests on prices of products at sizes of at most 1/{FAR} of "
        "it and on the counts of a run at such a size; what was measured above (open markers) it has not seen.",
        "Points are medians over the repeats, bars the least and the most.",
    ]
    if chart.left_out:
        sentences.append(
            f"{chart.left_out} smaller budget{'s' * (chart.left_out != 1)} or runs not drawn: see the table."
        )
    return " ".join(sentences)


def _draw_panel(axes: Axes, panel: Panel) -> None:
    colour = panel.look.colour
    if panel.curve:
        xs, ys = zip(*panel.curve, strict=True)
        axes.plot(xs, ys, color=colour, linewidth=1.1, linestyle=(0, (4, 1.8)), zorder=2)
    for point in panel.points:
        if point.seconds.low < point.seconds.high:
            axes.plot([point.dim] * 2, [point.seconds.low, point.seconds.high], color=colour, linewidth=1.0, zorder=2.5)
        axes.plot(
            [point.dim],
            [point.seconds.median],
            linestyle="none",
            marker=panel.look.marker,
            markersize=4.5 if point.is_seen else 6.5,
            markeredgewidth=1.1,
            markeredgecolor=colour,
            markerfacecolor=colour if point.is_seen else "white",
            zorder=3,
        )
    title = "\n".join(shorten(writable(clean(line)), _TITLE_WIDTH) for line in panel.title)
    axes.set_title(title, fontsize=8, loc="left", parse_math=False)
    if panel.remark:
        axes.text(
            0.97, 0.05, panel.remark, transform=axes.transAxes, ha="right", va="bottom", fontsize=7.5, color="#333333"
        )
    faint_grid(axes)
    axes.set_axisbelow(True)


def _handles() -> list[Line2D]:
    dark = "#333333"
    curve = Line2D([], [], color=dark, linewidth=1.1, linestyle=(0, (4, 1.8)), label="predicted")
    seen, held_out = (
        Line2D([], [], color=dark, linestyle="none", marker="o", markersize=size, markerfacecolor=face, label=label)
        for size, face, label in (
            (4.5, dark, "measured at a smaller size"),
            (6.5, "white", "measured, held out of the prediction"),
        )
    )
    return [curve, seen, held_out]
