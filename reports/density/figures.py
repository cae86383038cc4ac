"""Figures of the density study: every method beside Lanczos, when KPM misbehaves, and the densities themselves."""

from __future__ import annotations

from typing import Final

import numpy as np
from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, MaxNLocator, NullLocator

from hessbench.estimand.base import Array
from hessbench.reports.density.results import METRICS, CaseRuns, DensityResults
from hessbench.reports.density.verdicts import FACTOR, KPM, LANCZOS, ratio
from hessbench.reports.writing.drawing import RC, Picture, faint_grid, set_limits, to_svg
from hessbench.reports.writing.palette import GREY, INK, look

_SHOWN: Final = (LANCZOS, KPM, "kpm[damping=lanczos]", "deflated-slq", "krylov-aware-slq")
"""Methods whose densities are drawn, where they were run."""

WIDTH: Final = 0.01
"""Standard deviation of the Gaussian that a density is drawn with, over the width of the true spectrum."""

_DECADES: Final = 5
_MOST: Final = 1e4
"""Ratios beyond this, or its inverse, are drawn at it."""


def draw_methods(results: DensityResults) -> Picture:
    """Error of each method over that of one-vector Lanczos: a dot for each problem, a bar at their median."""
    methods = [method for method in results.methods if method != LANCZOS]
    with style.context(["default", RC]):
        figure = Figure(figsize=(11.4, 0.9 + 0.3 * len(methods)), layout="constrained")
        grid = figure.subplots(1, len(results.metrics), sharey=True, squeeze=False)
        for axes, metric in zip(grid.flat, results.metrics, strict=True):
            axes.set_xscale("log")
            seen: list[float] = [1.0]
            for height, method in enumerate(methods):
                for is_network, marker in ((False, "o"), (True, "s")):
                    ratios = _ratios([it for it in results.cases if it.is_network == is_network], method, metric)
                    axes.plot(ratios, np.full(ratios.size, height), linestyle="", marker=marker, markersize=4,
                              markerfacecolor="none" if is_network else look(0).colour, alpha=0.75,
                              markeredgecolor=look(1 if is_network else 0).colour, markeredgewidth=1.1,
                              label="network" if is_network else "made-up spectrum")  # fmt: skip
                    seen += ratios.tolist()
                everything = _ratios(results.cases, method, metric)
                if everything.size:
                    axes.plot([float(np.median(everything))] * 2, [height - 0.34, height + 0.34], color=INK["ink"],
                              linewidth=1.6, label="median")  # fmt: skip
            axes.axvline(1, color=GREY, linewidth=0.9, linestyle=(0, (3, 2)), zorder=1)
            _decades(axes, min(seen), max(seen))
            axes.set_yticks(range(len(methods)), methods, fontsize=8, parse_math=False)
            axes.set_ylim(len(methods) - 0.5, -0.5)
            faint_grid(axes)
            axes.set_title(METRICS[metric], fontsize=9)
        figure.supxlabel(f"error over that of {LANCZOS} (no unit, logarithmic)", fontsize=9, parse_math=False)
        handles, labels = grid.flat[0].get_legend_handles_labels()
        known = dict(zip(labels, handles, strict=True))
        figure.legend(known.values(), known.keys(), loc="outside upper center", ncols=3, frameon=False, fontsize=8.5)
        return to_svg(figure)


