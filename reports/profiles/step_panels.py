"""Distributions as steps, written out as SVG: panels below each other that share their axis and one legend."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from hessbench.reports.error_curves.figures import WIDTH, framed
from hessbench.reports.error_curves.legend import legend
from hessbench.reports.error_curves.log_axis import LogAxis, axis_around
from hessbench.reports.error_curves.series_marks import SHAPES
from hessbench.reports.error_curves.surroundings import SMALL, text
from hessbench.reports.error_curves.surroundings import label as axis_label
from hessbench.reports.writing.drawing import Picture
from hessbench.reports.writing.palette import INK, Look
from hessbench.reports.writing.svg import element, number, plain, polyline, text_width

_LEFT: Final = 52.0
_RIGHT: Final = 462.0
_PANEL: Final = 118.0
_TALL: Final = 230.0
_GAP: Final = 30.0
_SHARES: Final = (0.0, 0.25, 0.5, 0.75, 1.0)
_NEAR: Final = 0.4
"""Pixels below which a step is not seen by itself."""


@dataclass(frozen=True)
class StepLine:
    """One distribution: its steps, and what its last marker says."""

    label: str
    method: str
    look: Look
    steps: tuple[tuple[float, float], ...]
    said: str


@dataclass(frozen=True)
class StepPanel:
    """Several distributions over one axis; lines of the same place are of the same method in every panel."""

    title: str
    lines: tuple[StepLine, ...]


def draw_steps(
    panels: Sequence[StepPanel], axis_name: str, tick: Callable[[float], str], *, name: str, label: str,
    least: float | None = None,
) -> Picture | None:  # fmt: skip
    """Draw the panels; None where no distribution has a step.

    Args:
        panels: At least one, each with the same methods in the same order.
        axis_name: What the shared axis is, with its unit.
        tick: Writes a value of it.
        name: Start of the ids, which no other figure of a page has.
        label: What the figure shows, in one sentence.
        least: Where the axis begins; around the least value by default.
    """
    values = [value for panel in panels for line in panel.lines for value, _ in line.steps if value > 0]
    if not values:
        return None
    around = axis_around([*values, *([] if least is None else [least])], _LEFT, _RIGHT)
    x = around if least is None else LogAxis(least * 0.97, around.high, _LEFT, _RIGHT)
    tall = _TALL if len(panels) == 1 else _PANEL
    parts: list[str] = []
    top = 24.0
    for place, panel in enumerate(panels):
        bottom = top + tall
        parts += [_grid(x, top, bottom, tick, panel.title, is_last=place == len(panels) - 1)]
        # The first in the legend are drawn last, over the others.
        parts += [_line(line, at, x, top, bottom) for at, line in reversed(list(enumerate(panel.lines)))]
        top = bottom + _GAP
    below = top - _GAP + 38
    parts.append(axis_label(f"{axis_name} (log scale)", (_LEFT + _RIGHT) / 2, below))
    entries = [(at, line.label, line.look, True) for at, line in enumerate(panels[0].lines)]
    keys, end = legend(entries, name, 8, below + 10, WIDTH - 12)
    height = math.ceil(end + 6)
    svg, _ = framed("".join([*parts, keys]), height, label)
    return Picture(svg, WIDTH, height)


def _grid(x: LogAxis, top: float, bottom: float, tick: Callable[[float], str], title: str, *, is_last: bool) -> str:
    upright = x.ticks(lambda value: text_width(tick(value), SMALL) + 10)
    level = [(share, bottom - share * (bottom - top)) for share in _SHARES]
    lines = [f"M{number(x.at(value))} {number(top)}V{number(bottom)}" for value in upright]
    lines += [f"M{number(x.start)} {number(at)}H{number(x.end)}" for _, at in level]
    frame = f"M{number(x.start)} {number(top)}V{number(bottom)}H{number(x.end)}"
    beside = [axis_label(f"{100 * share:.0f} %", x.start - 6, at + 4, "end") for share, at in level]
    below = [axis_label(tick(value), x.at(value), bottom + 16) for value in upright] if is_last else []
    return (
        element("path", class_="grid", d="".join(lines), stroke=INK["grid"], fill="none")
        + element("path", class_="strong", d=frame, stroke=INK["strong"], fill="none")
        + "".join([*beside, *below])
        + text(title, x.start, top - 8)
    )


def _line(line: StepLine, at: int, x: LogAxis, top: float, bottom: float) -> str:
    """The steps, carried on to the right edge, with a marker at the last: from there on all is censored."""
    places = [(x.at(value), bottom - share * (bottom - top)) for value, share in line.steps]
    marks = ""
    path: list[tuple[float, float]] = []
    if places:
        path = [(places[0][0], bottom), places[0]]
        for here, height in places[1:]:
            if here - path[-1][0] < _NEAR:
                path[-1] = (path[-1][0], height)
                continue
            path += [(here, path[-1][1]), (here, height)]
        path.append((x.end, places[-1][1]))
        marks = element("path", d=polyline(path), stroke_width="1.8", stroke_dasharray=line.look.dashes or None)
        end = f"M{number(places[-1][0])} {number(places[-1][1])}{SHAPES[line.look.marker]}"
        said = "<title>" + "\n".join(plain(part) for part in (line.label, line.said)) + "</title>"
        marks += element("path", said, class_="point", d=end, fill="currentColor", stroke_width="0.6")
    return element(
        "g", marks, class_=f"series c{line.look.place}", data_series=str(at), data_method=line.method,
        color=line.look.colour, fill="none", stroke="currentColor", stroke_linejoin="round",
    )  # fmt: skip
