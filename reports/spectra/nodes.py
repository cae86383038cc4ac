"""The nodes of quadratures as stems, their height the weight, and the cumulative density as stairs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from hessbench.estimand import Array
from hessbench.reports.spectra.answers import DensityAnswer
from hessbench.reports.spectra.axis import SpectralAxis
from hessbench.reports.spectra.densities import MOST_FAINT, Ground, aside, look_of
from hessbench.reports.spectra.kept import KeptSpectrum
from hessbench.reports.spectra.measure import Measure
from hessbench.reports.spectra.panels import MOST_PANELS, Box, SpectrumPanel, draw_panels, eigenvalue_axis
from hessbench.reports.spectra.smoothing import distribution
from hessbench.reports.spectra.upright import LogUpright, ShareUpright
from hessbench.reports.writing.drawing import Picture
from hessbench.reports.writing.palette import Look
from hessbench.reports.writing.svg import element, number

MOST_STEMS: Final = 400
"""Stems of a method; of more those in one pixel are drawn as one."""

_LEAST: Final = 1e-8
_DOT: Final = "h0"
_ROUND: Final = "round"


def draw_stems(spectrum: KeptSpectrum, ground: Ground, looks: Mapping[str, Look], label: str) -> Picture:
    """Draw the nodes of the first repeat of every method, the height of each its weight; those of others as faint dots.

    Args:
        spectrum: Of what.
        ground: The axis and the truth.
        looks: By the spec of a method.
        label: What the figure shows, for who does not see it.
    """
    axis = ground.axis
    shown = spectrum.densities[:MOST_PANELS]
    stems = {answer.spent.method: stems_of(answer.measures[0], axis) for answer in shown}
    others = {answer.spent.method: _others(answer, axis) for answer in shown}
    drawn = [*stems.values(), *(one for several in others.values() for one in several)]
    heights = [float(height) for _, weights in drawn for height in weights]
    highest = max([*heights, _LEAST * 10])
    lowest = max(min([*heights, highest / 10]) / 2, _LEAST)
    upright = LogUpright(lowest, max(highest * 1.5, lowest * 10))

    def panel(answer: DensityAnswer) -> SpectrumPanel:
        def draw(box: Box) -> str:
            places, weights = stems[answer.spent.method]
            tips = _tips(places, weights, box)
            lines = "".join(f"M{number(place)} {number(box.bottom)}V{number(top)}" for place, top in tips)
            faint = _dots([tip for one in others[answer.spent.method] for tip in _tips(*one, box)])
            several = element("path", d=faint, class_="others", stroke_width="3", opacity="0.3", stroke_linecap=_ROUND)
            return (
                (several if faint else "")
                + element("path", d=lines or None, stroke_width="0.9", opacity="0.75")
                + element("path", d=_dots(tips) or None, stroke_width="4", stroke_linecap=_ROUND)
            )

        return SpectrumPanel(answer.spent.method, aside(answer, axis), look_of(looks, answer.spent.spec), draw)

    return draw_panels(
        [panel(answer) for answer in shown], upright, eigenvalue_axis(axis, ground.rug),
        "Nodes and their weights (log scale)", label,
    )  # fmt: skip


def _others(answer: DensityAnswer, axis: SpectralAxis) -> list[tuple[Array, Array]]:
    """Pixels and heights of the tips of a few other repeats; none where there are too many to be told apart."""
    found = [stems_of(measure, axis) for measure in answer.measures[1:MOST_FAINT]]
    return found if sum(places.size for places, _ in found) <= MOST_STEMS else []


def _tips(places: Array, weights: Array, box: Box) -> list[tuple[float, float]]:
    return list(zip(places.tolist(), box.pixels(weights).tolist(), strict=True))


def _dots(tips: Sequence[tuple[float, float]]) -> str:
    return "".join(f"M{number(place)} {number(top)}{_DOT}" for place, top in tips)


def stems_of(measure: Measure, axis: SpectralAxis) -> tuple[Array, Array]:
    """Pixels and heights of the stems on an axis: nodes of positive weight, those of one pixel together where many."""
    shown = axis.holds(measure.nodes) & (measure.weights > 0)
    if axis.scale == "log":
        shown &= measure.nodes >= axis.unit
    places, weights = axis.pixels(measure.nodes[shown]), measure.weights[shown]
    if places.size > MOST_STEMS:
        places, first = np.unique(np.round(places), return_inverse=True)
        weights = np.bincount(first, weights=weights, minlength=places.size).astype(np.float64)
    return places, weights


def draw_cumulative(spectrum: KeptSpectrum, ground: Ground, looks: Mapping[str, Look], label: str) -> Picture:
    """Draw the share of the eigenvalues up to each place, single repeats faint.

    Args:
        spectrum: Of what.
        ground: The axis and the truth.
        looks: By the spec of a method.
        label: What the figure shows, for who does not see it.
    """
    axis = ground.axis
    half_pixels = np.arange(0.0, axis.end - axis.start + 0.25, 0.5)
    first, last = axis.coordinates(np.asarray([axis.low, axis.high]))
    values = axis.values(first + (last - first) * half_pixels / (axis.end - axis.start))
    values[0], values[-1] = axis.low, axis.high
    places = axis.start + half_pixels

    def stairs(measure: Measure, box: Box) -> str:
        return _stairs(distribution(measure, values), places, box)

    def panel(answer: DensityAnswer) -> SpectrumPanel:
        def draw(box: Box) -> str:
            faint = answer.measures[:MOST_FAINT] if len(answer.measures) > 1 else ()
            lines = "".join(stairs(one, box) for one in faint)
            several = element("path", d=lines, stroke_width="0.7", opacity="0.4") if lines else ""
            return several + element("path", d=stairs(answer.mean, box), stroke_width="1.7")

        def truth(box: Box) -> str:
            if ground.truth is None:
                return ""
            return element("path", d=stairs(ground.truth, box), stroke_width="4.5", opacity="0.45")

        return SpectrumPanel(answer.spent.method, aside(answer, axis), look_of(looks, answer.spent.spec), draw, truth)

    return draw_panels(
        [panel(answer) for answer in spectrum.densities[:MOST_PANELS]], ShareUpright(),
        eigenvalue_axis(axis, ground.rug), "Share of the eigenvalues up to here", label,
    )  # fmt: skip


def _stairs(heights: Array, places: Array, box: Box) -> str:
    """Path data of stairs, a corner where the height changes by what can be seen."""
    pixels = np.rint(10 * box.pixels(heights))
    corners = np.flatnonzero(np.diff(pixels)) + 1
    steps = [f"M{number(float(places[0]))} {number(pixels[0] / 10)}"]
    steps += [f"H{number(float(places[at]))}V{number(pixels[at] / 10)}" for at in corners]
    return "".join([*steps, f"H{number(float(places[-1]))}"])
