"""How every figure is drawn: one font, axes with ticks to read, and the same bytes every time."""

from __future__ import annotations

import io
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Literal

from matplotlib import font_manager
from matplotlib.axes import Axes
from matplotlib.axis import Axis as MatplotlibAxis
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.ft2font import FT2Font
from matplotlib.ticker import FuncFormatter, LogFormatterMathtext, LogLocator, NullLocator

from hessbench.reports.writing.palette import INK, dark_rules

_FONT: Final = "DejaVu Sans"  # shipped with matplotlib, so that figures are the same everywhere
FONTS: Final = 'system-ui,-apple-system,"Segoe UI","Liberation Sans",Arial,"DejaVu Sans",sans-serif'
"""What a reader's machine writes the text of figures in, which is text; they are laid out for the widest of these."""

RC: Final = {
    "svg.hashsalt": "hessbench",
    "svg.fonttype": "none",
    "path.simplify": True,
    "font.family": [_FONT],
    "font.size": 9.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.unicode_minus": True,
    "text.parse_math": True,
}


@dataclass(frozen=True)
class Picture:
    """A figure as a file.

    Attributes:
        svg: The file, with the rules that change its colours on dark paper.
        width: CSS pixels of the figure at its own size.
        height: CSS pixels of the figure at its own size.
    """

    svg: bytes
    width: int
    height: int


def faint_grid(axes: Axes, axis: Literal["both", "x", "y"] = "both") -> None:
    """Thin lines behind the data, at the ticks that are named."""
    axes.grid(visible=True, axis=axis, which="major", color=INK["grid"], linewidth=0.6)


def set_limits(axes: Axes, xs: Sequence[float], ys: Sequence[float]) -> None:
    """Limits with room around the data, and at least a factor 4 apart so that there are ticks to read."""
    for axis, values, margin in ((axes.xaxis, xs, 0.05), (axes.yaxis, ys, 0.06)):
        first, last = min(values), max(values)
        middle, half = math.sqrt(first * last), max(math.sqrt(last / first), 2.0)
        half *= (half * half) ** margin
        limits = (middle / half, middle * half)
        (axes.set_xlim if axis is axes.xaxis else axes.set_ylim)(*limits)
        _ticks(axis, limits)


def _ticks(axis: MatplotlibAxis, limits: tuple[float, float]) -> None:
    decades = math.log10(limits[1] / limits[0])
    if decades <= 3:
        subs = (1.0, 2.0, 5.0) if decades > 1 else (1.0, 1.5, 2.0, 3.0, 5.0, 7.0)
        axis.set_major_locator(LogLocator(subs=subs, numticks=20))
        axis.set_major_formatter(FuncFormatter(_number))
    else:
        axis.set_major_locator(LogLocator(numticks=9))
        axis.set_major_formatter(LogFormatterMathtext())
    axis.set_minor_locator(NullLocator())


def _number(value: float, _position: object = None) -> str:
    return f"{value:,.0f}" if 1000 <= value < 1e6 else f"{value:.3g}"


def writable(text: str) -> str:
    """Replace characters that the font the plotting library measures with does not have."""
    known = _font()
    return "".join(character if known.get_char_index(ord(character)) else "?" for character in text)


@lru_cache(maxsize=1)
def _font() -> FT2Font:
    return font_manager.get_font(font_manager.findfont(FontProperties(family=_FONT)))


def to_svg(figure: Figure) -> Picture:
    """The figure as a file whose text is text, light and dark; the same figure gives the same bytes.

    Raises:
        ValueError: If the plotting library writes no size that can be read.
    """
    file = io.BytesIO()
    FigureCanvasSVG(figure).print_svg(file, metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))
    text = file.getvalue().decode()
    head, found, body = text.partition("<svg ")
    tag, _, body = body.partition(">")
    places = re.findall(r'viewBox="0 0 ([0-9.]+) ([0-9.]+)"', tag)
    if not found or len(places) != 1:
        raise ValueError("the plotting library wrote no SVG of a known size")
    width, height = (round(float(length) * 4 / 3) for length in places[0])
    tag = re.sub(r' (width|height)="[^"]*"', "", tag)
    body = re.sub(rf"'{_FONT}'[^;\"]*", FONTS.replace('"', "'"), body)
    opened = f'{head}<svg width="{width}" height="{height}" {tag}>\n<style>{dark_rules(body)}</style>'
    return Picture((opened + body).encode(), width, height)
