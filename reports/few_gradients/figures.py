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
from hessbench.reports.writing.drawing import RC, Picture, faint_grid, set_limits, to_svg
from hessbench.reports.writing.palette import GREY, Look, look

_LEAST: Final = 1e-6
"""Smaller errors are drawn here: they are those of rounding."""

_LEVEL: Final = 0.01
"""Of the figures by step and by number of images."""

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
    """Cost of 1 % along a series of networks: a row for each question, a column for each cost, and the advantage.

    By the number of images costs are not told in gradients, whose own cost grows with it, but in what does not.

    Args:
        series: What the places of the series are.
        questions: Those of the series.
        power_law: Whether places are on a logarithmic axis with an exponent fitted, rather than names.
    """
    names = reached_questions(questions)
    with style.context(["default", RC]):
        figure = Figure(figsize=(11.4, 2.5 * len(names) + 0.6), layout="constrained")
        grid = figure.subplots(len(names), len(_SHOWN) + 1, squeeze=False)
        for row, name in zip(grid, names, strict=True):
            chosen = [found for found in questions if found.question.name == name]
            for axes, (cost, label) in zip(row, _SHOWN, strict=False):
                _series(axes, chosen, cost, power_law=power_law)
                axes.set_ylabel(_IN_SERIES[cost] if power_law else label.replace(" of this machine", ""), fontsize=8)
            _advantage(row[-1], chosen, power_law=power_law)
            row[-1].set_ylabel("cheaper by (times)", fontsize=8)
            row[0].set_title(f"{name}, within 1 %", fontsize=9.5, loc="left")
            for axes in row:
                axes.set_xlabel(series, fontsize=8.5)
        for place, axes in enumerate(grid[0][1:]):
            handles, labels = (grid[0][0], grid[0][-1])[place].get_legend_handles_labels()
            axes.legend(handles, labels, loc="lower center", bbox_to_anchor=(0.5, 1.02), ncols=1, frameon=False,
                        fontsize=8)  # fmt: skip
        return to_svg(figure)


def reached_questions(questions: Sequence[QuestionRuns]) -> list[str]:
    """Names of the questions that any method answers within the level of a series, somewhere along it."""
    return list(dict.fromkeys(
        found.question.name for found in questions if np.isfinite(best(found, _LEVEL, WITH_BUILD)[1])
    ))  # fmt: skip


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
    faint_grid(axes)


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
    seen: list[float] = []
    kinds = (
        (True, look(0), "-", "rows, subsets, parts: the best"),
        (False, look(1), (0, (4, 2)), "whole products, BackPACK: the best"),
    )
    for line, (structured, own, dashes, kind) in enumerate(kinds):
        costs = [_cost_in(found, cost, structured=structured, power_law=power_law) for found in chosen]
        reached = [place for place, value in enumerate(costs) if np.isfinite(value)]
        values = [costs[place] for place in reached]
        places = [_place(chosen, place, power_law=power_law) for place in reached]
        if power_law and len(values) > 1:
            slope = exponent(np.asarray(places), np.asarray(values))
            # Below what grows with N, where no curve passes.
            axes.text(0.97, 0.15 - 0.12 * line, f"N^{slope:.2f}", transform=axes.transAxes, ha="right", va="bottom",
                      fontsize=8.5, color=own.colour, parse_math=False)  # fmt: skip
        axes.plot(places, values, color=own.colour, marker=own.marker, linestyle=dashes, linewidth=1.5, label=kind)
        seen += values
    _places_axis(axes, chosen, seen, power_law=power_law)


def _advantage(axes: Axes, chosen: Sequence[QuestionRuns], *, power_law: bool) -> None:
    """Whole products over rows, subsets and parts; an open arrow where the former do not get there: no less."""
    seen: list[float] = [1.0]
    for cost, own, label in ((WITH_BUILD, look(2), "advantage by the clock"), (COUNTED, look(3), "advantage counted")):
        gains = [advantage(found, cost) for found in chosen]
        known = [place for place, (value, _) in enumerate(gains) if np.isfinite(value)]
        places = [_place(chosen, place, power_law=power_law) for place in known]
        values = [gains[place][0] for place in known]
        axes.plot(places, values, color=own.colour, marker=own.marker, linewidth=1.5, label=label)
        beyond = [place for place, value in zip(places, known, strict=True) if gains[value][1]]
        tops = [gains[value][0] for value in known if gains[value][1]]
        axes.plot(beyond, tops, color=own.colour, marker="^", markersize=9, markerfacecolor="none", linestyle="none")
        seen += values
    axes.axhline(1.0, color=GREY, linewidth=0.9, linestyle=(0, (1, 2)), zorder=1)
    _places_axis(axes, chosen, seen if len(seen) > 1 else [], power_law=power_law)


def advantage(found: QuestionRuns, cost: str) -> tuple[float, bool]:
    """How many times as much whole products cost to 1 %, and whether that is only the least it can be.

    Where no whole product gets there, each costs more than it spent: the least of what they spent stands for the cost.
    Not a number where nothing that uses the network gets there.
    """
    _, value = best(found, _LEVEL, cost, structured=True)
    _, whole = best(found, _LEVEL, cost, structured=False)
    if not np.isfinite(value):
        return np.nan, False
    if np.isfinite(whole):
        return whole / value, False
    spent = [
        max(cost_of(points[-1], float(build), cost) for points, build in zip(runs.repeats, runs.build, strict=True))
        for runs in found.methods
        if not runs.structured and runs.repeats
    ]
    return (min(spent) / value, True) if spent else (np.nan, False)


def _place(chosen: Sequence[QuestionRuns], number: int, *, power_law: bool) -> float:
    return chosen[number].question.place if power_law else float(number)


def _places_axis(axes: Axes, chosen: Sequence[QuestionRuns], seen: list[float], *, power_law: bool) -> None:
    axes.set_xscale("log" if power_law else "linear")
    axes.set_yscale("log")
    set_limits(axes, [found.question.place for found in chosen] if power_law else [1.0], seen or [1.0])
    if not power_law:
        axes.xaxis.set_major_locator(FixedLocator(range(len(chosen))))
        axes.xaxis.set_major_formatter(FixedFormatter([f"{found.question.place:g}" for found in chosen]))
        axes.set_xlim(-0.4, len(chosen) - 0.6)
    if not seen:
        axes.text(0.5, 0.5, "none gets there", transform=axes.transAxes, ha="center", fontsize=8.5, color=GREY)
    faint_grid(axes)


def _cost_in(found: QuestionRuns, cost: str, *, structured: bool, power_law: bool) -> float:
    value = best(found, _LEVEL, cost, structured=structured)[1]
    return seconds_of(found, cost, value) if power_law else value


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
