"""A series as a group of an SVG: band, repeats, lines, markers that say what they are, and the build."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from hessbench.reports.error_curves.log_axis import LogAxis, percent, products
from hessbench.reports.error_curves.traces import Dot, Place, SeriesTrace, thinned
from hessbench.reports.writing import units
from hessbench.reports.writing.escaping import clean, shorten
from hessbench.reports.writing.palette import INK, Look
from hessbench.reports.writing.svg import element, number, plain, polyline

SHAPES: Final = {
    "o": "m-3.8 0a3.8 3.8 0 1 0 7.6 0a3.8 3.8 0 1 0-7.6 0z",
    "s": "m-3.4-3.4h6.8v6.8h-6.8z",
    "^": "m0-4.6l4.3 7.6h-8.6z",
    "v": "m0 4.6l4.3-7.6h-8.6z",
    "D": "m0-4.8l4.8 4.8-4.8 4.8-4.8-4.8z",
    "<": "m-4.6 0l7.6-4.3v8.6z",
    ">": "m4.6 0l-7.6-4.3v8.6z",
    "P": "m-1.5-4.5h3v3h3v3h-3v3h-3v-3h-3v-3h3z",
    "X": "m0-2l2-2 2 2-2 2 2 2-2 2-2-2-2 2-2-2 2-2-2-2 2-2z",
    "p": "m0-4.6l4.4 3.2-1.7 5.1h-5.4l-1.7-5.1z",
    "*": "m0-5.4l1.4 3.6 3.9.2-3 2.4 1 3.7-3.3-2.1-3.3 2.1 1-3.7-3-2.4 3.9-.2z",
}
"""Path data of each marker from its middle on."""

FEW_SERIES: Final = 8
"""Series up to which single repeats are drawn behind the medians."""

_CELLS: Final = 3
LABEL_WIDTH: Final = 58
"""Characters of a name that are shown; longer ones are cut in the middle."""


def series_group(
    trace: SeriesTrace, look: Look, x: LogAxis, y: LogAxis, *, name: str, place: int, crowd: int, gap: float,
    builds: bool,
) -> str:  # fmt: skip
    """Draw a series.

    Args:
        trace: What to draw.
        look: Its colour, marker and dashes.
        x: Axis of the cost.
        y: Axis of the error; what is below it is drawn on its edge.
        name: Start of the ids in this figure.
        place: Number of the series in the chart.
        crowd: How many series the figure has; many are drawn with less behind their medians.
        gap: Pixels between the markers of a line.
        builds: Whether the build is marked on the axis of the cost.
    """
    parts = [_band(line, x, y, 0.13 if crowd <= FEW_SERIES else 0.07) for line in trace.lines if trace.is_median]
    if crowd <= FEW_SERIES:
        faint = "".join(element("path", d=polyline(_seen(_pixels(places, x, y), 1.5))) for places in trace.repeats)
        parts.append(element("g", faint, class_="repeats", stroke_width="0.8", opacity="0.35") if faint else "")
    parts += [
        element("path", class_="median", d=polyline(_seen(_pixels(_middles(line), x, y), 1.0)),
                stroke_width="2" if trace.is_median else "1.5", stroke_dasharray=look.dashes or None)
        for line in trace.lines if len(line) > 1
    ]  # fmt: skip
    same = {dot.cells for dot in trace.dots}
    shared = next(iter(same)) if len(same) == 1 else None
    markers = [
        _marker(line[at], places[at], look, trace, says_cells=shared is None)
        for line in trace.lines
        for places in (_pixels(_middles(line), x, y),)
        for at in thinned(places, gap)
    ]
    parts.append(element("g", "".join(markers), class_="points", fill="currentColor", stroke_width="0.6"))
    if builds and trace.build is not None and x.holds(trace.build):
        title = plain(f"{_label(trace)}: build {units.seconds(trace.build)}")
        place_of_build = f"M{number(x.at(trace.build))} {number(y.start)}v7"
        parts.append(element("path", f"<title>{title}</title>", class_="build", d=place_of_build, stroke_width="2"))
    return element(
        "g", "".join(parts), class_=f"series c{look.place}", id=f"{name}-series-{place}", data_series=str(place),
        data_method=trace.series.method, data_label=trace.series.label,
        data_cells=None if shared is None else " ".join(shared), color=look.colour, fill="none",
        stroke="currentColor", stroke_linejoin="round",
    )  # fmt: skip


def key_marks(look: Look, is_line: bool, x: float, y: float) -> str:
    """What stands before the name of a series in the legend.

    Args:
        look: Of the series.
        is_line: Whether it has a line.
        x: Pixel of the left end.
        y: Pixel of the middle.
    """
    line = element("path", d=f"M{number(x)} {number(y)}h26", stroke_width="2", stroke_dasharray=look.dashes or None)
    marker = element("path", d=f"M{number(x + 13)} {number(y)}{SHAPES[look.marker]}", fill="currentColor")
    return (line if is_line else "") + marker


def describe(trace: SeriesTrace, dot: Dot) -> list[str]:
    """What a dot says of itself, line by line."""
    error = percent(dot.y)
    if dot.at_floor:
        error = f"at or below {error}, the bound of the reference" if dot.y else "0"
    if trace.is_median and len(dot.cells) > 1:
        error += f" (median of {len(dot.cells)} repeats, band {percent(dot.low)} to {percent(dot.high)})"
    cost = f"{products(dot.matvecs)} products"
    if dot.seconds is not None:
        cost += f", {units.seconds(dot.seconds)}"
    if dot.build is not None:
        cost += f", and {units.seconds(dot.build)} for the build"
    cells = ", ".join(dot.cells[:_CELLS])
    more = len(dot.cells) - _CELLS
    return [
        _label(trace),
        f"error {error}",
        cost,
        f"budget {dot.budget:,}; cell {cells}" + (f" and {more} more" if more > 0 else ""),
    ]


def _marker(dot: Dot, place: Place, look: Look, trace: SeriesTrace, *, says_cells: bool) -> str:
    is_open = dot.at_floor or dot.y == 0
    return element(
        "path",
        "<title>" + "\n".join(plain(line) for line in describe(trace, dot)) + "</title>",
        class_="point paper" if is_open else "point",
        fill=INK["paper"] if is_open else None,
        stroke_width="1.4" if is_open else None,
        data_budget=str(dot.budget),
        data_cells=" ".join(dot.cells[:_CELLS]) if says_cells else None,
        d=f"M{number(place[0])} {number(place[1])}{SHAPES[look.marker]}",
    )


def _band(line: Sequence[Dot], x: LogAxis, y: LogAxis, opacity: float) -> str:
    """The band around medians: an area, or an upright line where there is one median."""
    if len(line) == 1:
        (dot,) = line
        ends = f"M{number(x.at(dot.x))} {number(y.at(dot.low))}V{number(y.at(dot.high))}"
        return element("path", class_="band", d=ends, stroke_width="1") if dot.low < dot.high else ""
    lows = _seen(_pixels([(dot.x, dot.low) for dot in line], x, y), 1.0)
    highs = _seen(_pixels([(dot.x, dot.high) for dot in line], x, y), 1.0)
    return element(
        "path", class_="band", d=polyline([*lows, *reversed(highs)]) + "z", fill="currentColor", stroke="none",
        opacity=f"{opacity}",
    )  # fmt: skip


def _label(trace: SeriesTrace) -> str:
    return shorten(clean(trace.series.label), LABEL_WIDTH)


def _middles(line: Sequence[Dot]) -> list[Place]:
    return [(dot.x, dot.y) for dot in line]


def _pixels(places: Sequence[Place], x: LogAxis, y: LogAxis) -> list[Place]:
    return [(x.at(cost), y.at(error)) for cost, error in places]


def _seen(places: Sequence[Place], gap: float) -> list[Place]:
    return [places[at] for at in thinned(places, gap)]
