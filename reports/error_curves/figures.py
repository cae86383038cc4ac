"""Error against cost as SVG, drawn the same way every time, with no state kept in the plotting library."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final, Literal, TypeAlias

from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from hessbench.reports.error_curves.curves import Chart, CurvePoint, Series
from hessbench.reports.writing.drawing import GREY, RC, Look, set_limits, to_svg, writable
from hessbench.reports.writing.escaping import clean, shorten

Cost: TypeAlias = Literal["matvecs", "seconds"]

SIZE_LIMIT: Final = 300_000
_DASHES: Final = ("-", (0, (4, 1.5)), (0, (1, 1)), (0, (5, 1, 1, 1)))
_LABEL_WIDTH: Final = 56
_AXES: Final[Mapping[Cost, str]] = {
    "matvecs": "products with the operator (matvecs, columns)",
    "seconds": "time to this answer: build + wall (seconds)",
}


class Detail(Enum):
    """How much is drawn, so that a file of many points stays small."""

    ALL = "every repeat with a marker at each point"
    ENDS = "every repeat, a marker at its last point only"
    MEDIANS = "the median over the repeats only"


@dataclass(frozen=True)
class Drawing:
    """A figure and what its caption must say.

    Attributes:
        svg: The file.
        detail: How much of the repeats is drawn.
        at_floor: Points drawn at their reference's bound, because they are at or below it.
        zeros: Points of error zero without a bound, drawn at the lower edge.
        left_out: Points without a positive cost, which a log axis cannot show.
    """

    svg: bytes
    detail: Detail
    at_floor: int
    zeros: int
    left_out: int


def draw(chart: Chart, cost: Cost, known: Mapping[str, Look]) -> Drawing | None:
    """Draw one chart.

    Args:
        chart: What to show.
        cost: What the horizontal axis is.
        known: Looks by method.

    Returns:
        The drawing, in less detail where all of it would pass 300 kB; None when no point has that cost.
    """
    drawing = None
    for detail in Detail:
        drawing = _draw(chart, cost, known, detail)
        if drawing is None or len(drawing.svg) < SIZE_LIMIT:
            break
    return drawing


def _draw(chart: Chart, cost: Cost, known: Mapping[str, Look], detail: Detail) -> Drawing | None:
    points = [point for series in chart.series for repeat in series.repeats.values() for point in repeat]
    shown = [point for point in points if _cost(point, cost) is not None]
    if not shown:
        return None
    with style.context(["default", RC]):
        edge = _lower_edge(shown)
        labels = _labels(chart.series)
        columns = max(1, min(len(labels), 96 // (max(map(len, labels)) + 7)))
        rows = math.ceil(len(labels) / columns)
        figure = Figure(figsize=(6.4, 3.7 + 0.19 * rows), layout="constrained")
        axes = figure.add_subplot()
        axes.set_xscale("log")
        axes.set_yscale("log")
        for series in chart.series:
            _draw_series(axes, series, cost, known[series.method], edge, detail)
        zeros = sum(point.height == 0 for point in shown)
        heights = [max(point.height, edge) for point in shown]
        # A bound far below everything drawn would squeeze the curves; it is then left outside.
        heights += [floor for floor in chart.floors if floor >= min(heights) / 1e3]
        set_limits(axes, [_cost(point, cost) or 1.0 for point in shown], heights)
        _draw_edges(axes, chart.floors, edge if zeros else None)
        axes.set_xlabel(_AXES[cost])
        axes.set_ylabel(f"error: {chart.primary} (no unit)", parse_math=False)
        axes.grid(visible=True, which="major", color="#E6E6E6", linewidth=0.6)
        axes.set_axisbelow(True)
        handles = [_handle(series, known[series.method]) for series in chart.series]
        legend = figure.legend(
            handles, labels, loc="outside lower left", ncols=columns, frameon=False, fontsize=8, handlelength=2.6
        )
        for text in legend.get_texts():
            text.set_parse_math(False)
        svg = to_svg(figure)
    at_floor = sum(point.error <= point.floor for point in shown) - zeros
    return Drawing(svg, detail, at_floor, zeros, left_out=len(points) - len(shown))


def _draw_series(axes: Axes, series: Series, cost: Cost, look: Look, edge: float, detail: Detail) -> None:
    dashes = _DASHES[series.variant % len(_DASHES)]
    floors = {point.floor for repeat in series.repeats.values() for point in repeat}
    bands = [
        (x, max(band.low, edge), max(band.median, edge), max(band.high, edge))
        for band in series.bands
        if (x := band.matvecs if cost == "matvecs" else band.seconds)
    ]
    has_band = len(bands) > 1
    if has_band:
        xs, lows, medians, highs = zip(*sorted(bands), strict=True)
        axes.fill_between(xs, lows, highs, color=look.colour, alpha=0.16, linewidth=0)
        axes.plot(xs, medians, color=look.colour, linewidth=1.8, linestyle=dashes, zorder=2.5)
        clipped = [height <= edge or height in floors for height in medians]
        _mark(axes, list(zip(xs, medians, clipped, strict=True)), look)
    if detail is Detail.MEDIANS and has_band:
        return
    for repeat in series.repeats.values():
        places = sorted(
            (x, max(point.height, edge), point.error <= point.floor)
            for point in repeat
            if (x := _cost(point, cost)) is not None
        )
        if not places:
            continue
        xs, ys, _ = zip(*places, strict=True)
        width, alpha = (0.5, 0.4) if has_band else (0.8, 0.75)
        axes.plot(xs, ys, color=look.colour, linewidth=width, alpha=alpha, linestyle=dashes)
        if not has_band:
            _mark(axes, places if detail is Detail.ALL else places[-1:], look)


def _mark(axes: Axes, places: Sequence[tuple[float, float, bool]], look: Look) -> None:
    """Markers, open where the height stands for something at or below the bound."""
    for is_clipped in (False, True):
        here = [(x, y) for x, y, clipped in places if clipped is is_clipped]
        if here:
            axes.plot(
                [x for x, _ in here],
                [y for _, y in here],
                linestyle="none",
                marker=look.marker,
                markersize=4.5,
                markeredgewidth=0.9,
                markeredgecolor=look.colour,
                markerfacecolor="white" if is_clipped else look.colour,
                alpha=0.9,
                zorder=3,
                clip_on=False,
            )


def _draw_edges(axes: Axes, floors: Mapping[float, str], zero: float | None) -> None:
    """Grey lines for what the reference cannot tell apart, labelled to the right of the axes."""
    labelled: list[float] = []
    bottom, top = axes.get_ylim()
    edges = dict(floors) if zero is None else {**floors, zero: "error 0"}
    for height, label in sorted(edges.items(), reverse=True):
        if not bottom <= height <= top:
            continue
        axes.axhline(height, color=GREY, linewidth=0.9, linestyle=(0, (3, 2)), zorder=1)
        # Labels closer than this would be written over each other; the lines are there all the same.
        if all(math.log(other / height) > 0.09 * math.log(top / bottom) for other in labelled):
            axes.annotate(
                label.replace(" ", "\n", 1) if len(label) > 9 else label,
                (1.0, height),
                xycoords=("axes fraction", "data"),
                xytext=(6, 0),
                textcoords="offset points",
                color=GREY,
                fontsize=7.5,
                va="center",
                annotation_clip=False,
                parse_math=False,
            )
            labelled.append(height)


def _handle(series: Series, look: Look) -> Line2D:
    return Line2D(
        [],
        [],
        color=look.colour,
        marker=look.marker,
        markersize=4.5,
        linewidth=1.2,
        linestyle=_DASHES[series.variant % len(_DASHES)],
    )


def _labels(series: Sequence[Series]) -> list[str]:
    """Legend texts that the font can write, long ones cut."""
    return [shorten(writable(clean(one.label)), _LABEL_WIDTH) for one in series]


def _lower_edge(points: Sequence[CurvePoint]) -> float:
    """A power of ten below everything drawn, to stand for an error of zero without a bound."""
    positive = [point.height for point in points if point.height > 0]
    return 10.0 ** (math.floor(math.log10(min(positive))) - 1) if positive else 1e-16


def _cost(point: CurvePoint, cost: Cost) -> float | None:
    """The cost of a point where a log axis can show it."""
    value = point.matvecs if cost == "matvecs" else point.seconds
    return float(value) if value is not None and value > 0 else None
