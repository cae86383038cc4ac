"""The legend below a figure, in as many columns as its names allow."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from hessbench.reports.error_curves.series_marks import LABEL_WIDTH, key_marks
from hessbench.reports.error_curves.surroundings import SMALL, text
from hessbench.reports.writing.escaping import clean, shorten
from hessbench.reports.writing.palette import Look
from hessbench.reports.writing.svg import element, plain, text_width

_MARK: Final = 33.0
_ROW: Final = 18.0
_COLUMNS: Final = 4


def legend(
    entries: Sequence[tuple[int, str, Look, bool]], name: str, left: float, top: float, width: float
) -> tuple[str, float]:
    """Draw the legend.

    Args:
        entries: Number of each series, its label, its look, and whether it has a line.
        name: Start of the ids in this figure.
        left: Pixel of its left edge.
        top: Pixel of its upper edge.
        width: Pixels it may take.

    Returns:
        The elements, and the pixel of the lower edge.
    """
    labels = [shorten(clean(label), LABEL_WIDTH) for _, label, _, _ in entries]
    rows, widths = _columns([text_width(label, SMALL) + _MARK + 5 for label in labels], width)
    parts: list[str] = []
    for at, ((place, label, look, is_line), shown) in enumerate(zip(entries, labels, strict=True)):
        x = left + sum(widths[: at // rows])
        y = top + _ROW * (at % rows + 0.5)
        inside = (
            (element("title", plain(label)) if label != shown else "")
            # Nothing is seen of it: it makes the whole entry answer to a pointer.
            + element("rect", x=x, y=y - _ROW / 2, width=text_width(shown, SMALL) + _MARK, height=_ROW,
                      stroke="none", fill="none", pointer_events="all")
            + key_marks(look, is_line, x, y)
            + element("g", text(shown, x + _MARK, y + 4), stroke="none")
        )  # fmt: skip
        parts.append(
            element("g", inside, class_=f"key c{look.place}", id=f"{name}-key-{place}", data_series=str(place),
                    color=look.colour, fill="none", stroke="currentColor")
        )  # fmt: skip
    return "".join(parts), top + _ROW * rows


def _columns(needed: Sequence[float], width: float) -> tuple[int, list[float]]:
    """Entries per column, and the width of each: as many columns as fit, filled one after the other."""
    for columns in range(min(len(needed), _COLUMNS), 1, -1):
        rows = -(-len(needed) // columns)
        widths = [max(needed[at : at + rows]) for at in range(0, len(needed), rows)]
        if sum(widths) <= width:
            return rows, widths
    return len(needed), [width]
