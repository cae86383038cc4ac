"""Figures of what spectra are used for: what stands for the Hessian, influence, and each method beside others."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hessbench.reports.capstone.axes import plain_numbers, steps_axis
from hessbench.reports.capstone.measures import APPROXIMATIONS, METHODS, STEPS, step
from hessbench.reports.capstone.practice_claims import DIRECTION
from hessbench.reports.capstone.series import (
    EVERY_STEP,
    STEP_COLOURS,
    STEP_MARKERS,
    arrays_of,
    by_step,
    column,
    first_array,
    methods_of,
)
from hessbench.reports.capstone.spectrum_claims import CLOSE, LOW_LOSS
from hessbench.reports.claims.figure import StudyFigure
from hessbench.reports.claims.measured import Measured
from hessbench.reports.claims.study_page import short
from hessbench.reports.writing.drawing import RC, faint_grid, to_svg
from hessbench.reports.writing.palette import GREY, look

_ERRORS = {
    "top_error": "top 10 of the Hessian, 40 products\nlargest relative error",
    "trace_error": "trace, 200 products\nerror over the sum of |λ|",
    "density_error": "density, 240 products\nWasserstein-1 over the spread",
    "kernel_error": "top 6 of the kernel, 48 products\nlargest relative error",
}
_LEAST = 1e-7


def practice_figures(results: Measured) -> list[StudyFigure]:
    """The figures whose numbers there are."""
    made = (_fisher(results), _influence(results), _methods(results))
    return [figure for figure in made if figure is not None]


def _fisher(results: Measured) -> StudyFigure | None:
    frame = by_step(results, "relative_difference")
    if frame.empty:
        return None
    rows: list[dict[str, float | str]] = []
    with style.context(["default", RC]):
        figure = Figure(figsize=(9.8, 4.2), layout="constrained")
        left, right = figure.subplots(1, 2)
        for number in EVERY_STEP:
            loss = results.by_unit("loss", problem=step(number))
            differ = results.by_unit("relative_difference", problem=step(number))
            left.plot([loss[net] for net in differ], list(differ.values()), linestyle="", marker=STEP_MARKERS[number],
                      color=STEP_COLOURS[number], markersize=5, alpha=0.8, label=f"step {number:,}")  # fmt: skip
            rows += [{"step": number, "net": net, "method": "GGN", "loss": short(loss[net]), "value": short(value)}
                     for net, value in differ.items()]  # fmt: skip
        left.set_xscale("log")
        left.set_yscale("log")
        plain_numbers(left)
        left.axhline(CLOSE[0], color=GREY, linewidth=0.9, linestyle=(0, (3, 2)))
        left.axvline(LOW_LOSS, color=GREY, linewidth=0.9, linestyle=(0, (3, 2)))
        left.set_xlabel("loss on the training images")
        left.set_ylabel("|H - GGN| / |H|, spectral norms")
        left.legend(fontsize=8, frameon=False)
        for place, name in enumerate(APPROXIMATIONS):
            cosine = by_step(results, "step_cosine", name)
            if cosine.empty:
                continue
            right.plot(cosine["step"], cosine["median"], color=look(place).colour, marker=look(place).marker,
                       markersize=4, linewidth=1.2, label=name)  # fmt: skip
            right.fill_between(column(cosine, "step"), column(cosine, "least"), column(cosine, "largest"),
                               color=look(place).colour, alpha=0.13, linewidth=0)  # fmt: skip
            rows += [{"step": row["step"], "method": name, "value": row["median"]}
                     for row in cosine.to_dict("records")]  # fmt: skip
        for bound in DIRECTION:
            right.axhline(bound, color=GREY, linewidth=0.9, linestyle=(0, (3, 2)))
        steps_axis(right)
        right.set_ylim(0, 1.02)
        right.set_ylabel("cosine with the exact damped step")
        if right.get_legend_handles_labels()[0]:
            right.legend(fontsize=8, frameon=False)
        for axes in (left, right):
            faint_grid(axes)
        picture = to_svg(figure)
    return StudyFigure(
        name="fisher",
        title="What stands for the Hessian",
        picture=picture,
        frame=pd.DataFrame(rows),
        alt="Left: relative difference of Hessian and GGN against the loss; right: cosine of the damped steps of "
        "K-FAC, EKFAC and the block diagonal with the exact one",
        caption="Left: a mark a net and step. Right: medians over the nets, shaded from the least to the largest, of "
        "the natural-gradient step damped by 1 % of the largest eigenvalue. Dashes: the bounds of the rules.",
    )


def _influence(results: Measured) -> StudyFigure | None:
    errors = arrays_of(results, "solve errors")
    predicted, retrained = first_array(results, "predicted changes"), first_array(results, "retrained changes")
    if errors.size == 0 or predicted is None or retrained is None:
        return None
    with style.context(["default", RC]):
        figure = Figure(figsize=(9.4, 4.2), layout="constrained")
        left, right = figure.subplots(1, 2)
        products = np.arange(1, errors.shape[1] + 1)
        left.set_yscale("log")
        middle = np.median(errors, axis=0)
        left.fill_between(products, errors.min(axis=0), errors.max(axis=0), color=look(0).colour, alpha=0.15,
                          linewidth=0)  # fmt: skip
        left.plot(products, middle, color=look(0).colour, linewidth=1.3)
        left.axhline(0.01, color=GREY, linewidth=0.9, linestyle=(0, (3, 2)))
        left.set_xlabel("products with the GGN")
        left.set_ylabel("relative error of conjugate gradients")
        predicted, retrained = 1000 * predicted, 1000 * retrained
        reach = 1.05 * float(max(np.abs(predicted).max(), np.abs(retrained).max()))
        right.plot([-reach, reach], [-reach, reach], color=GREY, linewidth=0.9, linestyle=(0, (3, 2)))
        right.plot(retrained, predicted, linestyle="", marker="o", markersize=4, color=look(1).colour, alpha=0.8)
        right.set_xlabel("change of the test loss by retraining without it (10⁻³)")
        right.set_ylabel("change predicted by influence (10⁻³)")
        for axes in (left, right):
            faint_grid(axes)
        picture = to_svg(figure)
    frame = pd.concat([
        pd.DataFrame({"panel": "solve", "x": products, "y": [short(float(it)) for it in middle]}),
        pd.DataFrame({"panel": "removal", "x": [short(float(it)) for it in retrained],
                      "y": [short(float(it)) for it in predicted]}),
    ])  # fmt: skip
    return StudyFigure(
        name="influence",
        title="Influence functions",
        picture=picture,
        frame=frame,
        alt="Left: error of conjugate gradients by products; right: predicted against actual changes of the test loss",
        caption="Left: median over the nets, shaded from the least to the largest; dashes: 1 %. Right: the first net, "
        "a mark an example that was left out; on the dashes the prediction would be exact.",
    )


def _methods(results: Measured) -> StudyFigure | None:
    known = {measure: methods_of(results, measure) for measure in _ERRORS if methods_of(results, measure)}
    if not known:
        return None
    rows: list[dict[str, float | str]] = []
    with style.context(["default", RC]):
        figure = Figure(figsize=(11.4, 3.9), layout="constrained")
        grid = figure.subplots(1, len(known), squeeze=False)[0]
        for axes, (measure, methods) in zip(grid, known.items(), strict=True):
            for method in methods:
                rows += _line(results, axes, measure, method)
            axes.set_yscale("log")
            steps_axis(axes, STEPS[-1])
            plain_numbers(axes)
            axes.set_title(_ERRORS[measure], fontsize=8.5)
            faint_grid(axes)
            axes.legend(fontsize=7, frameon=False, loc="upper center", bbox_to_anchor=(0.5, -0.2), borderaxespad=0.4)
        picture = to_svg(figure)
    return StudyFigure(
        name="methods",
        title="The document's methods beside others at the same products",
        picture=picture,
        frame=pd.DataFrame(rows),
        alt="Error of each method against the step of the training, a panel for each of the four computations",
        caption="Medians over the nets; the bar of the document's method goes from the least to the largest net. "
        f"Errors below {_LEAST:g} are drawn there: float32 says no more.",
    )


def _line(results: Measured, axes: Axes, measure: str, method: str) -> list[dict[str, float | str]]:
    """Draw a method over the steps, and tell its numbers."""
    frame = by_step(results, measure, method)
    place = methods_of(results, measure).index(method)
    own, seen = method in METHODS, look(place)
    x, y = column(frame, "step"), np.maximum(column(frame, "median"), _LEAST)
    axes.plot(x, y, color=seen.colour, marker=seen.marker, markersize=4, linewidth=1.6 if own else 1.0,
              label=method.replace(",", ",\n"))  # fmt: skip
    if own:
        axes.vlines(x, np.maximum(column(frame, "least"), _LEAST), np.maximum(column(frame, "largest"), _LEAST),
                    color=seen.colour, linewidth=1.0)  # fmt: skip
    return [{"measure": measure, "method": method, **{str(key): value for key, value in row.items()}}
            for row in frame.to_dict("records")]  # fmt: skip
