"""The figures of a page: each a file with its numbers beside it, and in the page itself while there is room."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from markupsafe import Markup

from hessbench.reports.costs.prices import Ladder
from hessbench.reports.error_curves.captions import caption
from hessbench.reports.error_curves.curves import Chart, chart_frame
from hessbench.reports.error_curves.figures import Drawing, draw
from hessbench.reports.error_curves.traces import Cost
from hessbench.reports.scale.checks import Check
from hessbench.reports.scale.curves import scale_chart_frame, scale_charts
from hessbench.reports.scale.figure import draw_scale, scale_caption
from hessbench.reports.writing.escaping import file_stem
from hessbench.reports.writing.folders import write_text
from hessbench.reports.writing.palette import Look
from hessbench.reports.writing.sheets import to_csv

INLINE_LIMIT: Final = 2_000_000
"""Characters of figures that a page holds itself; those after it are shown from their files."""
_COSTS: Final[tuple[tuple[Cost, str], ...]] = (("seconds", "seconds"), ("matvecs", "products"))


@dataclass(frozen=True)
class FigureFile:
    """A figure on the page.

    Attributes:
        file: Where it is.
        alt: What it shows, for who does not see it.
        caption: How to read it.
        width: In pixels of the page, as drawn.
        height: Likewise.
        inline: The same as an element of the page; None where it is shown from its file.
    """

    file: str
    alt: str
    caption: str
    width: int
    height: int
    inline: Markup | None = None


@dataclass(frozen=True)
class Pictures:
    """The figures of one problem and one estimand, and where their numbers are."""

    csv: str
    figures: tuple[FigureFile, ...]
    missing: tuple[str, ...]


@dataclass(frozen=True)
class ScaleFigure:
    """The figure of one family against size, and where its numbers are."""

    title: str
    csv: str
    figure: FigureFile


class Room:
    """How many characters of figures the page still takes."""

    def __init__(self) -> None:
        self._left = INLINE_LIMIT

    def takes(self, size: int) -> bool:
        """Whether there is room for so much; it is taken where there is."""
        if size > self._left:
            return False
        self._left -= size
        return True


def draw_pictures(chart: Chart, known: Mapping[str, Look], folder: Path, room: Room) -> Pictures:
    """Write the figures of a chart and its numbers.

    Args:
        chart: What to show.
        known: Looks by method.
        folder: The report.
        room: What the page still takes.
    """
    stem = file_stem(chart.problem, chart.estimand, apart=chart.problem_hash)
    csv = f"figures/{stem}.csv"
    write_text(folder / csv, to_csv(chart_frame(chart)))
    drawn: list[tuple[Cost, str, Drawing | str]] = [
        (cost, name, draw(chart, cost, known, f"{stem}-{cost}")) for cost, name in _COSTS
    ]
    is_inline = room.takes(sum(len(drawing.inline) for _, _, drawing in drawn if not isinstance(drawing, str)))
    figures: list[FigureFile] = []
    missing: list[str] = []
    for cost, name, drawing in drawn:
        if isinstance(drawing, str):
            missing.append(drawing)
            continue
        file = f"figures/{stem}-{cost}.svg"
        (folder / file).write_bytes(drawing.svg)
        alt = f"Error against {name}, {chart.estimand} of {chart.problem}, one curve per method"
        inline = Markup(drawing.inline) if is_inline else None
        words = caption(chart, cost, drawing)
        figures.append(FigureFile(file, alt, words, drawing.width, drawing.height, inline))
    return Pictures(csv, tuple(figures), tuple(dict.fromkeys(missing)))


def draw_scales(
    compared: Sequence[Check], known: Sequence[Ladder], styles: Mapping[str, Look], folder: Path
) -> tuple[ScaleFigure, ...]:
    """Write the figures of predicted against measured and their numbers.

    Args:
        compared: What was run at several sizes.
        known: Measured ladders.
        styles: Looks by method.
        folder: The report.
    """
    made: list[ScaleFigure] = []
    for chart in scale_charts(compared, known, styles):
        stem = f"figures/{file_stem('scale', chart.title, apart=chart.conditions)}"
        write_text(folder / f"{stem}.csv", to_csv(scale_chart_frame(chart)))
        picture = draw_scale(chart)
        (folder / f"{stem}.svg").write_bytes(picture.svg)
        alt = f"Seconds against size, predicted and measured, {chart.title}, {chart.conditions}"
        figure = FigureFile(f"{stem}.svg", alt, scale_caption(chart), picture.width, picture.height)
        made.append(ScaleFigure(chart.title, f"{stem}.csv", figure))
    return tuple(made)
