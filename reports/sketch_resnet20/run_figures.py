"""Figures of the runs: values and errors by product, what each eigenvalue took, and the time outside of products."""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd
from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator, ScalarFormatter

from hessbench.estimand.base import Array
from hessbench.reports.claims.figure import StudyFigure
from hessbench.reports.sketch_resnet20 import named
from hessbench.reports.sketch_resnet20.judging import power_steps
from hessbench.reports.sketch_resnet20.readings import NetworkReadings, TopRun
from hessbench.reports.writing.drawing import RC, faint_grid, to_svg
from hessbench.reports.writing.palette import GREY, INK, look

_SMALL: Final = 8.5


def convergence(net: NetworkReadings) -> StudyFigure | None:
    """Ritz values of the first start of Lanczos by product, certified values as lines, and the errors of both."""
    runs = net.runs_of(named.LANCZOS)
    if not runs:
        return None
    run = max(runs, key=lambda it: float(it.products[-1]))
    truth = np.abs(net.truth.top[: named.K])
    with style.context(["default", RC]):
        figure = Figure(figsize=(11.4, 4.6), layout="constrained")
        left, right = figure.subplots(1, 2)
        left.hlines(truth, 0, run.products[-1], color=look(1).colour, linewidth=0.8, label="certified value")
        where, sizes = _dots(run)
        left.plot(where, sizes, linestyle="", marker="o", markersize=2.2, color=INK["ink"], label="Ritz value")
        _counts(left, "published: 1, 2, 4, 20 found")
        left.set_yscale("log")
        left.set_ylim(float(truth[-1]) / 2.5, float(truth[0]) * 1.6)
        left.set_xlabel("products with the Hessian")
        left.set_ylabel("|eigenvalue| (unit of the loss)")
        left.yaxis.set_major_formatter(ScalarFormatter())
        for place, (runs_of, name) in enumerate(((runs, "Lanczos"), (net.runs_of(named.POWER), "power iteration"))):
            for number, it in enumerate(runs_of):
                right.plot(it.products, 100 * np.maximum(it.errors(), 1e-8), color=look(place).colour, linewidth=1.2,
                           alpha=0.8, label=name if number == 0 else None)  # fmt: skip
        right.axhline(1, color=GREY, linewidth=0.9, linestyle=(0, (3, 2)), label="1 %")
        _logs(right)
        right.axvline(named.LANCZOS_PRODUCTS[named.K], color=look(0).colour, linestyle=":", linewidth=1,
                      label="published: Lanczos, 45")  # fmt: skip
        right.axvline(named.POWER_PRODUCTS, color=look(1).colour, linestyle=":", linewidth=1,
                      label="published: power iteration, 349")  # fmt: skip
        right.set_ylim(1e-3, 150)
        right.set_xlabel("products with the Hessian")
        right.set_ylabel("largest error of the first 20 (%)")
        for axes in (left, right):
            faint_grid(axes)
        left.legend(frameon=False, fontsize=_SMALL, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3)
        right.legend(frameon=False, fontsize=_SMALL, loc="lower left")
        picture = to_svg(figure)
    return StudyFigure(
        "convergence",
        "Ritz values by product, and the error of the first 20",
        picture,
        pd.concat([_error_rows(it) for it in (*runs, *net.runs_of(named.POWER))]),
        "Ritz values of Lanczos that settle on horizontal certified lines, the largest first, and error curves that "
        "fall much earlier for Lanczos than for power iteration.",
        "Left: magnitudes of the Ritz values of one start, as in figure 4 of the document, on certified values; dotted "
        "lines where the document counts the first 1, 2, 4 and 20 as found. Right: every start of Lanczos, and power "
        "iteration by the rule of the library that the document uses.",
    )


def _dots(run: TopRun) -> tuple[Array, Array]:
    """Products and magnitudes of all values, of every fourth step beyond 60, where they hardly move."""
    kept = (run.products <= 60) | (run.products % 4 == 0)
    where = np.repeat(run.products[kept], run.values.shape[1])
    sizes = np.abs(run.values[kept]).ravel()
    known = np.isfinite(sizes) & (sizes > 0)
    return where[known], sizes[known]


def _counts(axes: Axes, label: str) -> None:
    for place, count in enumerate(named.LANCZOS_PRODUCTS.values()):
        axes.axvline(count, color=GREY, linewidth=0.9, linestyle=":", label=label if place == 0 else None)


def _logs(axes: Axes) -> None:
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlim(1, 1000)
    axes.xaxis.set_major_locator(FixedLocator([1, 3, 10, 30, 100, 300, 1000]))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(ScalarFormatter())


def _error_rows(run: TopRun) -> pd.DataFrame:
    return pd.DataFrame({
        "method": run.method, "start": run.repeat, "products": run.products.astype(int),
        "largest_error_of_20_percent": [float(f"{100 * it:.4g}") for it in run.errors()],
    })  # fmt: skip


