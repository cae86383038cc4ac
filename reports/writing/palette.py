"""Colours of every figure, on light paper and on dark, and the style sheet that changes between them.

Neighbours in the list differ in hue, and stay apart for readers who confuse red and green by lightness or by the marker
and the dashes that a look has beside its colour.
"""

from __future__ import annotations

import colorsys
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

PAPER: Final = {"light": "#ffffff", "dark": "#14181d"}
"""What a figure is painted on; a page of the same colours shows no edge around it."""

GREY: Final = "#767676"
"""What stands behind the data: bounds, edges, prices."""

COLOURS: Final = (
    ("#0072b2", "#4db5f0"), ("#d55e00", "#ff8a3d"), ("#00896a", "#2fc49a"), ("#c2458f", "#f07dc0"),
    ("#5f35c4", "#a88bfa"), ("#a67a00", "#e8bd3a"), ("#2a97c4", "#9be3fa"), ("#7a3b12", "#c98a5b"),
    ("#1a2a78", "#6f8cff"), ("#c3152b", "#ff6464"), ("#5e7d0c", "#a6cf4b"), ("#0b5460", "#56a9b0"),
    ("#7d2a6d", "#bd68b5"), ("#59656f", "#a9b6c1"), ("#d9706a", "#ffb5a6"), ("#3f9e2f", "#74e05a"),
    ("#9478e6", "#d6c8ff"), ("#14532d", "#3f9d63"), ("#96744f", "#e6d2ad"), ("#7a0c33", "#d9507f"),
    ("#4b7bea", "#b3ccff"), ("#ea3fa6", "#ffa3da"), ("#22262a", "#f3f6f8"), ("#85811a", "#dfdf73"),
)  # fmt: skip
"""Pairs for light and dark paper, each at a contrast of at least 3 with its paper."""

DASHES: Final = ("", "6 2.5", "2 2", "8 2 2 2")
"""Dashes of the first eight colours, the second eight, and so on."""

MARKERS: Final = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "p", "*")

_INKS: Final = {
    "ink": ("#1c2126", "#e6eaee"),
    "soft": ("#5b6570", "#a9b3bd"),
    "grid": ("#e4e8ec", "#2a313a"),
    "strong": ("#aab3bc", "#56616d"),
    "paper": (PAPER["light"], PAPER["dark"]),
}
INK: Final = {name: light for name, (light, _) in _INKS.items()}
"""Colours on light paper of text, lesser text, the grid, its lines that matter, and the paper, by their class."""

_STROKED: Final = ("grid", "strong")
_HEX: Final = re.compile(r"#[0-9a-f]{6}\b")


@dataclass(frozen=True)
class Look:
    """Colour, marker and dashes of a method; `place` is that of the colour in the list, -1 where it has none."""

    colour: str
    marker: str
    dashes: str = ""
    place: int = -1


def look(place: int) -> Look:
    """The look at a place, from 0 on; no two places have the same colour."""
    return Look(_colour(place), MARKERS[place % len(MARKERS)], DASHES[place // 8 % len(DASHES)], place)


def looks(methods: Sequence[str]) -> dict[str, Look]:
    """A look per method, in the order of their names."""
    return {method: look(place) for place, method in enumerate(sorted(set(methods)))}


def looks_kept(names: Sequence[tuple[str, str]], known: Mapping[str, Look]) -> dict[str, Look]:
    """The looks that a page gives some methods, where it has all of them and no two are alike; else new ones.

    Args:
        names: What each is called in a figure, and the spec of its method.
        known: Looks of the page by the spec of a method.
    """
    found = {name: known[method] for name, method in names if method in known}
    return found if len(set(found.values())) == len(names) else looks([name for name, _ in names])


def dark(colour: str) -> str:
    """What a colour of light paper is on dark paper: its pair, or the same hue lighter; greys are turned around."""
    known = dict(COLOURS) | dict(_INKS.values())
    if colour in known:
        return known[colour]
    hue, lightness, saturation = colorsys.rgb_to_hls(*(int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)))
    if saturation < 0.15:
        return _hex(hue, 0.1 + 0.85 * (1 - lightness) ** 0.7, saturation)
    return _hex(hue, 0.5 + 0.3 * lightness, min(saturation, 0.85))


def dark_rules(svg: str) -> str:
    """Rules that turn every colour written in the style attributes of an SVG into that of dark paper."""
    found = sorted(set(_HEX.findall(svg)))
    rules = [
        f'[style*="{name}: {colour}"]{{{name}:{dark(colour)}!important}}'
        for colour in found
        for name in ("fill", "stroke")
        if f"{name}: {colour}" in svg
    ]
    return _on_dark("text:not([style*=fill]){fill:" + _INKS["ink"][1] + "}" + "".join(rules))


def figure_style() -> str:
    """Rules of the figures whose elements have classes; a page that holds several of them needs it once."""
    inks = "".join(
        f".hb .{name}{{{'stroke' if name in _STROKED else 'fill'}:{shade}}}" for name, (_, shade) in _INKS.items()
    )
    halo = f".hb .halo{{stroke:{PAPER['dark']}}}"
    colours = "".join(f".hb .c{place}{{color:{shade}}}" for place, (_, shade) in enumerate(COLOURS))
    return (
        ".hb .series.off{display:none}.hb .key.off{opacity:.35}"
        ".hb.has-lit .series:not(.lit){opacity:.15}.hb .lit .median{stroke-width:3.4}"
        f"{_on_dark(inks + halo + colours)}"
    )


def _on_dark(rules: str) -> str:
    return f"@media screen and (prefers-color-scheme:dark){{{rules}}}"


def _colour(place: int) -> str:
    """The colour at a place: from the list, and beyond it of middle brightness, to be seen on either paper."""
    if place < len(COLOURS):
        return COLOURS[place][0]
    beyond = place - len(COLOURS)
    hue, saturation, wanted = beyond * 0.618034 % 1.0, 0.55 + 0.05 * (beyond % 7), 0.17 + 0.03 * (beyond % 4)
    low, high = 0.0, 1.0
    for _ in range(24):
        middle = (low + high) / 2
        red, green, blue = (part**2.2 for part in colorsys.hls_to_rgb(hue, middle, saturation))
        is_brighter = 0.2126 * red + 0.7152 * green + 0.0722 * blue > wanted
        low, high = (low, middle) if is_brighter else (middle, high)
    return _hex(hue, low, saturation)


def _hex(hue: float, lightness: float, saturation: float) -> str:
    return "#" + "".join(f"{round(255 * part):02x}" for part in colorsys.hls_to_rgb(hue, lightness, saturation))


FIGURE_STYLE: Final = figure_style()
"""The rules, to be put once into a page that holds such figures."""
