"""The density of the eigenvalues, smoothed by a Gaussian, one panel a method, the truth in grey behind each."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from hessbench.estimand import Array
from hessbench.reports.spectra.answers import DensityAnswer
from hessbench.reports.spectra.axis import Scale, SpectralAxis, axis_for, tick_label
from hessbench.reports.spectra.kept import KeptSpectrum
from hessbench.reports.spectra.measure import Measure
from hessbench.reports.spectra.panels import (
    LEFT,
    MOST_PANELS,
    RIGHT,
    Box,
    SpectrumPanel,
    draw_panels,
    eigenvalue_axis,
    stated,
)
from hessbench.reports.spectra.smoothing import density_on, heuristic_sigma, outside, shared_steps
from hessbench.reports.spectra.upright import LogUpright
from hessbench.reports.writing import units
from hessbench.reports.writing.drawing import Picture
from hessbench.reports.writing.palette import Look, look
from hessbench.reports.writing.svg import element, number, polyline

_POINTS: Final = (206, 411)
"""Of a curve: one in two pixels, or one a pixel where the Gaussian is narrow."""
_NARROW: Final = 0.03

MOST_FAINT: Final = 5
_MOST_DECADES: Final = 7.0
SIGMA: Final = "\N{GREEK SMALL LETTER SIGMA}"


@dataclass(frozen=True)
class Width:
    """The width of the Gaussian: as a share of half the axis, and the steps it follows from; 0 where it was stated."""

    sigma: float
    steps: int = 0


@dataclass(frozen=True)
class Ground:
    """What every figure of a spectrum is drawn on.

    Attributes:
        axis: Of the eigenvalues.
        truth: The true density; None where it is not known.
        rug: Eigenvalues that are known, all of them or the first.
    """

    axis: SpectralAxis
    truth: Measure | None
    rug: Array | None


def floor_of(spectrum: KeptSpectrum) -> float:
    """Below what magnitude a value is not told from zero: the bound of a reference, or the rounding of the dtype."""
    known = [*filter(None, [spectrum.density_reference]), *spectrum.references.values()]
    bounds = [it.bound_in(spectrum.dtype) for it in known if "nodes" in it.arrays or "eigenvalues" in it.arrays]
    if bounds:
        return max(bounds)
    size = max((float(np.abs(nodes).max()) for nodes in _nodes(spectrum)), default=0.0)
    return 10 * size * (2.0**-23 if spectrum.dtype == "float32" else 2.0**-52)


def ground_of(spectrum: KeptSpectrum, scale: Scale) -> Ground:
    """The axis of a spectrum: that of the truth where it is known, else of everything that was found.

    Raises:
        ValueError: If there is no eigenvalue that the axis could show.
    """
    truth = spectrum.truth
    shown = [truth.seen] if truth is not None else _nodes(spectrum)
    axis = axis_for(scale, shown, floor_of(spectrum), LEFT, RIGHT)
    return Ground(axis, truth, _rug(spectrum, truth))


def width_of(spectrum: KeptSpectrum, stated_sigma: float | None = None) -> Width:
    """The width that is stated, or the heuristic one of the method with the middle number of steps."""
    if stated_sigma is not None:
        return Width(stated_sigma)
    steps = shared_steps([answer.steps for answer in spectrum.densities])
    return Width(heuristic_sigma(steps), steps)


def draw_density(
    spectrum: KeptSpectrum, ground: Ground, width: Width, looks: Mapping[str, Look], label: str
) -> Picture:
    """Draw the density of every method.

    Args:
        spectrum: Of what.
        ground: The axis and the truth.
        width: Of the Gaussian.
        looks: By the spec of a method.
        label: What the figure shows, for who does not see it.
    """
    axis = ground.axis
    shown = spectrum.densities[:MOST_PANELS]
    points = _POINTS[width.sigma < _NARROW]
    curves = [density_on(answer.mean, axis, width.sigma, points)[1] for answer in shown]
    behind = None if ground.truth is None else density_on(ground.truth, axis, width.sigma, points)[1]
    highest = max([float(curve.max()) for curve in [*curves, *([] if behind is None else [behind])]] + [1e-300])
    single = 1 / (spectrum.dim * width.sigma * axis.half_range * math.sqrt(2 * math.pi))
    low = min(max(0.2 * single, highest * 10.0**-_MOST_DECADES), highest / 10)
    upright = LogUpright(low, highest * 1.5)
    xs = np.linspace(axis.start, axis.end, points)

    def panel(answer: DensityAnswer, curve: Array) -> SpectrumPanel:
        def draw(box: Box) -> str:
            # Other repeats are faint; of one there is nothing beside the mean.
            faint = answer.measures[:MOST_FAINT] if len(answer.measures) > 1 else ()
            lines = [_curve(density_on(one, axis, width.sigma, points)[1], xs, box, low) for one in faint]
            several = element("path", d="".join(lines), stroke_width="0.7", opacity="0.4") if any(lines) else ""
            return several + element("path", d=_curve(curve, xs, box, low) or None, stroke_width="1.7")

        def truth(box: Box) -> str:
            if behind is None:
                return ""
            return element("path", d=_area(behind, xs, box, low), fill="currentColor", stroke="none", opacity="0.32")

        return SpectrumPanel(answer.spent.method, aside(answer, axis), look_of(looks, answer.spent.spec), draw, truth)

    panels = [panel(answer, curve) for answer, curve in zip(shown, curves, strict=True)]
    per = {"linear": "", "log": ", per decade", "symlog": ", per decade"}[axis.scale]
    return draw_panels(panels, upright, eigenvalue_axis(axis, ground.rug), f"Density{per} (log scale)", label)


def aside(answer: DensityAnswer, axis: SpectralAxis) -> str:
    """What stands beside the name of a method: its products, its error, and the mass that is not on the axis."""
    spent = answer.spent
    told = [f"{units.count(spent.matvecs)} products"]
    if spent.error is not None:
        told.append(f"error {units.share(spent.error)}")
    beyond = outside(answer.mean, axis)
    if beyond >= 5e-7:
        told.append(f"{stated(beyond)} off the axis")
    return ", ".join(told)


def look_of(looks: Mapping[str, Look], spec: str) -> Look:
    """The look of a method, the first of all where it has none."""
    return looks.get(spec) or look(0)


def gaussian_in_words(width: Width, axis: SpectralAxis) -> str:
    """The width as a caption states it."""
    share = f"{width.sigma:.3g} of half the axis"
    what = {"linear": f"{tick_label(float(f'{width.sigma * axis.half_range:.2g}'))} in eigenvalues"}.get(
        axis.scale, f"{width.sigma * axis.half_range:.2g} decades"
    )
    by = f", by 2 / ((M - 1) \N{SQUARE ROOT}(8 log 1.25)) for M = {width.steps} steps"
    rule = by if width.steps else ", as stated"
    return f"Gaussian of width {SIGMA} = {share} ({what}){rule}"


def _nodes(spectrum: KeptSpectrum) -> list[Array]:
    found = [answer.mean.seen for answer in spectrum.densities]
    found += [answer.values for answer in spectrum.values] if not found else []
    return found


def _rug(spectrum: KeptSpectrum, truth: Measure | None) -> Array | None:
    if truth is not None and spectrum.is_whole:
        return truth.nodes
    known = [
        reference.arrays["eigenvalues"]
        for which in ("magnitude", "algebraic", "smallest")
        if (reference := spectrum.leading_reference(which)) is not None
    ]
    return np.unique(np.concatenate(known)) if known else None


def _curve(heights: Array, xs: Array, box: Box, low: float) -> str:
    """Path data where a curve is above the lower edge."""
    return "".join(_line(heights, xs, box, first, last) for first, last in _runs(heights > low))


def _area(heights: Array, xs: Array, box: Box, low: float) -> str:
    parts: list[str] = []
    for first, last in _runs(heights > low):
        parts.append(f"{_line(heights, xs, box, first, last)}V{number(box.bottom)}H{number(float(xs[first]))}z")
    return "".join(parts) or "M0 0"


def _line(heights: Array, xs: Array, box: Box, first: int, last: int) -> str:
    return polyline(list(zip(xs[first:last].tolist(), box.pixels(heights[first:last]).tolist(), strict=True)))


def _runs(shown: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """First and last places of the stretches that hold, widened by the point before and after."""
    flags = np.concatenate([[False], shown, [False]])
    edges = np.flatnonzero(flags[1:] != flags[:-1])
    number_of_points = len(flags) - 2
    return [
        (max(int(first) - 1, 0), min(int(last) + 1, number_of_points))
        for first, last in zip(edges[::2], edges[1::2], strict=True)
    ]
