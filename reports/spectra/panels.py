"""Small multiples: panels one above the other on one axis of eigenvalues, all with the same limits."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np

from hessbench.estimand import Array
from hessbench.reports.spectra.axis import SpectralAxis, tick_label
from hessbench.reports.writing.drawing import FONTS, Picture
from hessbench.reports.writing.escaping import clean, shorten
from hessbench.reports.writing.palette import FIGURE_STYLE, GREY, INK, Look
from hessbench.reports.writing.svg import element, number, plain, text_width

WIDTH: Final = 480
LEFT: Final = 56.0
RIGHT: Final = 466.0
MOST_PANELS: Final = 8
"""Methods of a figure, those of least error; of more the others are named in the caption."""

SMALL: Final = 11.5
LARGE: Final = 12.5
_TITLE: Final = 21.0
_RUG: Final = 9.0
_TICK_GAP: Final = 0.5


class UprightAxis(Protocol):
    """The axis of what is drawn against the eigenvalues, the same in every panel."""

    def ticks(self) -> Sequence[tuple[float, str]]:
        """Round values with labels."""
        ...

    def shares(self, values: Array) -> Array:
        """How far up values lie: 0 at the lower edge, 1 at the upper one; kept within."""
        ...


@dataclass(frozen=True)
class Box:
    """Where a panel draws: pixels of its upper and its lower edge."""

    top: float
    bottom: float
    upright: UprightAxis

    def at(self, value: float) -> float:
        """The pixel of a value."""
        return float(self.pixels(np.asarray([value], dtype=np.float64))[0])

    def pixels(self, values: Array) -> Array:
        """The pixels of values."""
        return self.bottom - (self.bottom - self.top) * self.upright.shares(values)


@dataclass(frozen=True)
class SpectrumPanel:
    """One method.

    Attributes:
        title: Its name.
        aside: What stands to the right of it: products, error, mass outside.
        look: Its colour.
        draw: From its place to the elements; drawn in `currentColor`.
        behind: The same of what stands behind, in grey.
    """

    title: str
    aside: str
    look: Look
    draw: Callable[[Box], str]
    behind: Callable[[Box], str] | None = None


@dataclass(frozen=True)
class Below:
    """The horizontal axis of a figure.

    Attributes:
        name: What it is, under its labels.
        ticks: Pixels with labels.
        rug: Pixels of short strokes under the last panel; empty where there are none.
    """

    name: str
    ticks: tuple[tuple[float, str], ...]
    rug: tuple[float, ...] = ()


def eigenvalue_axis(axis: SpectralAxis, rug: Array | None = None) -> Below:
    """The horizontal axis of a figure whose panels share an axis of eigenvalues, with a rug."""
    found = axis.ticks(lambda label: text_width(label, SMALL) + 9)
    places = axis.pixels(np.asarray([value for value, _ in found], dtype=np.float64))
    scale = {"linear": "", "log": ", log scale", "symlog": f", logarithmic beyond ±{tick_label(axis.unit)}"}[axis.scale]
    ticks = tuple((float(place), label) for place, (_, label) in zip(places, found, strict=True))
    strokes = () if rug is None or not rug.size else thinned_rug(axis, rug)
    return Below(f"eigenvalue{scale}", ticks, strokes)


def thinned_rug(axis: SpectralAxis, values: Array) -> tuple[float, ...]:
    """Pixels of the strokes of a rug, those that would fall on one another once."""
    places = axis.pixels(values[axis.holds(values)])
    return tuple(float(it) for it in np.unique(np.round(places / _TICK_GAP)) * _TICK_GAP)


def draw_panels(
    panels: Sequence[SpectrumPanel], upright: UprightAxis, below: Below, heading: str, label: str
) -> Picture:
    """Draw the panels.

    Args:
        panels: One a method, at most `MOST_PANELS`.
        upright: The axis of all of them.
        below: The horizontal axis.
        heading: What is drawn, above the first panel.
        label: What the figure shows, for who does not see it.
    """
    height = {1: 190.0, 2: 140.0, 3: 116.0}.get(len(panels), 96.0)
    top = 27.0
    parts = [_text(heading, 8, 17, LARGE, tone="ink")]
    for panel in panels:
        box = Box(top + _TITLE, top + _TITLE + height, upright)
        parts += [_frame(box, below), _heads(panel, top + _TITLE - 6), _marks(panel, box)]
        top = box.bottom + 5
    edge = top - 5
    if below.rug:
        strokes = "".join(f"M{number(place)} {number(edge + 2)}v{number(_RUG - 2)}" for place in below.rug)
        parts.append(element("path", class_="rug", d=strokes, stroke=GREY, stroke_width="0.6", fill="none"))
        edge += _RUG
    labels = [_text(text, _inside(text, place), edge + 16, anchor="middle") for place, text in below.ticks]
    parts += [*labels, _text(below.name, (LEFT + RIGHT) / 2, edge + 34, LARGE, "middle", "ink")]
    return _picture("".join(parts), math.ceil(edge + 42), label)


def stated(share: float) -> str:
    """A share of the mass: 12.3 %, 0.05 %, 2·10⁻⁵, 0."""
    size = abs(share)
    if size < 1e-12:
        return "0 %"
    sign = "\N{MINUS SIGN}" if share < 0 else ""
    if size < 1e-4:
        return f"{sign}{100 * size:.0e} %"
    return f"{sign}{100 * size:.3g} %"


def _frame(box: Box, below: Below) -> str:
    """Grid, edges and labels of the upright axis."""
    ticks = [(value, text) for value, text in box.upright.ticks()]
    lines = [f"M{number(place)} {number(box.top)}V{number(box.bottom)}" for place, _ in below.ticks]
    lines += [f"M{number(LEFT)} {number(box.at(value))}H{number(RIGHT)}" for value, _ in ticks]
    edges = f"M{number(LEFT)} {number(box.top)}V{number(box.bottom)}H{number(RIGHT)}"
    return (
        element("path", class_="grid", d="".join(lines), stroke=INK["grid"], fill="none")
        + element("path", class_="strong", d=edges, stroke=INK["strong"], fill="none")
        + "".join(_text(text, LEFT - 6, box.at(value) + 4, anchor="end") for value, text in ticks)
    )


def _heads(panel: SpectrumPanel, base: float) -> str:
    """Name at the left, what stands beside it at the right, cut so that they do not touch."""
    room = RIGHT - 8 - 16
    aside = shorten(clean(panel.aside), 60) if panel.aside else ""
    left = max(16, int((room - text_width(aside, SMALL)) / (0.61 * SMALL)))
    name = shorten(clean(panel.title), left)
    title = element("title", plain(clean(panel.title))) if name != clean(panel.title) else ""
    swatch = element("rect", x=8, y=base - 8, width=9, height=9, fill="currentColor", stroke="none")
    shown = element("g", title + swatch, class_=f"c{panel.look.place}", color=panel.look.colour)
    return shown + _text(name, 22, base, tone="ink") + _text(aside, RIGHT, base, anchor="end")


def _marks(panel: SpectrumPanel, box: Box) -> str:
    drawn = "" if panel.behind is None else panel.behind(box)
    behind = element("g", drawn, class_="truth", color=GREY, fill="none", stroke="currentColor")
    marks = element(
        "g", panel.draw(box), class_=f"marks c{panel.look.place}", color=panel.look.colour, fill="none",
        stroke="currentColor", stroke_linejoin="round",
    )  # fmt: skip
    return behind + marks


def _inside(label: str, place: float) -> float:
    half = text_width(label, SMALL) / 2
    return min(max(place, half + 2), WIDTH - 2 - half)


def _text(words: str, x: float, y: float, size: float = SMALL, anchor: str | None = None, tone: str = "soft") -> str:
    if not words:
        return ""
    return element(
        "text", plain(words), class_=tone, x=x, y=y, font_size=number(size), text_anchor=anchor, fill=INK[tone]
    )


def _picture(inside: str, height: int, label: str) -> Picture:
    paper = element("rect", class_="paper", width="100%", height="100%", fill=INK["paper"])
    style = f"<style>svg{{color-scheme:light dark}}{FIGURE_STYLE}</style>"
    file = element(
        "svg", style + paper + inside, xmlns="http://www.w3.org/2000/svg", class_="hb", role="img",
        aria_label=clean(label), width=str(WIDTH), height=str(height), viewBox=f"0 0 {WIDTH} {height}",
        font_family=FONTS, fill=INK["ink"],
    )  # fmt: skip
    return Picture(f'<?xml version="1.0" encoding="utf-8"?>\n{file}\n'.encode(), WIDTH, height)
