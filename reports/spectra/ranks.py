"""Eigenvalues by rank: what each method found of the first ones, on the truth, with the bounds that it gives."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from hessbench.estimand import Array
from hessbench.estimand.base import EPS, Which, sort_key
from hessbench.reports.error_curves.log_axis import LogAxis, products_tick
from hessbench.reports.spectra.answers import ValuesAnswer
from hessbench.reports.spectra.densities import floor_of, look_of
from hessbench.reports.spectra.kept import KeptSpectrum
from hessbench.reports.spectra.panels import LEFT, MOST_PANELS, RIGHT, SMALL, Below, Box, SpectrumPanel, draw_panels
from hessbench.reports.spectra.upright import LogUpright
from hessbench.reports.writing import units
from hessbench.reports.writing.drawing import Picture
from hessbench.reports.writing.palette import INK, Look
from hessbench.reports.writing.svg import element, number, polyline, text_width

MOST_RANKS: Final = 100_000
"""Ranks of the truth that are looked at; those behind them are not drawn."""

_DECADES: Final = 12.0
_RADIUS: Final = 2.6
_DISC: Final = "m-2.6 0a2.6 2.6 0 1 0 5.2 0a2.6 2.6 0 1 0-5.2 0z"
_ROUNDING: Final = 10.0


def orders(spectrum: KeptSpectrum) -> tuple[str, ...]:
    """The orders in which a method was asked for the first eigenvalues, by magnitude first."""
    return tuple(
        which for which in ("magnitude", "algebraic", "smallest") if any(it.which == which for it in spectrum.values)
    )


def bounds_of(answer: ValuesAnswer) -> Array | None:
    """How far an eigenvalue may be from each value: its residual and the rounding of a product; None where unknown.

    For a symmetric A and a unit vector y there is an eigenvalue within ||A y - theta y|| of theta. Where a method says
    the largest residual only, that bounds all.
    """
    rounding = _ROUNDING * EPS[answer.dtype] * float(np.abs(answer.values).max())
    if answer.residuals is not None:
        return answer.residuals + rounding
    if answer.worst is not None and math.isfinite(answer.worst):
        return np.full(answer.values.size, answer.worst + rounding)
    return None


def known_ranks(spectrum: KeptSpectrum, which: str) -> Array | None:
    """The true eigenvalues in an order, as many as are known; None where none are."""
    truth = spectrum.truth
    if truth is not None and spectrum.is_whole:
        counts = np.rint(truth.weights * spectrum.dim).astype(np.int64)
        if counts.sum() == spectrum.dim and counts.min() >= 0:
            order = np.argsort(sort_key(truth.nodes, _which(which)), kind="stable")
            nodes, counts = truth.nodes[order], counts[order]
            ends = np.minimum(np.cumsum(counts), MOST_RANKS)
            return np.repeat(nodes, np.diff(ends, prepend=0))
    known = spectrum.leading_reference(which)
    return None if known is None else known.arrays["eigenvalues"]


def draw_ranks(spectrum: KeptSpectrum, which: str, looks: Mapping[str, Look], label: str) -> Picture:
    """Draw the first eigenvalues in an order: magnitude against rank, both logarithmic; negative ones are open.

    Args:
        spectrum: Of what.
        which: The order.
        looks: By the spec of a method.
        label: What the figure shows, for who does not see it.
    """
    answers = [answer for answer in spectrum.values if answer.which == which][:MOST_PANELS]
    truth = known_ranks(spectrum, which)
    most = max(answer.values.size for answer in answers)
    last = most if truth is None else max(most, min(truth.size, 4 * most))
    shown = [part for answer in answers for part in answer.spread] + ([] if truth is None else [truth[:last]])
    sizes = np.abs(np.concatenate(shown))
    highest = float(sizes.max()) or 1.0
    floor = max(floor_of(spectrum), highest * 10.0**-_DECADES)
    told = sizes[sizes > floor]
    lowest = max(float(told.min()) if told.size else highest, floor) / 1.6
    upright = LogUpright(min(lowest, highest / 4), highest * 1.6)
    across = LogAxis(0.8, max(last, 2) * 1.25, LEFT, RIGHT)

    def panel(answer: ValuesAnswer) -> SpectrumPanel:
        def draw(box: Box) -> str:
            return _found(answer, across, box)

        def behind(box: Box) -> str:
            return "" if truth is None else _truth(truth[:last], across, box)

        return SpectrumPanel(answer.spent.method, _aside(answer), look_of(looks, answer.spent.spec), draw, behind)

    found = [value for value in across.ticks(lambda it: text_width(products_tick(it), SMALL) + 9) if value >= 1]
    ticks = tuple((across.at(value), products_tick(value)) for value in found if float(value).is_integer())
    order = {"magnitude": "by magnitude", "algebraic": "from the top", "smallest": "from the bottom"}[which]
    below = Below(f"rank {order}, log scale", ticks)
    return draw_panels([panel(answer) for answer in answers], upright, below, "|eigenvalue| (log scale)", label)


def _aside(answer: ValuesAnswer) -> str:
    told = [f"{units.count(answer.spent.matvecs)} products"]
    if answer.spent.error is not None:
        told.append(f"error {units.share(answer.spent.error)}")
    return ", ".join(told)


def _found(answer: ValuesAnswer, across: LogAxis, box: Box) -> str:
    bounds = bounds_of(answer)
    bars: list[str] = []
    filled: list[str] = []
    hollow: list[str] = []
    for rank, value in enumerate(answer.values, 1):
        size = abs(float(value))
        x, y = across.at(rank), box.at(size)
        (filled if value >= 0 else hollow).append(f"M{number(x)} {number(y)}{_DISC}")
        if bounds is not None:
            bound = float(bounds[rank - 1])
            low, high = box.at(size - bound), box.at(size + bound)
            if low - high > 2 * _RADIUS:
                bars.append(f"M{number(x)} {number(low)}V{number(high)}")
    return (
        _spread(answer, across, box)
        + element("path", d="".join(bars) or None, class_="bounds", stroke_width="1.1", opacity="0.6")
        + element("path", d="".join(filled) or None, fill="currentColor", stroke="none")
        + element("path", d="".join(hollow) or None, class_="paper", fill=INK["paper"], stroke_width="1.3")
    )


def _spread(answer: ValuesAnswer, across: LogAxis, box: Box) -> str:
    """The least and the largest magnitude over the repeats as a bar at each rank, where they can be told apart."""
    if not answer.others:
        return ""
    bars: list[str] = []
    for rank, (least, most) in enumerate(zip(*answer.spread, strict=True), 1):
        low, high = box.at(float(least)), box.at(float(most))
        if low - high > 2 * _RADIUS:
            bars.append(f"M{number(across.at(rank))} {number(low)}V{number(high)}")
    return element("path", d="".join(bars), class_="spread", stroke_width="4", opacity="0.3") if bars else ""


def _truth(truth: Array, across: LogAxis, box: Box) -> str:
    """The truth as a line through its ranks, to what can be seen."""
    places: list[tuple[float, float]] = []
    for rank in _ranks(truth.size):
        place = across.at(rank), box.at(abs(float(truth[rank - 1])))
        if not places or abs(place[0] - places[-1][0]) >= 0.5:
            places.append(place)
    alone = f"M{number(places[0][0] - 4)} {number(places[0][1])}h8"
    line = polyline(places) if len(places) > 1 else alone
    return element("path", d=line, stroke_width="4.5", opacity="0.45", stroke_linecap="round")


def _ranks(number_of_values: int) -> Sequence[int]:
    if number_of_values <= 500:
        return range(1, number_of_values + 1)
    return [int(rank) for rank in np.unique(np.geomspace(1, number_of_values, 500).astype(np.int64))]


def _which(which: str) -> Which:
    return "magnitude" if which == "magnitude" else "algebraic" if which == "algebraic" else "smallest"
