"""Figures of the tangent kernel: its first eigenfunctions as images, and laziness by width."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib import style
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from hessbench.estimand.base import Array
from hessbench.reports.capstone.axes import plain_numbers, whole_number
from hessbench.reports.capstone.kernel_claims import LAZY, SAME, widths_of
from hessbench.reports.capstone.measures import EIGENFUNCTIONS, RANDOMIZED, STEPS, step, width
from hessbench.reports.capstone.series import first_array
from hessbench.reports.claims.figure import StudyFigure
from hessbench.reports.claims.measured import Measured
from hessbench.reports.claims.study_page import short
from hessbench.reports.writing.drawing import RC, faint_grid, to_svg
from hessbench.reports.writing.palette import GREY, look


def kernel_figures(results: Measured) -> list[StudyFigure]:
    """The figures whose numbers there are."""
    made = (_images(results), _laziness(results))
    return [figure for figure in made if figure is not None]


def _images(results: Measured) -> StudyFigure | None:
    images: dict[int, Array] = {}
    for number in STEPS:
        found = first_array(results, f"{step(number)} images found")
        if found is not None:
            images[number] = _turned(found, next(iter(images.values()), found))
    if not images:
        return None
    unit = results.units[0]
    with style.context(["default", RC]):
        figure = Figure(figsize=(8.6, 1.45 * len(images) + 0.4), layout="constrained")
        grid = figure.subplots(len(images), EIGENFUNCTIONS, squeeze=False)
        for row, (number, found) in zip(grid, images.items(), strict=True):
            for place, axes in enumerate(row):
                reach = float(np.abs(found[place]).max())
                axes.imshow(found[place], cmap="RdBu_r", vmin=-reach, vmax=reach, interpolation="nearest")
                axes.set_xticks([])
                axes.set_yticks([])
                for spine in axes.spines.values():
                    spine.set_visible(False)
                if number == next(iter(images)):
                    axes.set_title(f"u_{place + 1}", fontsize=9, parse_math=False)
            lost = results.values("kernel_space_error", problem=step(number), method=RANDOMIZED, unit=unit)
            share = results.values("class_share", problem=step(number), unit=unit)
            told = f"step {number}\nclasses {share[0]:.0%}\nlost {lost[0]:.1g}" if lost.size and share.size else ""
            row[0].set_ylabel(told or f"step {number}", fontsize=8)
        picture = to_svg(figure)
    rows = [
        {"step": number, "eigenfunction": place + 1, "row": down, "column": across,
         "value": short(float(found[place, down, across]))}
        for number, found in images.items() for place in range(EIGENFUNCTIONS)
        for down in range(found.shape[1]) for across in range(found.shape[2])
    ]  # fmt: skip
    return StudyFigure(
        name="eigenfunctions",
        title="The first six eigenfunctions of the tangent kernel as images",
        picture=picture,
        frame=pd.DataFrame(rows),
        alt="Four rows of six images of 7 x 7 pixels: eigenfunctions of the kernel at four steps of the training",
        caption="The first net: means of 200 test images weighted by the eigenfunctions that randomised "
        "eigendecomposition found in 48 products; red above, blue below zero, each with a scale of its own and the "
        "sign that makes it like that of step 0. Beside each row the share of the exact functions in the span of the "
        "class indicators, and what the space found lacks of the exact one, 1 - overlap.",
    )


def _turned(found: Array, first: Array) -> Array:
    """Images with the signs that make them most like those of the first step; eigenfunctions have none of their own."""
    signs = np.sign((found * first).sum(axis=(1, 2)))
    return found * np.where(signs == 0, 1.0, signs)[:, None, None]


def _laziness(results: Measured) -> StudyFigure | None:
    sizes = widths_of(results)
    if not sizes:
        return None
    rows: list[dict[str, float | str]] = []
    with style.context(["default", RC]):
        figure = Figure(figsize=(9.4, 4.2), layout="constrained")
        left, right = figure.subplots(1, 2)
        for place, units in enumerate(sizes):
            at, seen = width(units), look(place)
            overlap, r2 = results.by_unit("overlap", problem=at), results.by_unit("prediction_r2", problem=at)
            drift, moved = results.by_unit("kernel_drift", problem=at), results.by_unit("change_r2", problem=at)
            nets = list(overlap)
            left.plot([overlap[net] for net in nets], [r2[net] for net in nets], linestyle="", marker=seen.marker,
                      color=seen.colour, markersize=5, alpha=0.8, label=f"width {units:,}")  # fmt: skip
            right.plot([units] * len(nets), [drift[net] for net in nets], linestyle="", marker=seen.marker,
                       color=seen.colour, markersize=5, alpha=0.8)  # fmt: skip
            rows += [
                {"width": units, "net": net, "overlap": short(overlap[net]), "prediction_r2": short(r2[net]),
                 "change_r2": short(moved[net]), "kernel_drift": short(drift[net])}
                for net in nets
            ]  # fmt: skip
        left.axvline(SAME, color=GREY, linewidth=0.9, linestyle=(0, (3, 2)), zorder=1)
        left.axhline(LAZY, color=GREY, linewidth=0.9, linestyle=(0, (3, 2)), zorder=1)
        left.set_xlabel("overlap of the first six eigenfunctions, steps 0 and 500")
        left.set_ylabel("R² of the linearised network's outputs")
        right.set_xscale("log")
        right.set_yscale("log")
        right.xaxis.set_major_locator(FixedLocator(list(sizes)))
        right.xaxis.set_minor_locator(NullLocator())
        right.xaxis.set_major_formatter(FuncFormatter(whole_number))
        right.set_xlim(sizes[0] / 2, sizes[-1] * 2)
        plain_numbers(right)
        right.set_xlabel("hidden units")
        right.set_ylabel("change of the kernel, |K(500) - K(0)| / |K(0)|")
        for axes in (left, right):
            faint_grid(axes)
        figure.legend(loc="outside upper center", ncols=len(sizes), frameon=False, fontsize=8.5)
        picture = to_svg(figure)
    return StudyFigure(
        name="laziness",
        title="Laziness by width",
        picture=picture,
        frame=pd.DataFrame(rows),
        alt="Left: R squared of the linearised network against the overlap of eigenfunctions; right: change of the "
        "kernel against the width",
        caption="A mark a net, on 200 test images. Dashes: the bounds of the rule; in the upper right quadrant and the "
        "lower left one the eigenfunctions say of laziness what the linearised network does. From 512 units on the "
        "rate falls as 1 / width.",
    )
