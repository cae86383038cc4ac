"""Figures of the study of few gradients: error against cost, and the cost of 1 % along a series of networks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedFormatter, FixedLocator

from hessbench.estimand.base import Array
from hessbench.reports.few_gradients.results import (
    COUNTED,
    INTERVAL,
    LEVELS,
    WITH_BUILD,
    FewGradientsResults,
    MethodRuns,
    QuestionRuns,
    best,
    cost_of,
)
from hessbench.reports.few_gradients.targets import exponent, seconds_of
from hessbench.reports.writing.drawing import RC, Picture, set_limits, to_svg
from hessbench.reports.writing.palette import GREY, Look, look

_LEAST: Final = 1e-6
"""Smaller errors are drawn here: they are those of rounding."""

_IN_SERIES: Final = {WITH_BUILD: "seconds, build included", COUNTED: "gradients of one image, counted"}
"""What costs are called where they are drawn by the number of images, so that all of them share a unit."""

_SHOWN: Final = ((WITH_BUILD, "gradients of this machine, build included"), (COUNTED, "gradient-equivalents, counted"))


def draw_curves(questions: Sequence[QuestionRuns]) -> Picture:
    """Error against both costs: a row for each question, methods of whole products dashed, the others solid."""
    with style.context(["default", RC]):
        figure = Figure(figsize=(11.4, 3.15 * len(questions)), layout="constrained")
        grid = figure.subplots(len(questions), len(_SHOWN), squeeze=False)
        for row, found in zip(grid, questions, strict=True):
            for axes, (cost, label) in zip(row, _SHOWN, strict=True):
                _curves(axes, found, cost)
                axes.set_xlabel(label, fontsize=8.5)
            row[0].set_ylabel(_error_name(found), fontsize=8.5)
            row[0].set_title(f"{found.question.name}, {found.question.network}", fontsize=9.5, loc="left")
            handles, labels = row[0].get_legend_handles_labels()
            row[-1].legend(handles, labels, loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False, fontsize=8)
        return to_svg(figure)


def draw_series(series: str, questions: Sequence[QuestionRuns], *, power_law: bool) -> Picture:
    """Cost of 1 % along a series of networks: a column for each question, a row for each cost.

    By the number of images costs are not told in gradients, whose own cost grows with it, but in what does not.

    Args:
        series: What the places of the series are.
        questions: Those of the series.
        power_law: Whether places are on a logarithmic axis with an exponent fitted, rather than names.
    """
    names = list(dict.fromkeys(found.question.name for found in questions))
    with style.context(["default", RC]):
        figure = Figure(figsize=(max(3.7 * len(names), 4.8), 2.9 * len(_SHOWN) + 0.4), layout="constrained")
        grid = figure.subplots(len(_SHOWN), len(names), squeeze=False)
        for row, (cost, label) in zip(grid, _SHOWN, strict=True):
            for axes, name in zip(row, names, strict=True):
                chosen = [found for found in questions if found.question.name == name]
                _series(axes, chosen, cost, power_law=power_law)
                axes.set_xlabel(series, fontsize=8.5)
            row[0].set_ylabel(f"to 1 %: {_IN_SERIES[cost] if power_law else label}", fontsize=8)
        for axes, name in zip(grid[0], names, strict=True):
            axes.set_title(name, fontsize=9.5)
        handles, labels = grid.flat[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper center", ncols=2, frameon=False, fontsize=8.5)
        return to_svg(figure)


def _curves(axes: Axes, found: QuestionRuns, cost: str) -> None:
    axes.set_xscale("log")
    axes.set_yscale("log")
    xs: list[float] = []
    ys: list[float] = list(LEVELS)
    for runs, own in _with_looks(found.methods):
        curve = _median_curve(runs, cost)
        if curve is None:
            continue
        x, y = curve
        dashes: object = "-" if runs.structured else (0, (4, 2))
        axes.plot(x, y, color=own.colour, marker=own.marker, markersize=4.2, linewidth=1.5, linestyle=dashes,
                  markerfacecolor=own.colour if runs.structured else "none", label=runs.method)  # fmt: skip
        xs += x.tolist()
        ys += y.tolist()
    for level in LEVELS:
        axes.axhline(level, color=GREY, linewidth=0.7, linestyle=(0, (1, 2)), zorder=1)
    set_limits(axes, xs or [1.0], ys)
    axes.grid(visible=True, which="major", color="#E6E6E6", linewidth=0.6)


def _with_looks(methods: Sequence[MethodRuns]) -> list[tuple[MethodRuns, Look]]:
    return [(runs, look(place)) for place, runs in enumerate(methods)]


def _median_curve(runs: MethodRuns, cost: str) -> tuple[Array, Array] | None:
    """Medians of cost and error over the repeats, budget by budget; None where there is no repeat."""
    number = min((len(points) for points in runs.repeats), default=0)
    if not number:
        return None
    costs = np.asarray(
        [
            [cost_of(point, float(build), cost) for point in points[:number]]
            for points, build in zip(runs.repeats, runs.build, strict=True)
        ]
    )
    errors = np.asarray([[max(point.error, _LEAST) for point in points[:number]] for points in runs.repeats])
    x, y = np.maximum(np.median(costs, axis=0), 1e-3), np.median(errors, axis=0)
    # An interval that is not given yet is infinitely wide, and what nobody counts has no place.
    seen = np.isfinite(x) & np.isfinite(y)
    return (x[seen], y[seen]) if seen.any() else None


def _series(axes: Axes, chosen: Sequence[QuestionRuns], cost: str, *, power_law: bool) -> None:
    axes.set_xscale("log" if power_law else "linear")
    axes.set_yscale("log")
    seen: list[float] = []
    kinds = (
        (False, look(1), (0, (4, 2)), "whole products, the best"),
        (True, look(0), "-", "rows, subsets, parts, the best"),
    )
    all_costs = [[_cost_in(found, cost, structured=kind[0], power_law=power_law) for found in chosen] for kind in kinds]
    for (_, own, dashes, kind), costs, others in zip(kinds, all_costs, reversed(all_costs), strict=True):
        reached = [place for place, value in enumerate(costs) if np.isfinite(value)]
        values = [costs[place] for place in reached]
        places = [chosen[place].question.place if power_law else float(place) for place in reached]
        if power_law and len(values) > 1:
            slope = exponent(np.asarray(places), np.asarray(values))
            below = values[0] < others[reached[0]] and np.isfinite(others[reached[0]])
            _note(axes, f"N^{slope:.2f}", places[0], values[0], own, below=bool(below))
        axes.plot(places, values, color=own.colour, marker=own.marker, linestyle=dashes, linewidth=1.5, label=kind)
        seen += values
    set_limits(axes, [found.question.place for found in chosen] if power_law else [1.0], seen or [1.0])
    if not power_law:
        axes.xaxis.set_major_locator(FixedLocator(range(len(chosen))))
        axes.xaxis.set_major_formatter(FixedFormatter([f"{found.question.place:g}" for found in chosen]))
        axes.set_xlim(-0.4, len(chosen) - 0.6)
    axes.grid(visible=True, which="major", color="#E6E6E6", linewidth=0.6)


def _cost_in(found: QuestionRuns, cost: str, *, structured: bool, power_law: bool) -> float:
    value = best(found, 0.01, cost, structured=structured)[1]
    return seconds_of(found, cost, value) if power_law else value


def _note(axes: Axes, text: str, x: float, y: float, own: Look, *, below: bool) -> None:
    axes.annotate(
        text, (x, y), textcoords="offset points", xytext=(6, -13 if below else 8), fontsize=8.5, color=own.colour,
        parse_math=False,
    )  # fmt: skip


def _error_name(found: QuestionRuns) -> str:
    return {
        "relative": "error / |trace|",
        "max_relative": "largest relative error",
        "relative_norm": "relative 2-norm of the error",
        "wasserstein1": "Wasserstein-1 / spread",
        "bulk_wasserstein1": "Wasserstein-1 of the bulk / its spread",
        INTERVAL: "error or half width, the larger",
    }.get(found.question.error, found.question.error)


def of_series(results: FewGradientsResults, series: str) -> list[QuestionRuns]:
    """The questions of a series; those that stand alone where it is empty."""
    return [found for found in results.questions if found.question.series == series]
