"""A spectrum as a page shows it: figures written to files, tables of what to trust, and what is missing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from hessbench.reports.spectra.axis import Scale, tick_label
from hessbench.reports.spectra.figures import spectrum_figures
from hessbench.reports.spectra.kept import KeptSpectrum
from hessbench.reports.spectra.numbers import nodes_frame, values_frame, written_repeats
from hessbench.reports.spectra.panels import MOST_PANELS
from hessbench.reports.spectra.trust import Trust, trust_of
from hessbench.reports.spectra.words import (
    Told,
    bound_text,
    share_text,
    shares_caveat,
    told,
    trace_caveat,
    trace_text,
    value_text,
    verdict_of,
)
from hessbench.reports.writing import units
from hessbench.reports.writing.escaping import file_stem, short_hash
from hessbench.reports.writing.folders import write_text
from hessbench.reports.writing.palette import Look
from hessbench.reports.writing.sheets import to_csv

MOST_VALUES: Final = 30
"""First eigenvalues in the table of a page; the CSV has all."""


@dataclass(frozen=True)
class FigureOnPage:
    """A figure in a file beside the page."""

    title: str
    file: str
    alt: str
    caption: str
    width: int
    height: int


@dataclass(frozen=True)
class SpectrumShown:
    """A spectrum as a page shows it.

    Attributes:
        anchor: Its id.
        problem: Name to show.
        summary: Dimension, dtype and what there is of it.
        told: What may be trusted.
        values: Cells of the table of first eigenvalues; empty without any.
        values_of: By what method and order.
        traces: Cells of the table of traces.
        shares: Cells of the table of shares by sign.
        near: What counts as zero there.
        figures: What is drawn.
        files: Files of numbers, with what they hold.
        remarks: What is not drawn, and why.
    """

    anchor: str
    problem: str
    summary: str
    told: tuple[Told, ...]
    values: tuple[tuple[str, ...], ...]
    values_of: str
    traces: tuple[tuple[str, ...], ...]
    shares: tuple[tuple[str, ...], ...]
    near: str
    figures: tuple[FigureOnPage, ...]
    files: tuple[tuple[str, str], ...]
    remarks: tuple[str, ...]


def show_spectra(
    spectra: Sequence[KeptSpectrum],
    looks: Mapping[str, Look],
    folder: Path,
    *,
    scales: Sequence[Scale] = (),
    sigma: float | None = None,
) -> tuple[SpectrumShown, ...]:
    """Write the figures of spectra and the numbers behind them into `figures` of a page's folder.

    Args:
        spectra: What is kept.
        looks: By the spec of a method.
        folder: That of the page, with a folder `figures` in it.
        scales: Axes of the density; those that suit by default.
        sigma: Width of the Gaussian as a share of half the axis; the heuristic one by default.

    Raises:
        ValueError: If `sigma` is not above 0.
        OSError: If a file cannot be written.
    """
    return tuple(_show(spectrum, looks, folder, scales, sigma) for spectrum in spectra)


def anchor_of(problem: str, problem_hash: str) -> str:
    """The id of a spectrum on a page."""
    return f"spectrum-{short_hash(problem, problem_hash)}"


def _show(
    spectrum: KeptSpectrum, looks: Mapping[str, Look], folder: Path, scales: Sequence[Scale], sigma: float | None
) -> SpectrumShown:
    stem = f"figures/{file_stem('spectrum', spectrum.problem, apart=spectrum.problem_hash)}"
    figures: list[FigureOnPage] = []
    for made in spectrum_figures(spectrum, looks, scales=scales, sigma=sigma):
        file = f"{stem}-{made.name}.svg"
        (folder / file).write_bytes(made.picture.svg)
        figures.append(FigureOnPage(made.title, file, made.alt, made.caption, made.picture.width, made.picture.height))
    files: list[tuple[str, str]] = []
    if spectrum.densities:
        write_text(folder / f"{stem}-nodes.csv", to_csv(nodes_frame(spectrum)))
        written, most = written_repeats(spectrum), max(len(answer.measures) for answer in spectrum.densities)
        of_some = f" of {written} of up to {most} repeats, the others being too many for a page"
        files.append((f"{stem}-nodes.csv", f"nodes and weights{of_some if written < most else ''}"))
    if spectrum.values:
        write_text(folder / f"{stem}-values.csv", to_csv(values_frame(spectrum)))
        files.append((f"{stem}-values.csv", "first eigenvalues"))
    trust = trust_of(spectrum)
    return SpectrumShown(
        anchor=anchor_of(spectrum.problem, spectrum.problem_hash),
        problem=spectrum.problem,
        summary=f"n = {spectrum.dim:,}, {spectrum.dtype}",
        told=told(trust),
        values=value_cells(trust),
        values_of=trust.top.method if trust.top else "",
        traces=trace_cells(trust),
        shares=share_cells(trust),
        near=tick_label(float(f"{trust.near:.2g}")),
        figures=tuple(figures),
        files=tuple(files),
        remarks=remarks(spectrum),
    )


VALUE_HEADS: Final = ("Rank", "Eigenvalue", "Bound", "How far to trust it", "Reference")
TRACE_HEADS: Final = ("Method", "Products", "Trace", "What the interval is", "Reference")


def value_cells(trust: Trust) -> tuple[tuple[str, ...], ...]:
    """First eigenvalues as cells under `VALUE_HEADS`."""
    values = trust.top.values[:MOST_VALUES] if trust.top else ()
    return tuple(
        (str(it.rank), value_text(it.value), bound_text(it), verdict_of(it), _known(it.truth)) for it in values
    )


def trace_cells(trust: Trust) -> tuple[tuple[str, ...], ...]:
    """Traces as cells under `TRACE_HEADS`."""
    return tuple(
        (it.method, units.count(it.matvecs), trace_text(it), trace_caveat(it), _known(it.truth))
        for it in trust.traces[:MOST_PANELS]
    )


def share_cells(trust: Trust) -> tuple[tuple[str, ...], ...]:
    """Shares by sign as cells: method, products, negative, zero, positive, least and largest node, what it rests on."""
    shown = [*[it for it in trust.shares if it.runs][:MOST_PANELS], *(it for it in trust.shares if not it.runs)]
    return tuple(
        (
            it.method,
            units.count(it.matvecs) if it.matvecs else units.DASH,
            share_text(it.negative),
            share_text(it.zero),
            share_text(it.positive),
            value_text(it.least),
            value_text(it.most),
            shares_caveat(it),
        )
        for it in shown
    )


def remarks(spectrum: KeptSpectrum) -> tuple[str, ...]:
    """What is not drawn, and why."""
    found: list[str] = []
    if spectrum.lost:
        answers = f"{spectrum.lost} answer{'s have' if spectrum.lost != 1 else ' has'}"
        found.append(
            f"{answers} no arrays here, which are kept up to 1 MB beside the ledger, or no finite ones: not drawn."
        )
    if not spectrum.densities and spectrum.values:
        found.append("No method was asked for the density, so there is none to draw.")
    return tuple(found)


def _known(truth: float | None) -> str:
    return units.DASH if truth is None else value_text(truth)
