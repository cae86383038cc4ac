"""Figures of the Hessian's spectrum across the training."""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd
from matplotlib import style
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator

from hessbench.estimand.base import Array
from hessbench.reports.capstone.axes import plain_numbers, steps_axis
from hessbench.reports.capstone.measures import GRID, HUTCHINSON, SIGMA, STEPS, TOP, step
from hessbench.reports.capstone.series import (
    EVERY_STEP,
    STEP_COLOURS,
    STEP_MARKERS,
    arrays_of,
    by_step,
    column,
    first_array,
)
from hessbench.reports.claims.figure import StudyFigure
from hessbench.reports.claims.measured import Measured
from hessbench.reports.claims.study_page import short
from hessbench.reports.writing.drawing import RC, faint_grid, to_svg
from hessbench.reports.writing.palette import INK, look

_FLOOR: Final = 1e-4
_RUG: Final = 350
"""Places of the rug: eigenvalues nearer than this part of the axis are one tick."""


def spectrum_figures(results: Measured) -> list[StudyFigure]:
    """The figures whose numbers there are."""
    made = (_top(results), _trace(results), _densities(results))
    return [figure for figure in made if figure is not None]


def _top(results: Measured) -> StudyFigure | None:
    rows: list[dict[str, float]] = []
    with style.context(["default", RC]):
        figure = Figure(figsize=(7.6, 4.4), layout="constrained")
        axes = figure.subplots()
        axes.set_yscale("log")
        ranks = np.arange(1, TOP + 1)
        for number in EVERY_STEP:
            exact = arrays_of(results, f"{step(number)} top magnitudes")
            found = arrays_of(results, f"{step(number)} ritz magnitudes")
            if exact.size == 0:
                continue
            middle = np.median(exact, axis=0)
            axes.fill_between(ranks, exact.min(axis=0), exact.max(axis=0), color=STEP_COLOURS[number], alpha=0.15,
                              linewidth=0)  # fmt: skip
            axes.plot(ranks, middle, color=STEP_COLOURS[number], linewidth=1.3, label=f"step {number:,}")
            estimated = np.median(found, axis=0) if found.size else np.full(TOP, np.nan)
            axes.plot(ranks, estimated, linestyle="", marker=STEP_MARKERS[number], color=STEP_COLOURS[number],
                      markersize=5, markerfacecolor="none")  # fmt: skip
            for place, rank in enumerate(ranks):
                rows.append({
                    "step": number, "k": int(rank), "exact_median": short(float(middle[place])),
                    "exact_least": short(float(exact[:, place].min())),
                    "exact_largest": short(float(exact[:, place].max())),
                    "lanczos_median": short(float(estimated[place])),
                })  # fmt: skip
        if not rows:
            return None
        axes.plot([], [], linestyle="", marker="o", color=INK["ink"], markersize=5, markerfacecolor="none",
                  label="40 Lanczos steps")  # fmt: skip
        plain_numbers(axes)
        axes.set_xlabel("rank k")
        axes.set_ylabel("|λ_k| of the Hessian (loss / parameter²)", parse_math=False)
        axes.xaxis.set_major_locator(FixedLocator(ranks.astype(float).tolist()))
        faint_grid(axes)
        figure.legend(loc="outside upper center", ncols=6, frameon=False, fontsize=8.5)
        picture = to_svg(figure)
    return StudyFigure(
        name="top-eigenvalues",
        title="The ten largest eigenvalues by step",
        picture=picture,
        frame=pd.DataFrame(rows),
        alt="Magnitude of the ten largest Hessian eigenvalues against their rank, a line for each step of the training",
        caption="Lines: exact, median over the nets; shaded: from the least to the largest net. Open marks: 40 steps "
        "of Lanczos with selective reorthogonalisation, median over the nets. The document's first figure, on one net.",
    )


