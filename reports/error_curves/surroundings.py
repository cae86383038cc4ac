"""What stands around the curves: grid, labels of the axes, bounds of the references, the build and the whole matrix."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from hessbench.reports.error_curves.log_axis import LogAxis, percent_tick, products_tick, seconds_tick
from hessbench.reports.error_curves.traces import Cost
from hessbench.reports.writing.palette import INK
from hessbench.reports.writing.svg import element, number, plain, text_width

TOLERANCES: Final = (0.1, 0.01, 0.001)
"""Errors whose lines stand out of the grid."""

SMALL: Final = 11.5
LARGE: Final = 12.5
LINE: Final = 15.0
"""Pixels of small text, of other text, and from line to line."""

_MOST_BOUNDS: Final = 4
_MARGIN: Final = 12.0

AXIS_NAMES: Final[Mapping[Cost, str]] = {
    "matvecs": "products with the operator",
    "seconds": "the method's own time, without the build",
}


@dataclass(frozen=True)
class Upright:
    """A vertical line, or a strip where `low` and `high` differ, with a label above the axes."""

    low: float
    high: float
    label: str
    method: str = ""

    def pointing(self, x: LogAxis) -> Upright:
        """The same with an arrow in its label where all of it lies beyond the axis."""
        if self.low > x.high:
            return replace(self, label=f"{self.label} \N{RIGHTWARDS ARROW}")
        if self.high < x.low:
            return replace(self, label=f"\N{LEFTWARDS ARROW} {self.label}")
        return self


def grid(x: LogAxis, y: LogAxis, cost: Cost) -> str:
    """Lines and labels of both axes."""
    name = products_tick if cost == "matvecs" else seconds_tick
    upright = x.ticks(lambda value: text_width(name(value), SMALL) + 10)
    level = y.ticks(lambda _: 22.0)
    lines = [f"M{number(x.at(value))} {number(y.end)}V{number(y.start)}" for value in upright]
    lines += [f"M{number(x.start)} {number(y.at(value))}H{number(x.end)}" for value in level if not _matters(value)]
    strong = [f"M{number(x.start)} {number(y.at(value))}H{number(x.end)}" for value in TOLERANCES if y.holds(value)]
    below = [
        _text(name(value), _inside(name(value), x.at(value), x), y.start + 19, anchor="middle") for value in upright
    ]
    beside = [_text(percent_tick(value), x.start - 7, y.at(value) + 4, anchor="end") for value in level]
    axis_name = _text(f"{AXIS_NAMES[cost]} (log scale)", (x.start + x.end) / 2, y.start + 37, LARGE, "middle", "ink")
    frame = f"M{number(x.start)} {number(y.end)}V{number(y.start)}H{number(x.end)}"
    return (
        element("path", class_="grid", d="".join(lines), stroke=INK["grid"], fill="none")
        + element("path", class_="strong", d="".join([*strong, frame]), stroke=INK["strong"], fill="none")
        + "".join([*below, *beside])
        + axis_name
    )


def heading(label: str, sentence: str, left: float, top: float, width: float) -> tuple[str, float]:
    """Write what the error is above its axis.

    Args:
        label: In a few words, at most two lines.
        sentence: In one sentence, at most three lines.
        left: Pixel of the left edge.
        top: Pixel of the upper edge.
        width: Pixels there are.

    Returns:
        The elements, and the pixel where they end.
    """
    names = _wrapped(label, width, LARGE, 2)
    lines = _wrapped(sentence, width, SMALL, 3)
    tones = [(LARGE, "ink")] * len(names) + [(SMALL, "soft")] * len(lines)
    written = [
        _text(line, left, top + LINE * (at + 0.8), size, tone=tone)
        for at, (line, (size, tone)) in enumerate(zip([*names, *lines], tones, strict=True))
    ]
    return "".join(written), top + LINE * len(written)


def bounds(floors: Mapping[float, str], zero: float | None, x: LogAxis, y: LogAxis) -> str:
    """Dashed lines for what the reference cannot tell apart, labelled below each at the left.

    Args:
        floors: Bounds with their labels.
        zero: The error that stands for 0; None where no error is 0.
        x: Axis of the cost.
        y: Axis of the error.
    """
    shown = dict(floors)
    if len(floors) > _MOST_BOUNDS:
        shown = {min(floors): "least reference bound", max(floors): "largest reference bound"}
    edges = shown if zero is None else {**shown, zero: "error 0"}
    parts: list[str] = []
    labelled: list[float] = []
    for height, label in sorted(edges.items(), reverse=True):
        if not y.holds(height):
            continue
        place = y.at(height)
        parts.append(
            element("path", class_="bound", d=f"M{number(x.start)} {number(place)}H{number(x.end)}", fill="none",
                    stroke="#767676", stroke_dasharray="4 3")
        )  # fmt: skip
        # Labels closer than a line would be written over each other; the lines are there all the same.
        if all(abs(place - other) >= LINE for other in labelled):
            parts.append(_text(label, x.start + 6, place + 13 if place + 16 < y.start else place - 5, halo=True))
            labelled.append(place)
    return "".join(parts)


def uprights(lines: Sequence[Upright], x: LogAxis, y: LogAxis, rows: Sequence[int], top: float) -> str:
    """Vertical lines, each with its label in its row above the axes.

    Args:
        lines: What to draw.
        x: Axis of the cost.
        y: Axis of the error.
        rows: Row of each label, as `rows_of`.
        top: Pixel where the rows begin.
    """
    parts: list[str] = []
    for line, row in zip(lines, rows, strict=True):
        left, right = x.at(line.low), x.at(line.high)
        base = top + LINE * (row + 0.8)
        if line.low > x.high or line.high < x.low:
            strip = ""  # its label says where it lies
        elif right - left > 3:
            strip = element("rect", class_="strip", x=left, y=y.end, width=right - left, height=y.start - y.end,
                            fill="#767676", opacity="0.14")  # fmt: skip
        else:
            strip = element("path", d=f"M{number((left + right) / 2)} {number(base + 3)}V{number(y.start)}",
                            stroke="#767676", stroke_width="1.2", stroke_dasharray="2 3" if not line.method else "7 3",
                            fill="none")  # fmt: skip
        middle = _label_middle(line, x)
        parts.append(
            element("g", strip + _text(line.label, middle, base, anchor="middle"),
                    class_="reference" if line.method else "build-line", data_method=line.method or None)
        )  # fmt: skip
    return "".join(parts)


def rows_of(lines: Sequence[Upright], x: LogAxis) -> list[int]:
    """The row of each label, so that labels of one row do not touch."""
    ends: list[list[tuple[float, float]]] = []
    rows: list[int] = []
    for line in lines:
        half = text_width(line.label, SMALL) / 2 + 6
        middle = _label_middle(line, x)
        here = (middle - half, middle + half)
        row = next((at for at, taken in enumerate(ends) if all(_apart(here, other) for other in taken)), len(ends))
        if row == len(ends):
            ends.append([])
        ends[row].append(here)
        rows.append(row)
    return rows


def text(words: str, x: float, y: float) -> str:
    """A line of small text."""
    return _text(words, x, y, tone="ink")


def label(words: str, x: float, y: float, anchor: str = "middle") -> str:
    """A label of an axis: a line of small soft text.

    Args:
        words: What it says.
        x: Pixel of its anchor.
        y: Pixel of its base line.
        anchor: Which end of it, or its middle, is there.
    """
    return _text(words, x, y, anchor=anchor)


def _wrapped(words: str, width: float, size: float, most: int) -> list[str]:
    placeholder = " \N{HORIZONTAL ELLIPSIS}"
    return textwrap.wrap(words, int(width / (0.56 * size)), max_lines=most, placeholder=placeholder)


def _label_middle(line: Upright, x: LogAxis) -> float:
    half = text_width(line.label, SMALL) / 2
    return min(max((x.at(line.low) + x.at(line.high)) / 2, x.start + half), max(x.end - half, x.start + half))


def _inside(label: str, place: float, x: LogAxis) -> float:
    """The middle of a label at a place of the axis, kept off the edge of the figure."""
    return min(place, x.end + _MARGIN - text_width(label, SMALL) / 2)


def _apart(one: tuple[float, float], other: tuple[float, float]) -> bool:
    return one[1] <= other[0] or other[1] <= one[0]


def _matters(value: float) -> bool:
    return any(abs(value / one - 1) < 1e-6 for one in TOLERANCES)


def _text(
    words: str, x: float, y: float, size: float = SMALL, anchor: str | None = None, tone: str = "soft",
    *, halo: bool = False,
) -> str:  # fmt: skip
    """Text at a place; `halo` keeps lines off it."""
    around: dict[str, str | None] = (
        {"stroke": INK["paper"], "stroke_width": "3", "paint_order": "stroke", "stroke_linejoin": "round"}
        if halo
        else {}
    )
    return element(
        "text", plain(words), class_=f"{tone} halo" if halo else tone, x=x, y=y, font_size=number(size),
        text_anchor=anchor, fill=INK[tone], **around,
    )  # fmt: skip
