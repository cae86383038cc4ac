"""Elements of an SVG file as text: short numbers, attributes in the order given, everything escaped."""

from __future__ import annotations

import unicodedata
from functools import lru_cache
from html import escape
from typing import Final

from hessbench.reports.writing.escaping import clean

_NO_XML: Final = frozenset("\ufffe\uffff")


def number(value: float) -> str:
    """A length in pixels, to a tenth of one."""
    text = f"{value:.1f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def plain(text: str) -> str:
    """Text that XML can hold, escaped for an element or an attribute."""
    if text.isascii() and text.isprintable():
        return escape(text)
    return escape("".join("\N{REPLACEMENT CHARACTER}" if mark in _NO_XML else mark for mark in clean(text)))


def element(tag: str, content: str = "", /, **attributes: str | float | None) -> str:
    """An element; `class_` is class, an underscore is a hyphen, None leaves an attribute out.

    Args:
        tag: Its name.
        content: What it holds, written by these functions; text goes through `plain` first.
        attributes: Texts, which are escaped, and lengths.
    """
    written = "".join(
        f' {name.rstrip("_").replace("_", "-")}="{plain(it) if isinstance(it, str) else number(it)}"'
        for name, it in attributes.items()
        if it is not None
    )
    return f"<{tag}{written}>{content}</{tag}>" if content else f"<{tag}{written}/>"


def polyline(points: list[tuple[float, float]]) -> str:
    """Path data through the points, in steps from one to the next."""
    (x, y), *rest = [(round(10 * x), round(10 * y)) for x, y in points]
    steps = [f"M{_tenths(x)} {_tenths(y)}"]
    for place, (to_x, to_y) in enumerate(rest):
        steps.append(("l" if place == 0 else " ") + f"{_tenths(to_x - x)} {_tenths(to_y - y)}")
        x, y = to_x, to_y
    return "".join(steps)


def text_width(text: str, size: float) -> float:
    """Pixels that a text of this size needs at most, about, in any of the fonts that figures are written in."""
    return size * sum(1.0 if unicodedata.east_asian_width(mark) in "WF" else 0.61 for mark in text)


@lru_cache(maxsize=8192)
def _tenths(length: int) -> str:
    return number(length / 10)
