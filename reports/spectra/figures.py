"""The figures of one spectrum as files, each with what it shows and how to read it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hessbench.reports.spectra.axis import Scale
from hessbench.reports.spectra.captions import cumulative_caption, density_caption, ranks_caption, stems_caption
from hessbench.reports.spectra.densities import draw_density, ground_of, width_of
from hessbench.reports.spectra.kept import KeptSpectrum
from hessbench.reports.spectra.nodes import draw_cumulative, draw_stems
from hessbench.reports.spectra.ranks import draw_ranks, orders
from hessbench.reports.spectra.trust import NEAR
from hessbench.reports.writing.drawing import Picture
from hessbench.reports.writing.escaping import clean
from hessbench.reports.writing.palette import Look


@dataclass(frozen=True)
class SpectrumFigure:
    """A figure of a spectrum.

    Attributes:
        name: What of it, as a part of a file's name.
        title: In a few words.
        alt: What it shows, for who does not see it.
        caption: How to read it.
        picture: The file.
    """

    name: str
    title: str
    alt: str
    caption: str
    picture: Picture


def spectrum_figures(
    spectrum: KeptSpectrum, looks: Mapping[str, Look], *, scales: Sequence[Scale] = (), sigma: float | None = None
) -> tuple[SpectrumFigure, ...]:
    """Draw all that is kept of a spectrum.

    Args:
        spectrum: What is kept.
        looks: By the spec of a method.
        scales: Axes of the density; by default the linear one and the one that suits, see `suitable_scale`.
        sigma: Width of the Gaussian as a share of half the axis; by default the heuristic one.

    Raises:
        ValueError: If `sigma` is not above 0.
    """
    made: list[SpectrumFigure] = []
    problem = clean(spectrum.problem)
    if spectrum.densities:
        width, beside = width_of(spectrum, sigma), suitable_scale(spectrum)
        for scale in scales or ("linear", beside):
            try:
                ground = ground_of(spectrum, scale)
            except ValueError:
                continue  # nothing is positive: a logarithmic axis has nothing to show
            alt = f"Density of the eigenvalues of {problem}, {_AXES[scale]}, one panel a method"
            picture = draw_density(spectrum, ground, width, looks, alt)
            title = f"Density, {_AXES[scale]}"
            made.append(
                SpectrumFigure(f"density-{scale}", title, alt, density_caption(spectrum, ground, width), picture)
            )
        ground = ground_of(spectrum, beside)
        alt = f"Share of the eigenvalues of {problem} up to each place, {_AXES[beside]}, one panel a method"
        picture = draw_cumulative(spectrum, ground, looks, alt)
        made.append(
            SpectrumFigure("cumulative", "Cumulative density", alt, cumulative_caption(spectrum, ground), picture)
        )
        alt = f"Nodes and weights of the densities of {problem}, {_AXES[beside]}, one panel a method"
        picture = draw_stems(spectrum, ground, looks, alt)
        made.append(SpectrumFigure("nodes", "Nodes", alt, stems_caption(spectrum, ground), picture))
    for which in orders(spectrum):
        alt = f"First eigenvalues of {problem} by rank, {which}, one panel a method"
        picture = draw_ranks(spectrum, which, looks, alt)
        made.append(
            SpectrumFigure(f"rank-{which}", "Eigenvalues by rank", alt, ranks_caption(spectrum, which), picture)
        )
    return tuple(made)


def suitable_scale(spectrum: KeptSpectrum) -> Scale:
    """The axis beside the linear one: logarithmic where nearly all is positive, else symmetric about zero."""
    truth = spectrum.truth
    measures = [truth] if truth is not None else [answer.mean for answer in spectrum.densities]
    size = max(float(abs(measure.nodes).max()) for measure in measures)
    unit = ground_of(spectrum, "symlog").axis.unit
    is_positive = all(measure.below(min(unit, NEAR * size)) < 0.01 for measure in measures)
    return "log" if size > 0 and is_positive else "symlog"


_AXES: dict[Scale, str] = {
    "linear": "linear axis",
    "log": "logarithmic axis",
    "symlog": "axis logarithmic on both sides of zero",
}
