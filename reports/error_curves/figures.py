"""Error against cost as SVG, written out by hand: small, the same bytes every time, its text text, its parts named."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from hessbench.reports.error_curves.curves import Chart
from hessbench.reports.error_curves.legend import legend
from hessbench.reports.error_curves.log_axis import axis_around, products
from hessbench.reports.error_curves.series_marks import FEW_SERIES, describe, series_group
from hessbench.reports.error_curves.surroundings import LINE, Upright, bounds, grid, heading, rows_of, uprights
from hessbench.reports.error_curves.traces import Cost, SeriesTrace, trace
from hessbench.reports.writing import units
from hessbench.reports.writing.drawing import FONTS, Picture
from hessbench.reports.writing.palette import FIGURE_STYLE, INK, Look
from hessbench.reports.writing.svg import element

WIDTH: Final = 480
MOST_SERIES: Final = 48
"""Series of a figure, those first that reached the least error."""

_LEFT: Final = 62.0
_RIGHT: Final = 466.0
_HEIGHT: Final = 270.0
_MOST_MARKERS: Final = 240
_REACH: Final = 10.0
"""How far beyond the curves a line may lie, as a factor; further out it would squeeze them."""


@dataclass(frozen=True)
class Drawing(Picture):
    """A figure and what its caption must say.

    Attributes:
        inline: The same as an element for a page that has `FIGURE_STYLE`.
        traces: What is drawn.
        at_floor: Markers drawn at their reference's bound, because they are at or below it.
        zeros: Markers of error zero without a bound, drawn at the lower edge.
        left_out: Answers without a positive cost, which a log axis cannot show.
        hidden: Series beyond those drawn.
    """

    inline: str
    traces: tuple[SeriesTrace, ...]
    at_floor: int
    zeros: int
    left_out: int
    hidden: int

    @property
    def has_repeats(self) -> bool:
        """Whether single repeats are drawn behind their medians."""
        return len(self.traces) <= FEW_SERIES and any(one.repeats for one in self.traces)


def draw(chart: Chart, cost: Cost, known: Mapping[str, Look], stem: str) -> Drawing | str:
    """Draw one chart.

    Args:
        chart: What to show.
        cost: What the horizontal axis is.
        known: Looks by the name of the series.
        stem: Start of the ids, which no other chart of the page has.

    Returns:
        The drawing; or a sentence in its place where it would hold one point or none.
    """
    every = [(place, trace(series, cost)) for place, series in enumerate(chart.series)]
    with_cost = [(place, one) for place, one in every if one.lines]
    curves = [(place, one) for place, one in with_cost if not one.series.is_reference]
    dots = [dot for _, one in curves for dot in one.dots]
    if not with_cost:
        return _NO_COST[cost]
    wholes = [one for _, one in with_cost if one.series.is_reference]
    if not curves or len({(one.series.name, dot.x, dot.y) for _, one in curves for dot in one.dots}) == 1:
        return _sentence([one for _, one in curves] or wholes, wholes if curves else [], cost)
    hidden, curves = len(curves[MOST_SERIES:]), curves[:MOST_SERIES]

    edge = _lower_edge([height for dot in dots for height in (dot.low, dot.y)])
    zeros = sum(dot.y == 0 for dot in dots)
    faint = [place for _, one in curves for repeat in one.repeats for place in repeat]
    faint = faint if len(curves) <= FEW_SERIES else []
    heights = [max(height, edge) for dot in dots for height in (dot.low, dot.high)]
    heights += [max(height, edge) for _, height in faint]
    heights += [floor for floor in chart.floors if floor >= min(heights) / _REACH]
    lines = _upright_lines([one for _, one in curves], wholes, cost)
    xs = [dot.x for dot in dots] + [at for at, _ in faint]
    near = [line for line in lines if min(xs) <= line.high * _REACH and line.low <= max(xs) * _REACH]
    x = axis_around(xs + [end for line in near for end in (line.low, line.high)], _LEFT, _RIGHT)
    lines = [line.pointing(x) for line in lines]
    words, top = heading(f"{chart.shown.label}, in %", chart.shown.sentence, 8, 6, WIDTH - 16)
    rows = rows_of(lines, x)
    upper = top + 6 + LINE * (max(rows, default=-1) + 1)
    y = axis_around(heights, upper + 6 + _HEIGHT, upper + 6, edge if zeros else 0.0)
    name = f"{stem}-{cost}"
    gap = 7.0 * max(1.0, len(dots) / _MOST_MARKERS)
    parts = [
        words,
        grid(x, y, cost),
        uprights(lines, x, y, rows, top + 4),
        bounds(chart.floors, edge if zeros else None, x, y),
        # Those that reached the least error are drawn last, over the others.
        *(
            series_group(
                one,
                known[one.series.name],
                x,
                y,
                name=name,
                place=place,
                crowd=len(curves),
                gap=gap,
                builds=cost == "seconds",
            )
            for place, one in reversed(curves)
        ),
    ]
    entries = [
        (place, one.series.label, known[one.series.name], any(len(line) > 1 for line in one.lines))
        for place, one in curves
    ]
    below, end = legend(entries, name, 8, y.start + 50, WIDTH - 12)
    picture = framed("".join([*parts, below]), math.ceil(end + 6), _summary(chart, cost, len(curves)))
    return Drawing(
        svg=picture[0],
        width=WIDTH,
        height=math.ceil(end + 6),
        inline=picture[1],
        traces=tuple(one for _, one in curves),
        at_floor=sum(dot.at_floor and dot.y > 0 for dot in dots),
        zeros=zeros,
        left_out=sum(one.left_out for _, one in every),
        hidden=hidden,
    )


_NO_COST: Final[Mapping[Cost, str]] = {
    "matvecs": "No answer counts products, so error against products is not drawn.",
    "seconds": "No answer has measured seconds, so error against seconds is not drawn.",
}


def _sentence(told: Sequence[SeriesTrace], wholes: Sequence[SeriesTrace], cost: Cost) -> str:
    """What a figure of one point would show."""
    points = ["; ".join(describe(one, one.dots[0])) for one in told]
    return f"One point, so no figure: {'. '.join([*points, *(line.label for line in _wholes(wholes, cost))])}."


def _upright_lines(curves: Sequence[SeriesTrace], wholes: Sequence[SeriesTrace], cost: Cost) -> list[Upright]:
    """The whole matrix and the build as vertical lines."""
    lines = _wholes(wholes, cost)
    builds = sorted(one.build for one in curves if one.build is not None) if cost == "seconds" else []
    if builds:
        least, most = units.seconds(builds[0]), units.seconds(builds[-1])
        lines.append(
            Upright(builds[0], builds[-1], f"build: {least}" if least == most else f"build: {least} to {most}")
        )
    return lines


def _wholes(wholes: Sequence[SeriesTrace], cost: Cost) -> list[Upright]:
    lines: list[Upright] = []
    for one in wholes:
        spent = sorted(dot.x for dot in one.dots)
        middle = spent[len(spent) // 2]
        amount = f"{products(middle)} products" if cost == "matvecs" else units.seconds(middle)
        lines.append(Upright(middle, middle, f"{one.series.label}: {amount}", one.series.method))
    return lines


def _lower_edge(heights: Sequence[float]) -> float:
    """A power of ten below everything drawn, to stand for an error of zero without a bound."""
    positive = [height for height in heights if height > 0]
    return 10.0 ** (math.floor(math.log10(min(positive))) - 1) if positive else 1e-16


def _summary(chart: Chart, cost: Cost, number_of_curves: int) -> str:
    against = "products" if cost == "matvecs" else "seconds"
    return (
        f"Error of {number_of_curves} method{'s' * (number_of_curves != 1)} against {against}: {chart.estimand} of "
        f"{chart.problem}"
    )


def framed(inside: str, height: int, label: str) -> tuple[bytes, str]:
    """Put what is drawn on paper.

    Args:
        inside: Elements of a figure of the width `WIDTH`.
        height: Its height.
        label: What it shows, in one sentence.

    Returns:
        The file, and the element for a page that has `FIGURE_STYLE`.
    """
    size: dict[str, str] = {
        "width": str(WIDTH), "height": str(height), "viewBox": f"0 0 {WIDTH} {height}", "font_family": FONTS,
        "fill": INK["ink"],
    }  # fmt: skip
    paper = element("rect", class_="paper", width="100%", height="100%", fill=INK["paper"])
    style = f"<style>svg{{color-scheme:light dark}}{FIGURE_STYLE}</style>"
    file = element(
        "svg", style + paper + inside, xmlns="http://www.w3.org/2000/svg", class_="hb", role="img", aria_label=label,
        **size,
    )  # fmt: skip
    inline = element("svg", inside, class_="hb", role="group", aria_label=label, **size)
    return f'<?xml version="1.0" encoding="utf-8"?>\n{file}\n'.encode(), inline
