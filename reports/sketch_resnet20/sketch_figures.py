"""Figures of the sketch: the cumulative spectral density, the errors by rank, and both answers of every pair."""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd
from matplotlib import style
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, NullLocator, ScalarFormatter

from hessbench.estimand.base import Array
from hessbench.reports.claims.figure import StudyFigure
from hessbench.reports.claims.measured import Measured
from hessbench.reports.sketch_resnet20 import named
from hessbench.reports.sketch_resnet20.pairs import AnsweredPair, pairs_of
from hessbench.reports.sketch_resnet20.readings import NetworkReadings, texts
from hessbench.reports.writing.drawing import RC, faint_grid, to_svg
from hessbench.reports.writing.palette import GREY, INK, look

SHOWN_SIZES: Final = (10, 20, 30, 50, 70, 100)
_SMALL: Final = 8.5


def cumulative(measured: Measured, net: NetworkReadings) -> StudyFigure | None:
    """Number of eigenvalues above a value: the Hessian by quadrature, the GGN exactly, and the sketches."""
    curves = _curves(measured, net)
    if not curves:
        return None
    with style.context(["default", RC]):
        figure = Figure(figsize=(10.4, 4.6), layout="constrained")
        axes = figure.subplots()
        for place, (name, (values, counts)) in enumerate(curves.items()):
            axes.step(values, counts, where="post", color=look(place).colour, linewidth=1.3, label=name)
        axes.axvline(named.BELOW, color=GREY, linewidth=0.9, linestyle=":", label="0.3, published bound of 99 %")
        axes.axhline(0.01 * net.truth.dim, color=GREY, linewidth=0.9, linestyle=(0, (3, 2)),
                     label=f"1 % of the {net.truth.dim:,} eigenvalues")  # fmt: skip
        axes.plot([195], [1], linestyle="", marker="x", color=INK["ink"], label="published: largest of a sketch, 195")
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_xlim(1e-2, 2 * float(np.abs(net.truth.top[0])))
        axes.set_ylim(0.7, 2e4)
        axes.set_xlabel("eigenvalue (unit of the loss)")
        axes.set_ylabel("number of eigenvalues above it")
        faint_grid(axes)
        figure.legend(loc="outside right upper", frameon=False, fontsize=_SMALL)
        picture = to_svg(figure)
    frame = pd.concat([
        pd.DataFrame({"curve": name, "eigenvalue": values, "number_above": counts})
        for name, (values, counts) in curves.items()
    ])  # fmt: skip
    return StudyFigure(
        "cumulative",
        "Cumulative spectral density",
        picture,
        frame.map(lambda it: float(f"{it:.5g}") if isinstance(it, float) else it),
        "Falling steps of the number of eigenvalues above a value; the sketches lie above the exact GGN.",
        "As in figures 2 and 6 of the document, as numbers instead of shares. The curve of the Hessian is n times the "
        "weights of the nodes of Lanczos quadrature of 50 steps, averaged over the starts; negative eigenvalues are "
        "not on the axis.",
    )


def _curves(measured: Measured, net: NetworkReadings) -> dict[str, tuple[Array, Array]]:
    curves: dict[str, tuple[Array, Array]] = {}
    units = texts(measured.select(named.MASS, net.problem)["unit"])
    if units:
        rules = [measured.array(units[0], f"start {number}") for number in range(len(units))]
        nodes = np.concatenate([rule[0] for rule in rules])
        weights = np.concatenate([rule[1] for rule in rules]) * net.truth.dim / len(rules)
        curves["Hessian, by quadrature"] = _above(nodes, weights)
    exact = texts(measured.select(named.RANK, named.GGN)["unit"])
    if exact:
        curves["GGN, exact"] = _above(measured.array(exact[0], "nodes"), measured.array(exact[0], "counts"))
    for size in named.SIZES if net.sketches else ():
        values = net.sketches[0].eigenvalues(size)
        curves[f"sketch of {size}"] = _above(values, np.ones(values.size))
    return curves


def _above(values: Array, counts: Array) -> tuple[Array, Array]:
    """Positive values, ascending, each with the number of those above it."""
    kept = values > 0
    order = np.argsort(values[kept])
    found, number = values[kept][order], counts[kept][order]
    above = np.cumsum(number[::-1])[::-1]
    return np.concatenate([[1e-3], found]), np.concatenate([above, [1e-9]])