def per_eigenvalue(net: NetworkReadings) -> StudyFigure | None:
    """Products that power iteration took on each eigenvalue, and when either had the first k."""
    power, runs = net.power, net.runs_of(named.LANCZOS)
    if power is None or not runs:
        return None
    places = np.arange(1, named.K + 1)
    taken = power_steps(power).products
    ends = np.cumsum(taken)
    seconds = np.asarray([power.seconds[power.place(int(end))] for end in ends])
    stops = np.asarray([[run.stop(int(k)) for k in places] for run in runs])
    typical = np.median(stops, axis=0)
    lanczos_s = np.asarray([
        np.median([run.seconds[run.place(int(stop))] for run, stop in zip(runs, row, strict=True)])
        if np.isfinite(row).all() else np.nan
        for row in stops.T
    ])  # fmt: skip
    with style.context(["default", RC]):
        figure = Figure(figsize=(11.4, 4.2), layout="constrained")
        left, right = figure.subplots(1, 2)
        left.bar(places, taken, color=look(1).colour, alpha=0.35, width=0.7, label="power iteration, on this one")
        left.plot(places, ends, color=look(1).colour, marker="s", markersize=4, label="power iteration, up to it")
        shown = np.isfinite(typical)
        left.plot(places[shown], typical[shown], color=look(0).colour, marker="o", markersize=4,
                  label="Lanczos, first k to 1 % (median)")  # fmt: skip
        left.plot(list(named.LANCZOS_PRODUCTS), list(named.LANCZOS_PRODUCTS.values()), linestyle="", marker="x",
                  color=INK["ink"], label="published, Lanczos")  # fmt: skip
        left.plot([named.K], [named.POWER_PRODUCTS], linestyle="", marker="+", markersize=9, color=INK["ink"],
                  label="published, power iteration")  # fmt: skip
        left.set_yscale("log")
        left.set_ylabel("products with the Hessian")
        left.yaxis.set_major_formatter(ScalarFormatter())
        right.plot(places, seconds, color=look(1).colour, marker="s", markersize=4, label="power iteration")
        right.plot(places[shown], lanczos_s[shown], color=look(0).colour, marker="o", markersize=4, label="Lanczos")
        right.set_ylabel("seconds, here")
        right.set_ylim(bottom=0)
        for axes in (left, right):
            axes.set_xlabel("number of the eigenvalue, by magnitude")
            axes.xaxis.set_major_locator(FixedLocator([1, 5, 10, 15, 20]))
            axes.set_xlim(0.3, named.K + 0.7)
            faint_grid(axes)
        left.legend(frameon=False, fontsize=_SMALL, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2)
        right.legend(frameon=False, fontsize=_SMALL, loc="upper left")
        picture = to_svg(figure)
    return StudyFigure(
        "per-eigenvalue",
        "Products and seconds by eigenvalue",
        picture,
        pd.DataFrame(
            {
                "eigenvalue": places,
                "power_products": taken,
                "power_products_so_far": ends,
                "power_seconds": seconds,
                "lanczos_products_to_1_percent": typical,
                "lanczos_seconds": lanczos_s,
            }
        ),
        "Bars of products by eigenvalue under two rising lines, power iteration far above Lanczos.",
        "As in figure 3 of the document, where 349 products took 115 minutes. Power iteration moves on by its own "
        "rule, whatever its error; Lanczos counts as having the first k from where all of them stay within 1 %.",
    )


def own_time(net: NetworkReadings) -> StudyFigure | None:
    """Seconds so far by step, and those outside of products, with and without reorthogonalisation."""
    runs = [
        max(net.runs_of(method), key=lambda it: float(it.products[-1]))
        for method in (named.LANCZOS, named.LANCZOS_NONE)
        if net.runs_of(method)
    ]
    if not runs:
        return None
    with style.context(["default", RC]):
        figure = Figure(figsize=(7.6, 4.4), layout="constrained")
        axes = figure.subplots()
        for place, run in enumerate(runs):
            name = run.method.partition("reorth=")[2].rstrip("]")
            axes.plot(run.products, run.seconds, color=look(place).colour, linewidth=1.3,
                      label=f"reorthogonalisation {name}: all")  # fmt: skip
            axes.plot(run.products, run.own, color=look(place).colour, linewidth=1.3, linestyle=(0, (4, 2)),
                      label=f"reorthogonalisation {name}: outside of products")  # fmt: skip
        scale = runs[-1].own[min(19, runs[-1].own.size - 1)]
        steps = np.asarray([20.0, 100.0])
        for power in (1, 2):
            axes.plot(steps, scale * (steps / 20) ** power, color=GREY, linewidth=0.9, linestyle=":",
                      label="powers 1 and 2 of the steps" if power == 1 else None)  # fmt: skip
        _logs(axes)
        axes.set_xlim(1, 130)
        axes.set_xlabel("steps, a product each")
        axes.set_ylabel("seconds so far, here")
        faint_grid(axes)
        axes.legend(frameon=False, fontsize=_SMALL, loc="upper left")
        picture = to_svg(figure)
    frame = pd.concat([
        pd.DataFrame({
            "method": run.method, "steps": run.products.astype(int), "seconds": run.seconds.round(4),
            "seconds_outside_of_products": run.own.round(5),
        })
        for run in runs
    ])  # fmt: skip
    return StudyFigure(
        "own-time",
        "Time by step",
        picture,
        frame,
        "Lines of seconds against steps on two logarithmic axes; all of it rises linearly, the part outside of "
        "products faster where every vector is orthogonalised against all others.",
        "As in figure 5 of the document, where 100 steps took 30 minutes. Finding the eigenvalues of T is left out, as "
        "there.",
    )
