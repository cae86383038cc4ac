"""How to read a figure of a spectrum: widths, rugs, sources, and what is left out."""

from __future__ import annotations

from typing import Final

import numpy as np

from hessbench.reports.spectra.axis import tick_label
from hessbench.reports.spectra.densities import MOST_FAINT, Ground, Width, gaussian_in_words
from hessbench.reports.spectra.kept import KeptSpectrum
from hessbench.reports.spectra.nodes import MOST_STEMS
from hessbench.reports.spectra.panels import MOST_PANELS, stated, thinned_rug
from hessbench.reports.spectra.ranks import bounds_of

_NAMED: Final = 6


def density_caption(spectrum: KeptSpectrum, ground: Ground, width: Width) -> str:
    """Of the smoothed density."""
    told = [
        _panels(len(spectrum.densities)),
        f"{gaussian_in_words(width, ground.axis)}; two eigenvalues nearer than that are one peak.",
        *_repeats(spectrum),
    ]
    if ground.truth is not None:
        told.append("Grey: the true density, smoothed likewise.")
    return " ".join([*told, *_around(spectrum, ground)])


def stems_caption(spectrum: KeptSpectrum, ground: Ground) -> str:
    """Of the nodes."""
    told = [_panels(len(spectrum.densities)), "Every node of the first repeat, as high as its weight."]
    if any(len(answer.measures) > 1 for answer in spectrum.densities[:MOST_PANELS]):
        told.append(
            f"Faint dots: nodes of up to {MOST_FAINT - 1} other repeats, where they are no more than {MOST_STEMS}."
        )
    if any(answer.measures[0].nodes.size > MOST_STEMS for answer in spectrum.densities[:MOST_PANELS]):
        told.append(f"Of more than {MOST_STEMS} nodes those in one pixel are one stem.")
    negative = sum(bool((answer.measures[0].weights < 0).any()) for answer in spectrum.densities[:MOST_PANELS])
    if negative:
        told.append(f"Weights below 0, which {negative} of the methods have, are not drawn.")
    return " ".join([*told, *_around(spectrum, ground)])


def cumulative_caption(spectrum: KeptSpectrum, ground: Ground) -> str:
    """Of the stairs."""
    told = [_panels(len(spectrum.densities)), *_repeats(spectrum)]
    if ground.truth is not None:
        told.append("Thick grey: the truth.")
    return " ".join([*told, *_around(spectrum, ground)])


def ranks_caption(spectrum: KeptSpectrum, which: str) -> str:
    """Of eigenvalues by rank."""
    answers = [answer for answer in spectrum.values if answer.which == which]
    told = [_panels(len(answers)), "Values of the first repeat; open circles are negative."]
    repeats = max(1 + len(answer.others) for answer in answers)
    if repeats > 1:
        told.append(
            f"Broad faint bars: from the least to the largest magnitude at each rank over up to {repeats} repeats, "
            "where that is longer than the circle is wide."
        )
    if any(bounds_of(answer) is not None for answer in answers):
        told.append(
            "Upright lines: the bound by the residual, within which there is an eigenvalue, where it is longer than "
            "the circle is wide."
        )
    told += [f"Thick grey: {text}" for text in _known(spectrum)]
    return " ".join(told)


def _panels(number: int) -> str:
    told = "One panel a method on one axis, those of least error first." if number > 1 else ""
    if number > MOST_PANELS:
        told += f" {number - MOST_PANELS} more methods are not drawn; their numbers are in the CSV."
    return told


def _repeats(spectrum: KeptSpectrum) -> list[str]:
    numbers = sorted({len(answer.measures) for answer in spectrum.densities[:MOST_PANELS]})
    if numbers[-1] < 2:
        return []
    span = str(numbers[-1]) if numbers[0] == numbers[-1] else f"{numbers[0]} to {numbers[-1]}"
    first = f", up to {MOST_FAINT} of them" if numbers[-1] > MOST_FAINT else ""
    return [f"Bold: the mean over {span} repeats; faint: single repeats{first}."]


def _around(spectrum: KeptSpectrum, ground: Ground) -> list[str]:
    """The axis, what is not on it, and the rug."""
    axis, truth = ground.axis, ground.truth
    told: list[str] = []
    ends = f"from {tick_label(float(f'{axis.low:.3g}'))} to {tick_label(float(f'{axis.high:.3g}'))}"
    told.append(
        f"The axis goes {ends}{', the range of the reference with room around it' if truth is not None else ''}."
    )
    known = [("the reference", truth)] if truth is not None else []
    known += [(answer.spent.method, answer.mean) for answer in spectrum.densities]
    if axis.scale == "log":
        shares = [f"{name} {stated(measure.below(axis.unit))}" for name, measure in known[:_NAMED]]
        told.append(
            f"It shows what is above {tick_label(axis.unit)}; the share at or below that, zeros and negative values, "
            f"is off the axis: {', '.join(shares)}."
        )
    if axis.scale == "symlog":
        shares = [f"{name} {stated(measure.within(-axis.unit, axis.unit))}" for name, measure in known[:_NAMED]]
        told.append(f"Share within ±{tick_label(axis.unit)}, where the axis is linear: {', '.join(shares)}.")
    if ground.rug is not None and ground.rug.size:
        drawn = len(thinned_rug(axis, ground.rug))
        on_axis = int(axis.holds(ground.rug).sum())
        told += [f"Rug: {text}" for text in _known(spectrum)]
        if drawn < on_axis:
            told.append(
                f"Of its {on_axis:,} values those that fall within half a pixel are one stroke: {drawn:,} in all."
            )
    elif truth is None:
        told.append("No reference is kept, so none is drawn.")
    return told


def _known(spectrum: KeptSpectrum) -> list[str]:
    """What the reference is, where it comes from, and how far it may be off."""
    found = spectrum.density_reference
    if found is not None and spectrum.is_whole:
        distinct = found.arrays["nodes"].size
        values = f"all {spectrum.dim:,} eigenvalues"
        if distinct < spectrum.dim:
            values += f" ({distinct:,} distinct)"
    else:
        leading = [it for it in spectrum.references.values() if "eigenvalues" in it.arrays]
        if not leading:
            return []
        found = max(leading, key=lambda it: it.arrays["eigenvalues"].size)
        values = f"the first {found.arrays['eigenvalues'].size:,} eigenvalues, the rest not being known"
    bound = float(np.format_float_positional(found.bound_in(spectrum.dtype), 2, fractional=False))
    return [f"{values}, {found.source.value}, to within {tick_label(bound)} in {spectrum.dtype}."]