def by_rank(net: NetworkReadings) -> StudyFigure | None:
    """Signed error of the sketch by rank, a line for each size."""
    if not net.sketches:
        return None
    rows: list[pd.DataFrame] = []
    with style.context(["default", RC]):
        figure = Figure(figsize=(8.6, 4.8), layout="constrained")
        axes = figure.subplots()
        for place, size in enumerate(SHOWN_SIZES):
            errors = 100 * np.stack([it.signed_errors(size) for it in net.sketches])
            ranks, typical = np.arange(1, errors.shape[1] + 1), np.median(errors, axis=0)
            strong = size in named.SIZES
            axes.plot(ranks, typical, color=look(place).colour, marker=look(place).marker, markersize=4,
                      linewidth=1.8 if strong else 1.0, label=f"sketch of {size}")  # fmt: skip
            if strong:
                axes.fill_between(ranks, errors.min(axis=0), errors.max(axis=0), color=look(place).colour, alpha=0.15,
                                  linewidth=0)  # fmt: skip
            rows.append(pd.DataFrame({
                "size": size, "rank": ranks, "median_percent": typical.round(3),
                "least_percent": errors.min(axis=0).round(3), "largest_percent": errors.max(axis=0).round(3),
            }))  # fmt: skip
        for place, (size, (_, mean, _)) in enumerate(named.SKETCH_ERRORS.items()):
            axes.axhline(mean, color=INK["ink"], linewidth=1, linestyle=(":", "--")[place],
                         label=f"published mean, sketch of {size}: {mean:g} %")  # fmt: skip
        axes.axhline(0, color=GREY, linewidth=0.9)
        axes.set_yscale("symlog", linthresh=10)
        axes.yaxis.set_major_locator(FixedLocator([-30, -10, -5, 0, 5, 10, 30, 100, 300, 1000]))
        axes.yaxis.set_major_formatter(ScalarFormatter())
        axes.yaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_locator(FixedLocator([1, 5, 10, 15, 20]))
        axes.set_xlabel("rank of the eigenvalue, by magnitude")
        axes.set_ylabel("signed error (%; linear within 10 %)")
        faint_grid(axes)
        figure.legend(loc="outside right upper", frameon=False, fontsize=_SMALL)
        picture = to_svg(figure)
    return StudyFigure(
        "by-rank",
        "Signed error of the sketch by rank",
        picture,
        pd.concat(rows),
        "Lines of the signed error against the rank, one for each size of the sketch; small sketches are far too "
        "large at every rank.",
        f"As in figure 19 of the document. Medians of {len(net.sketches)} draws of nested signs; shaded from the least "
        "to the largest at sizes 50 and 100. A sketch of 10 has 10 eigenvalues.",
    )


def pairs(measured: Measured, net: NetworkReadings) -> StudyFigure | None:
    """Both errors of every pair of methods against products and seconds."""
    found = pairs_of(measured, net)
    if not found:
        return None
    joint = [it for it in found if it.top == it.trace]
    tops = list(dict.fromkeys(it.top for it in found if it.top != it.trace))
    traces = list(dict.fromkeys(it.trace for it in found if it.top != it.trace))
    rows: list[dict[str, object]] = []
    with style.context(["default", RC]):
        figure = Figure(figsize=(11.4, 7.4), layout="constrained")
        panels = figure.subplots(2, 2, sharex="col", sharey="row")
        for column, what in enumerate(("products", "seconds")):
            for row, error in enumerate(("top_error", "trace_error")):
                axes = panels[row][column]
                for it in found:
                    shared = it in joint
                    colour = (
                        look(joint.index(it)).colour if shared else look(len(joint) + traces.index(it.trace)).colour
                    )
                    marker = "*" if shared else look(tops.index(it.top)).marker
                    x, y = float(np.median(getattr(it, what))), 100 * max(float(np.median(getattr(it, error))), 1e-8)
                    axes.plot([x], [y], linestyle="", marker=marker, markersize=13 if shared else 6, color=colour,
                              markeredgecolor=INK["ink"] if shared else colour, markeredgewidth=0.7,
                              alpha=1.0 if shared else 0.65)  # fmt: skip
                axes.set_xscale("log")
                axes.set_yscale("log")
                axes.xaxis.set_minor_locator(NullLocator())
                axes.yaxis.set_minor_locator(NullLocator())
                faint_grid(axes)
        panels[0][0].set_ylabel("largest error of the first 20 (%)")
        panels[1][0].set_ylabel("error of the trace (% of sum |λ|)")
        panels[1][0].set_xlabel("products of both answers")
        panels[1][1].set_xlabel("seconds of both answers, here")
        _ticks(panels, found)
        handles = [
            *(_key(f"{it.name}, both answers", "*", look(n).colour, 11) for n, it in enumerate(joint)),
            *(_key(f"first 20: {top}", look(n).marker, INK["soft"], 6) for n, top in enumerate(tops)),
            *(_key(f"trace: {it}", "o", look(len(joint) + n).colour, 6) for n, it in enumerate(traces)),
        ]
        figure.legend(handles=handles, loc="outside right upper", frameon=False, fontsize=8)
        picture = to_svg(figure)
    for it in found:
        rows.append({
            "pair": it.name, "repeats": it.products.size, "products": float(np.median(it.products)),
            "seconds": round(float(np.median(it.seconds)), 3),
            "top_20_error_percent": float(f"{100 * np.median(it.top_error):.4g}"),
            "trace_error_percent": float(f"{100 * np.median(it.trace_error):.4g}"),
        })  # fmt: skip
    return StudyFigure(
        "pairs",
        "First 20 and trace: both errors of every pair of methods",
        picture,
        pd.DataFrame(rows),
        "Four panels of points: the error of the first 20 above, that of the trace below, against products and "
        "seconds.",
        "A star is one run that answers both. Any other point is a method of the first 20, by its marker, with one "
        "of the trace, by its colour; products and seconds are of both. Medians of the repeats. Published: sketch of "
        "50 in 18 minutes, Lanczos 50 and Hutchinson 50 in 29.",
    )


def _ticks(panels: Array, found: tuple[AnsweredPair, ...]) -> None:
    for column, what in enumerate(("products", "seconds")):
        sizes = np.concatenate([getattr(it, what) for it in found])
        axes = panels[1][column]
        low, high = float(sizes.min()) / 1.3, float(sizes.max()) * 1.3
        places = [base * 10.0**power for power in range(-3, 5) for base in (1, 2, 5)]
        axes.set_xlim(low, high)
        axes.xaxis.set_major_locator(FixedLocator([it for it in places if low <= it <= high]))
        axes.xaxis.set_major_formatter(ScalarFormatter())


def _key(label: str, marker: str, colour: str, size: float) -> Line2D:
    return Line2D([], [], linestyle="", marker=marker, markersize=size, color=colour, label=label)
