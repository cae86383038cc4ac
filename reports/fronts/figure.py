"""The fronts of one question as SVG: a small panel for each cost, who is on the front in colour, the others grey."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final

from hessbench.ledger.answering import Ranking
from hessbench.reports.costs.ranked import RANKED
from hessbench.reports.error_curves.cost_axes import COST_AXES
from hessbench.reports.error_curves.figures import WIDTH, framed
from hessbench.reports.error_curves.legend import legend
from hessbench.reports.error_curves.log_axis import LogAxis, axis_around, percent_tick
from hessbench.reports.error_curves.series_marks import SHAPES
from hessbench.reports.error_curves.surroundings import SMALL, text
from hessbench.reports.error_curves.surroundings import label as axis_label
from hessbench.reports.fronts.points import Front, FrontPoint
from hessbench.reports.writing import units
from hessbench.reports.writing.drawing import Picture
from hessbench.reports.writing.palette import GREY, INK, Look, looks_kept
from hessbench.reports.writing.svg import element, number, plain, polyline, text_width

_COLUMN: Final = 238.0
_LEFT: Final = 56.0
_RIGHT: Final = 228.0
_PANEL: Final = 150.0
_ROW: Final = 214.0
_MOST_GREY: Final = 300
"""Points of a panel that are on no front and drawn all the same."""


def draw_front(front: Front, known: Mapping[str, Look], stem: str) -> Picture | None:
    """Draw a question; None where no cost has two points that a log axis can show.

    Args:
        front: Its points.
        known: Looks of the page by the spec of a method.
        stem: Start of the ids, which no other figure of a page has.
    """
    every: dict[Ranking, list[FrontPoint]] = {by: _drawable(front.known(by), by) for by in RANKED}
    shown: dict[Ranking, list[FrontPoint]] = {by: points for by, points in every.items() if len(points) > 1}
    if not shown:
        return None
    on = [point for by, points in shown.items() for point in points if by in point.fronts]
    names = sorted({point.method: point for point in on}.items())
    colours = looks_kept([(name, point.key.method) for name, point in names], known)
    places = {name: at for at, (name, _) in enumerate(names)}
    least = _lower_edge([point.error.median for points in shown.values() for point in points])
    errors = [max(error, least) for point in on for error in (point.error.low, point.error.median)]
    errors += [point.error.high for point in on if math.isfinite(point.error.high)]
    errors += [max(point.error.median, least) for points in shown.values() for point in points]
    parts: list[str] = []
    for at, (by, points) in enumerate(shown.items()):
        left, top = _COLUMN * (at % 2), 24.0 + _ROW * (at // 2)
        y = axis_around(errors, top + _PANEL, top, least)
        parts.append(_panel(by, points, y, left, top, colours, places))
    end = 24.0 + _ROW * (-(-len(shown) // 2)) - 8
    entries = [(places[name], name, colours[name], False) for name, _ in names]
    keys, lower = legend(entries, stem, 8, end, WIDTH - 12)
    height = math.ceil(lower + 6)
    label = f"Pareto fronts of error against {len(shown)} costs: {front.question.label}"
    svg, _ = framed("".join([*parts, keys]), height, label)
    return Picture(svg, WIDTH, height)


def _drawable(points: Sequence[FrontPoint], by: Ranking) -> list[FrontPoint]:
    return [point for point in points if point.costs[by].median > 0]


def _lower_edge(errors: Sequence[float]) -> float:
    """Where an error of zero is drawn."""
    positive = [error for error in errors if error > 0]
    return 10.0 ** (math.floor(math.log10(min(positive))) - 1) if positive else 1e-16


def _panel(
    by: Ranking, points: Sequence[FrontPoint], y: LogAxis, left: float, top: float, colours: Mapping[str, Look],
    places: Mapping[str, int],
) -> str:  # fmt: skip
    costs = [cost for point in points for cost in _ends(point, by)]
    x = axis_around(costs, left + _LEFT, left + _RIGHT)
    front = sorted((it for it in points if by in it.fronts), key=lambda it: it.costs[by].median)
    others = [it for it in points if by not in it.fronts][:_MOST_GREY]
    grey = "".join(f"M{number(x.at(it.costs[by].median))} {number(y.at(it.error.median))}h0" for it in others)
    line = [(x.at(it.costs[by].median), y.at(it.error.median)) for it in front]
    return "".join(
        [
            _surroundings(by, x, y, left, top),
            element("path", d=grey, stroke=GREY, stroke_width="4", stroke_linecap="round", opacity="0.45", fill="none")
            if grey
            else "",
            element("path", class_="strong", d=polyline(line), stroke=INK["strong"], stroke_width="1.6", fill="none")
            if len(line) > 1
            else "",
            *(_mark(it, by, x, y, colours[it.method], places[it.method]) for it in front),
        ]
    )


def _ends(point: FrontPoint, by: Ranking) -> tuple[float, ...]:
    cost = point.costs[by]
    return tuple(end for end in (cost.low, cost.median, cost.high) if end > 0) if by in point.fronts else (cost.median,)


def _surroundings(by: Ranking, x: LogAxis, y: LogAxis, left: float, top: float) -> str:
    axis = COST_AXES[by]
    upright = x.ticks(lambda value: text_width(axis.tick(value), SMALL) + 12)
    level = y.ticks(lambda _: 24.0)
    lines = [f"M{number(x.at(value))} {number(y.end)}V{number(y.start)}" for value in upright]
    lines += [f"M{number(x.start)} {number(y.at(value))}H{number(x.end)}" for value in level]
    frame = f"M{number(x.start)} {number(y.end)}V{number(y.start)}H{number(x.end)}"
    below = [axis_label(axis.tick(value), x.at(value), y.start + 16) for value in upright]
    beside = [axis_label(percent_tick(value), x.start - 6, y.at(value) + 4, "end") for value in level]
    return (
        element("path", class_="grid", d="".join(lines), stroke=INK["grid"], fill="none")
        + element("path", class_="strong", d=frame, stroke=INK["strong"], fill="none")
        + "".join([*below, *beside])
        + axis_label(axis.name, (x.start + x.end) / 2, y.start + 32)
        + text(f"error against {RANKED[by].head.lower()}", left + 8, top - 8)
    )


def _mark(point: FrontPoint, by: Ranking, x: LogAxis, y: LogAxis, look: Look, place: int) -> str:
    """A marker with the spread over the repeats in both directions."""
    cost, error = point.costs[by], point.error
    at, down = x.at(cost.median), y.at(error.median)
    high = error.high if math.isfinite(error.high) else y.high
    bars = f"M{number(x.at(cost.low))} {number(down)}H{number(x.at(cost.high))}"
    bars += f"M{number(at)} {number(y.at(error.low))}V{number(y.at(high))}"
    said = [
        point.method,
        f"error {units.share(error.median)}{', at the bound of the reference' if point.is_at_bound else ''}",
        f"{RANKED[by].head.lower()} {RANKED[by].write(cost.median)}",
        f"budget {point.budget:,}, {point.repeats} repeat{'s' * (point.repeats != 1)}",
    ]
    title = "<title>" + "\n".join(plain(part) for part in said) + "</title>"
    is_open = point.is_at_bound or error.median == 0
    mark = element(
        "path", title, class_="point paper" if is_open else "point", fill=INK["paper"] if is_open else "currentColor",
        stroke_width="1.4" if is_open else "0.6", d=f"M{number(at)} {number(down)}{SHAPES[look.marker]}",
    )  # fmt: skip
    return element(
        "g", element("path", d=bars, stroke_width="1", opacity="0.7") + mark, class_=f"series c{look.place}",
        data_series=str(place), data_method=point.key.method, color=look.colour, fill="none", stroke="currentColor",
    )  # fmt: skip
