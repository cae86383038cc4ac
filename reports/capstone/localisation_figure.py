"""What the spectra do not show: where eigenvectors live, single samples, and layers."""

from __future__ import annotations

from typing import Final, TypeAlias

import numpy as np
import pandas as pd
from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator

from hessbench.reports.capstone.axes import plain_numbers, steps_axis
from hessbench.reports.capstone.measures import TOP, step
from hessbench.reports.capstone.series import (
    EVERY_STEP,
    STEP_COLOURS,
    STEP_MARKERS,
    arrays_of,
    by_step,
    first_array,
    methods_of,
)
from hessbench.reports.claims.figure import StudyFigure
from hessbench.reports.claims.measured import Measured
from hessbench.reports.claims.study_page import short
from hessbench.reports.writing.drawing import RC, faint_grid, to_svg
from hessbench.reports.writing.palette import GREY, look

Rows: TypeAlias = list[dict[str, float | str]]
_BINS: Final = 30


def localisation_figure(results: Measured) -> StudyFigure | None:
    """Participation, layers, samples and blocks in four panels; None where nothing of it was measured."""
    layers = methods_of(results, "layer_share")
    if not layers:
        return None
    rows: Rows = []
    with style.context(["default", RC]):
        figure = Figure(figsize=(10.4, 7.4), layout="constrained")
        (first, second), (third, fourth) = figure.subplots(2, 2)
        _participation(results, first, rows)
        _shares(results, second, layers, rows)
        _examples(results, third, rows)
        _blocks(results, fourth, layers, rows)
        handles, labels = first.get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper center", ncols=6, frameon=False, fontsize=8.5)
        picture = to_svg(figure)
    return StudyFigure(
        name="localisation",
        title="What the spectra do not show",
        picture=picture,
        frame=pd.DataFrame(rows),
        alt="Four panels: participation ratio of the first eigenvectors, their share in each layer, the largest "
        "eigenvalue of single samples, and the spectra of the layers beside the whole",
        caption="Exact, medians over the nets. Participation: the number of parameters that an eigenvector is spread "
        "over; dashes: a random direction, n / 3, which is what eigenvectors of the same eigenvalues have in a rotated "
        "basis. Layers: share of u_1. Samples: largest eigenvalue of the Hessian of each training image of the first "
        "net, by Lanczos; lines: that of the mean over all images. Blocks: largest eigenvalue of the diagonal block of "
        "each layer.",
    )


def _participation(results: Measured, axes: Axes, rows: Rows) -> None:
    axes.set_yscale("log")
    n = sum(results.values("block_size", problem=step(0), unit=results.units[0]).tolist())
    for number in EVERY_STEP:
        found = arrays_of(results, f"{step(number)} participation")
        if found.size:
            middle = np.median(found, axis=0)
            axes.plot(range(1, TOP + 1), middle, color=STEP_COLOURS[number], marker=STEP_MARKERS[number], markersize=4,
                      linewidth=1.1, label=f"step {number:,}")  # fmt: skip
            rows += [{"panel": "participation", "step": number, "what": f"u_{k}", "value": short(float(it))}
                     for k, it in enumerate(middle, 1)]  # fmt: skip
    axes.axhline(n / 3, color=GREY, linestyle=(0, (3, 2)), linewidth=0.9, label="random direction")
    plain_numbers(axes)
    axes.xaxis.set_major_locator(FixedLocator(list(range(1, TOP + 1))))
    axes.set_title("participation ratio", fontsize=9)
    axes.set_xlabel("rank k of the eigenvector", fontsize=9)
    axes.set_ylabel("parameters", fontsize=9)
    faint_grid(axes)


def _shares(results: Measured, axes: Axes, layers: list[str], rows: Rows) -> None:
    for place, name in enumerate(layers):
        frame = by_step(results, "layer_share", name)
        axes.plot(frame["step"], frame["median"], color=look(place).colour, marker=look(place).marker, markersize=4,
                  linewidth=1.1, label=name)  # fmt: skip
        axes.fill_between(frame["step"].astype(float), frame["least"].astype(float), frame["largest"].astype(float),
                          color=look(place).colour, alpha=0.12, linewidth=0)  # fmt: skip
        rows += [{"panel": "layer share of u_1", "step": row["step"], "what": name, "value": row["median"]}
                 for row in frame.to_dict("records")]  # fmt: skip
    steps_axis(axes)
    axes.set_ylim(0, 1)
    axes.set_title("share of u_1 in each layer", fontsize=9, parse_math=False)
    axes.set_ylabel("share of the squared length", fontsize=9)
    axes.legend(fontsize=8, frameon=False)
    faint_grid(axes)


def _examples(results: Measured, axes: Axes, rows: Rows) -> None:
    found = {number: first_array(results, f"{step(number)} example tops") for number in EVERY_STEP}
    known = {number: values for number, values in found.items() if values is not None and (values > 0).any()}
    axes.set_title("largest eigenvalue of single samples", fontsize=9)
    axes.set_xlabel("λ_1 of the Hessian of one sample", fontsize=9, parse_math=False)
    axes.set_ylabel("samples", fontsize=9)
    if not known:
        return
    positive = np.concatenate([values[values > 0] for values in known.values()])
    edges = np.geomspace(max(positive.min(), positive.max() * 1e-6), positive.max() * 1.001, _BINS + 1)
    axes.set_xscale("log")
    for number, values in known.items():
        counts, _ = np.histogram(values, edges)
        axes.stairs(counts, edges, color=STEP_COLOURS[number], linewidth=1.2)
        whole = results.values("top", problem=step(number), unit=results.units[0])
        axes.axvline(float(whole[0]), color=STEP_COLOURS[number], linewidth=0.9, linestyle=(0, (4, 2)))
        rows += [{"panel": "samples", "step": number, "what": f"from {short(float(edge))}", "value": float(count)}
                 for edge, count in zip(edges, counts, strict=False)]  # fmt: skip
    faint_grid(axes)


def _blocks(results: Measured, axes: Axes, layers: list[str], rows: Rows) -> None:
    axes.set_yscale("log")
    series = [("whole", by_step(results, "top")), *((name, by_step(results, "block_top", name)) for name in layers)]
    for place, (name, frame) in enumerate(series):
        is_whole = name == "whole"
        colour, marker = (GREY, ".") if is_whole else (look(place - 1).colour, look(place - 1).marker)
        axes.plot(frame["step"], frame["median"], color=colour, marker=marker, markersize=4,
                  linewidth=2 if is_whole else 1.1, label=name)  # fmt: skip
        rows += [{"panel": "largest eigenvalue of a block", "step": row["step"], "what": name, "value": row["median"]}
                 for row in frame.to_dict("records")]  # fmt: skip
    steps_axis(axes)
    plain_numbers(axes)
    axes.set_title("largest eigenvalue of each layer's block", fontsize=9)
    axes.set_ylabel("λ_1 (loss / parameter²)", fontsize=9, parse_math=False)
    axes.legend(fontsize=8, frameon=False)
    faint_grid(axes)