def draw_when(results: DensityResults) -> Picture:
    """KPM's error over that of Lanczos against how far the spectrum reaches beyond its bulk."""
    apart = [case for case in results.cases if not case.is_network]
    kinds = (
        ("made-up, largest atom below 10 %", [case for case in apart if case.largest_atom < 0.1]),
        ("made-up, largest atom from 10 % on", [case for case in apart if case.largest_atom >= 0.1]),
        ("network", [case for case in results.cases if case.is_network]),
    )
    with style.context(["default", RC]):
        figure = Figure(figsize=(11.4, 3.5), layout="constrained")
        grid = figure.subplots(1, len(results.metrics), squeeze=False)
        for axes, metric in zip(grid.flat, results.metrics, strict=True):
            axes.set_xscale("log")
            axes.set_yscale("log")
            xs: list[float] = []
            ys: list[float] = []
            for place, (name, cases) in enumerate(kinds):
                found = [(case.outlier_reach, ratio(case, KPM, LANCZOS, metric)) for case in cases]
                kept = [(x, min(max(y, 1 / _MOST), _MOST)) for x, y in found if np.isfinite(y)]
                axes.plot([x for x, _ in kept], [y for _, y in kept], linestyle="", color=look(place).colour,
                          marker=look(place).marker, markersize=5, alpha=0.85, label=name)  # fmt: skip
                xs += [x for x, _ in kept]
                ys += [y for _, y in kept]
            axes.axhline(1, color=GREY, linewidth=0.9, zorder=1)
            axes.axhline(FACTOR, color=GREY, linewidth=0.9, linestyle=(0, (3, 2)), zorder=1)
            set_limits(axes, xs or [1.0], [*ys, 1.0, FACTOR])
            faint_grid(axes)
            axes.set_title(METRICS[metric], fontsize=9)
        figure.supxlabel("largest |λ - mean| over mean |λ - mean| (no unit)", fontsize=9, parse_math=False)
        figure.supylabel("error of kpm over Lanczos (no unit)", fontsize=9)
        handles, labels = grid.flat[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper center", ncols=3, frameon=False, fontsize=8.5)
        return to_svg(figure)


def draw_densities(results: DensityResults) -> Picture | None:
    """Densities of a few problems, a row each, a method a column, over the truth; None where none is to be shown."""
    cases = [case for name in results.shown for case in results.cases if case.name == name]
    methods = [method for method in _SHOWN if method in results.methods]
    if not cases or not methods:
        return None
    with style.context(["default", RC]):
        figure = Figure(figsize=(11.4, 0.6 + 1.75 * len(cases)), layout="constrained")
        grid = figure.subplots(len(cases), len(methods), sharey="row", sharex="row", squeeze=False)
        for height, (row, case) in enumerate(zip(grid, cases, strict=True)):
            x, sigma = _grid_of(case)
            truth = gaussian_density(case.truth["nodes"], case.truth["weights"], x, sigma)
            top = float(truth.max())
            floor = top * 10.0**-_DECADES
            for place, (axes, method) in enumerate(zip(row, methods, strict=True)):
                axes.fill_between(x, floor, np.maximum(truth, floor), color="#aab3bc", linewidth=0, label="true")
                if method in case.rules:
                    rule = case.rules[method]
                    found = gaussian_density(rule["nodes"], rule["weights"], x, sigma)
                    axes.plot(x, np.maximum(found, floor), color=look(place).colour, linewidth=1.1)
                else:
                    axes.annotate("no density", (0.5, 0.5), xycoords="axes fraction", ha="center", fontsize=8)
                axes.set_yscale("log")
                axes.set_ylim(floor, 3 * top)
                axes.yaxis.set_major_locator(LogLocator(numticks=4))
                axes.yaxis.set_minor_locator(NullLocator())
                axes.xaxis.set_major_locator(MaxNLocator(nbins=4))
                axes.tick_params(labelsize=7.5)
                if height == 0:
                    axes.set_title(method, fontsize=8.5, color=look(place).colour, parse_math=False)
            row[0].set_ylabel(_broken(case.name), fontsize=7.5, parse_math=False)
        figure.supxlabel("eigenvalue λ (unit of the operator)", fontsize=9, parse_math=False)
        figure.supylabel("density (1 / unit of the operator)", fontsize=9)
        return to_svg(figure)


def gaussian_density(nodes: Array, weights: Array, x: Array, sigma: float) -> Array:
    """Density of a discrete measure that is smoothed by a Gaussian.

    Args:
        nodes: Nodes, (m,).
        weights: Their weights, (m,).
        x: Points, (k,).
        sigma: Standard deviation of the Gaussian.

    Returns:
        The density at x, (k,).
    """
    # Node by node: a truth of two thousand nodes on hundreds of points is a small matrix.
    z = (x[:, None] - nodes) / sigma
    return np.exp(-(z**2) / 2) @ weights / (sigma * (2 * np.pi) ** 0.5)


def _grid_of(case: CaseRuns) -> tuple[Array, float]:
    nodes = case.truth["nodes"]
    width = float(np.ptp(nodes)) or max(abs(float(nodes[0])), 1.0)
    return np.linspace(nodes.min() - 0.06 * width, nodes.max() + 0.06 * width, 400), WIDTH * width


def _broken(name: str) -> str:
    """A name on several lines, at its commas."""
    return name.replace(",", ",\n")


def _ratios(cases: list[CaseRuns] | tuple[CaseRuns, ...], method: str, metric: str) -> Array:
    found = np.asarray([ratio(case, method, LANCZOS, metric) for case in cases], dtype=np.float64)
    return np.clip(found[np.isfinite(found)], 1 / _MOST, _MOST)


def _decades(axes: Axes, low: float, high: float) -> None:
    """Limits around the data, with a tick at every second or third power of ten where they are many."""
    first, last = int(np.floor(np.log10(low) - 0.05)), int(np.ceil(np.log10(high) + 0.05))
    step = max(1, (last - first) // 4)
    axes.set_xlim(10.0**first, 10.0**last)
    axes.xaxis.set_major_locator(FixedLocator([10.0**power for power in range(first, last + 1, step)]))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(_power))


def _power(value: float, _position: object = None) -> str:
    return f"{value:g}" if 0.01 <= value <= 100 else f"$10^{{{round(np.log10(value))}}}$"
