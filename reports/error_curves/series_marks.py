"""A series as a group of an SVG: band, repeats, lines, markers that say what they are, and the build."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from hessbench.reports.error_curves.log_axis import LogAxis, percent, products
from hessbench.reports.error_curves.traces import Dot, Place, Trace, thinned
from hessbench.reports.writing import units
from hessbench.reports.writing.palette import INK, Look
from hessbench.reports.writing.svg import element, number, plain, polyline, value

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

_SHOWN_CELLS: Final = 3
_CELLS: Final = 10


def series_group(
    trace: Trace, look: Look, x: LogAxis, y: LogAxis, *, name: str, place: int, crowd: int, builds: bool
) -> str:
    """Draw a series.

    Args:
        trace: What to draw.
        look: Its colour, marker and dashes.
        x: Axis of the cost.
        y: Axis of the error; what is below it is drawn on its edge.
        name: Start of the ids in this figure.
        place: Number of the series in the chart.
        crowd: How many series the figure has; many are drawn with less behind their medians and fewer markers.
        builds: Whether the build is marked on the axis of the cost.
    """
    parts: list[str] = []
    fine = crowd <= FEW_SERIES
    for line in trace.lines:
        if trace.is_median and len(line) > 1:
            parts.append(_band(line, x, y, 0.13 if fine else 0.07))
    faint = [_pixels(places, x, y) for places in trace.repeats] if fine else []
    parts += [
        element("path", class_="repeat", d=polyline(_seen(places, 1.5)), stroke_width="0.8", opacity="0.35")
        for places in faint
    ]
    for line in trace.lines:
        places = _pixels([(dot.x, dot.y) for dot in line], x, y)
        if len(places) > 1:
            width = "2" if trace.is_median else "1.5"
            parts.append(
                element("path", class_="median", d=polyline(_seen(places, 1.0)), stroke_width=width,
                        stroke_dasharray=look.dashes or None)
            )  # fmt: skip
    for line in trace.lines:
        places = _pixels([(dot.x, dot.y) for dot in line], x, y)
        kept = thinned(places, max(7.0, 1.6 * crowd * len(trace.lines)))
        parts += [_marker(line[at], places[at], look, trace) for at in kept]
    if builds and trace.build is not None and x.holds(trace.build):
        parts.append(
            element("path", f"<title>{plain(f'{trace.series.label}: build {units.seconds(trace.build)}')}</title>",
                    class_="build", d=f"M{number(x.at(trace.build))} {number(y.start)}v7", stroke_width="2")
        )  # fmt: skip
    return element(
        "g", "".join(parts), class_=f"series c{look.place}", id=f"{name}-series-{place}", data_series=str(place),
        data_method=trace.series.method, data_label=trace.series.label, color=look.colour, fill="none",
        stroke="currentColor", stroke_linejoin="round",
    )  # fmt: skip


def key_marks(look: Look, is_line: bool, x: float, y: float) -> str:
    """What stands before the name of a series in the legend, from x on."""
    line = element("path", d=f"M{number(x)} {number(y)}h26", stroke_width="2", stroke_dasharray=look.dashes or None)
    marker = element("path", d=f"M{number(x + 13)} {number(y)}{SHAPES[look.marker]}", fill="currentColor")
    return (line if is_line else "") + marker


def describe(trace: Trace, dot: Dot) -> list[str]:
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
    cells = ", ".join(dot.cells[:_SHOWN_CELLS])
    more = len(dot.cells) - _SHOWN_CELLS
    return [
        trace.series.label,
        f"error {error}",
        cost,
        f"budget {dot.budget:,}; cell {cells}" + (f" and {more} more" if more > 0 else ""),
    ]


def _marker(dot: Dot, place: Place, look: Look, trace: Trace) -> str:
    is_open = dot.at_floor or dot.y == 0
    return element(
        "path",
        "<title>" + "\n".join(plain(line) for line in describe(trace, dot)) + "</title>",
        class_="point paper" if is_open else "point",
        fill=INK["paper"] if is_open else "currentColor",
        stroke_width="1.4" if is_open else "0.6",
        data_budget=str(dot.budget),
        data_products=value(dot.matvecs),
        data_seconds=None if dot.seconds is None else value(dot.seconds),
        data_build=None if dot.build is None else value(dot.build),
        data_error=value(dot.y),
        data_low=value(dot.low) if dot.low < dot.high else None,
        data_high=value(dot.high) if dot.low < dot.high else None,
        data_repeats=str(len(dot.cells)),
        data_cells=" ".join(dot.cells[:_CELLS]),
        d=f"M{number(place[0])} {number(place[1])}{SHAPES[look.marker]}",
    )


def _band(line: Sequence[Dot], x: LogAxis, y: LogAxis, opacity: float) -> str:
    lows = _seen(_pixels([(dot.x, dot.low) for dot in line], x, y), 1.0)
    highs = _seen(_pixels([(dot.x, dot.high) for dot in line], x, y), 1.0)
    return element(
        "path", class_="band", d=polyline([*lows, *reversed(highs)]) + "z", fill="currentColor", stroke="none",
        opacity=f"{opacity}",
    )  # fmt: skip


def _pixels(places: Sequence[Place], x: LogAxis, y: LogAxis) -> list[Place]:
    return [(x.at(cost), y.at(error)) for cost, error in places]


def _seen(places: Sequence[Place], gap: float) -> list[Place]:
    return [places[at] for at in thinned(places, gap)]