def _trace(results: Measured) -> StudyFigure | None:
    exact, squares = by_step(results, "trace"), by_step(results, "gradient_norm_squared")
    found = by_step(results, "trace_estimate", HUTCHINSON)
    errors = by_step(results, "trace_stderr", HUTCHINSON)
    if exact.empty or found.empty:
        return None
    with style.context(["default", RC]):
        figure = Figure(figsize=(7.6, 4.2), layout="constrained")
        axes = figure.subplots()
        axes.set_yscale("symlog", linthresh=1e-3)
        for place, (frame, name) in enumerate(((exact, "trace of the Hessian, exact"), (squares, "|gradient|²"))):
            colour = look(place).colour
            axes.fill_between(column(frame, "step"), column(frame, "least"), column(frame, "largest"), color=colour,
                              alpha=0.15, linewidth=0)  # fmt: skip
            axes.plot(column(frame, "step"), column(frame, "median"), color=colour, linewidth=1.3,
                      marker=look(place).marker, markersize=4, label=name)  # fmt: skip
        axes.errorbar(column(found, "step") * 1.06 + 0.4, column(found, "median"), yerr=2 * column(errors, "median"),
                      linestyle="", marker="x", color=look(3).colour, capsize=4, markersize=5,
                      label="Hutchinson, 200 probes, ± 2 standard errors")  # fmt: skip
        axes.set_ylabel("linear within 0.001, then logarithmic")
        steps_axis(axes)
        axes.set_xlabel("step of the training (linear to 10, then logarithmic)")
        faint_grid(axes)
        figure.legend(loc="outside upper center", ncols=3, frameon=False, fontsize=8.5)
        picture = to_svg(figure)
    frame = pd.concat({
        "trace": exact, "gradient_norm_squared": squares, "hutchinson": found, "hutchinson_stderr": errors
    }, names=["what"]).reset_index(level="what")  # fmt: skip
    return StudyFigure(
        name="trace-and-gradient",
        title="Trace and squared gradient by step",
        picture=picture,
        frame=frame,
        alt="Trace of the Hessian and squared norm of the gradient against the step, both axes symmetric logarithmic",
        caption="Medians over the nets; shaded: from the least to the largest. Crosses, drawn a little to the right: "
        "the median of Hutchinson's estimates with twice their median standard error. A Hessian's trace may be "
        "negative, and step 0 has no logarithm: hence axes that are linear near zero.",
    )


def _densities(results: Measured) -> StudyFigure | None:
    x = np.linspace(*GRID[:2], int(GRID[2]))
    curves: dict[int, tuple[Array, Array, Array]] = {}
    for number in STEPS:
        values = first_array(results, f"{step(number)} eigenvalues")
        nodes, weights = (first_array(results, f"{step(number)} {what}") for what in ("nodes", "weights"))
        if values is not None and nodes is not None and weights is not None:
            even = np.full(values.size, 1 / values.size)
            curves[number] = (values, _smoothed(values, even, x), _smoothed(nodes, weights, x))
    if not curves:
        return None
    with style.context(["default", RC]):
        figure = Figure(figsize=(8.4, 1.9 * len(curves) + 0.7), layout="constrained")
        grid = figure.subplots(len(curves), 1, sharex=True, sharey=True, squeeze=False)[:, 0]
        top = 3 * max(float(max(true.max(), found.max())) for _, true, found in curves.values())
        for axes, (number, (values, true, found)) in zip(grid, curves.items(), strict=True):
            axes.set_yscale("log")
            axes.set_ylim(_FLOOR / 4, top)
            axes.fill_between(x, _FLOOR, np.maximum(true, _FLOOR), color="#aab3bc", linewidth=0, label="exact")
            axes.plot(x, np.maximum(found, _FLOOR), color=STEP_COLOURS[0], linewidth=1.2, label="8 x 30 Lanczos steps")
            inside = values[(values >= GRID[0]) & (values <= GRID[1])]
            cell = (GRID[1] - GRID[0]) / _RUG
            ticks = np.unique(np.round(inside / cell)) * cell
            axes.plot(ticks, np.full(ticks.size, _FLOOR / 2), linestyle="", marker="|", color=INK["ink"], markersize=5,
                      markeredgewidth=0.7, label="eigenvalues")  # fmt: skip
            outside = 1 - inside.size / values.size
            axes.annotate(f"step {number}; mass outside the grid: {outside:.2%}", (0.99, 0.86), fontsize=8.5,
                          xycoords="axes fraction", ha="right")  # fmt: skip
            faint_grid(axes)
        figure.supxlabel("eigenvalue λ of the Hessian (loss / parameter²)", fontsize=9)
        figure.supylabel("density (1 / unit of λ)", fontsize=9)
        handles, labels = grid[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper center", ncols=3, frameon=False, fontsize=8.5)
        picture = to_svg(figure)
    frame = pd.DataFrame({"lambda": [short(float(it)) for it in x]})
    for number, (_, true, found) in curves.items():
        frame[f"exact_step_{number}"] = [short(float(it)) for it in true]
        frame[f"slq_step_{number}"] = [short(float(it)) for it in found]
    return StudyFigure(
        name="densities",
        title="Density of the Hessian's eigenvalues by step",
        picture=picture,
        frame=frame,
        alt="Density of the Hessian's eigenvalues at four steps of the training, one above the other",
        caption=f"The first net. Grey: exact, smoothed by a Gaussian of width {SIGMA:g} on the document's grid of "
        f"{GRID[2]} points from {GRID[0]:g} to {GRID[1]:g}; line: Lanczos quadrature, smoothed likewise; ticks: the "
        "eigenvalues. The mass outside of the grid is that of the exact spectrum.",
    )


def _smoothed(nodes: Array, weights: Array, x: Array) -> Array:
    z = (x[:, None] - nodes) / SIGMA
    return np.exp(-(z**2) / 2) @ weights / (SIGMA * (2 * np.pi) ** 0.5)
