"""Figures of the algorithms: errors by products, and the trace of R by activation."""

from __future__ import annotations

from typing import Final, cast

import numpy as np
import pandas as pd
from matplotlib import style
from matplotlib.figure import Figure

from hessbench.estimand.base import Array
from hessbench.reports.claims.figure import StudyFigure
from hessbench.reports.claims.measured import Measured
from hessbench.reports.full_spectrum import method_verdicts as names
from hessbench.reports.full_spectrum.drawing_spectra import grid_below
from hessbench.reports.full_spectrum.groups import MAIN, SHALLOW, SMOOTH, numbers, of_groups
from hessbench.reports.writing.drawing import RC, set_limits, to_svg
from hessbench.reports.writing.palette import look

_TOTALS: Final = (80, 160, 320, 640, 2880)
_SHOWN: Final = (
    names.PLAIN, names.BY_LANCZOS, names.BY_SIMULTANEOUS, names.REST, names.BY_DOCUMENT, names.KPM, names.KPM_DEFLATED,
    names.SLQ,
)  # fmt: skip
_SMALLEST: Final = 1e-16


def draw_errors(measured: Measured) -> StudyFigure | None:
    """W1 of everything and of the bulk, and the error of the outliers, against total products."""
    rows: list[dict[str, object]] = []
    for measure in ("w1", "bulk-w1", "outlier-error"):
        for method in _SHOWN:
            for total in _TOTALS:
                values = numbers(of_groups(measured, names.at_budget(measure, total), MAIN, method))
                values = values[np.isfinite(values)]
                if values.size:
                    low, middle, high = np.quantile(values, [0, 0.5, 1])
                    rows.append({"measure": measure, "method": method, "products": total, "least": low,
                                 "median": middle, "most": high, "networks": values.size})  # fmt: skip
    if not rows:
        return None
    frame = pd.DataFrame(rows)
    titles = {"w1": "W1, whole spectrum", "bulk-w1": "W1, bulk alone", "outlier-error": "largest error of C outliers"}
    with style.context(["default", RC]):
        figure = Figure(figsize=(10.6, 4.4), layout="constrained")
        for axes, (measure, title) in zip(figure.subplots(1, 3), titles.items(), strict=True):
            axes.set_xscale("log")
            axes.set_yscale("log")
            for place, method in enumerate(_SHOWN):
                line = cast("pd.DataFrame", frame[(frame["measure"] == measure) & (frame["method"] == method)])
                x, low, y, high = (_numbers(line, name) for name in ("products", "least", "median", "most"))
                y = np.maximum(y, _SMALLEST)
                errors = np.abs(np.stack([low, high]) - y)
                axes.errorbar(x * 1.02 ** (place - 3), y, yerr=errors, color=look(place).colour, linewidth=1.1,
                              marker=look(place).marker, markersize=4.5, elinewidth=0.7, label=method)  # fmt: skip
            part = cast("pd.DataFrame", frame[frame["measure"] == measure])
            ends = np.concatenate([_numbers(part, "least"), _numbers(part, "most")])
            if ends.size:
                set_limits(axes, _numbers(part, "products").tolist(), np.maximum(ends, _SMALLEST).tolist())
            axes.set_title(title, fontsize=9)
            axes.set_xlabel("total products (logarithmic)")
            grid_below(axes)
        figure.axes[0].set_ylabel("error (no unit, logarithmic)")
        handles, labels = figure.axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=3, frameon=False, fontsize=8)
        picture = to_svg(figure)
    return StudyFigure(
        "errors", "The pipelines at equal total products", picture, frame,
        "Three panels: errors of the pipelines against total products, all logarithmic.",
        "Exact spectra of H of ten networks behind a fast rotation, one start each; marks are medians, bars reach from "
        "the least to the most. W1 is over the mean distance to the mean. Of what gives no C values the third panel "
        "has none; where nothing is deflated they are the first C distinct Ritz values.",
    )  # fmt: skip


def draw_signs(measured: Measured) -> StudyFigure | None:
    """|tr R| over the sum of magnitudes, by activation and depth."""
    rows: list[dict[str, object]] = []
    for kind, groups in (("24-24 ReLU", MAIN), ("34 ReLU", SHALLOW), ("24-24 tanh", SMOOTH)):
        shares, p = of_groups(measured, "trace-share-of-r", groups), of_groups(measured, "symmetry-p", groups)
        for unit, share in shares.items():
            rows.append({"networks": kind, "unit": unit, "tr R / sum |lambda|": share, "p of the signs": p[unit]})
    if not rows:
        return None
    frame = pd.DataFrame(rows)
    kinds = list(dict.fromkeys(frame["networks"]))
    with style.context(["default", RC]):
        figure = Figure(figsize=(10.6, 2.9), layout="constrained")
        left, right = figure.subplots(1, 2, sharey=True)
        for place, kind in enumerate(kinds):
            part = cast("pd.DataFrame", frame[frame["networks"] == kind])
            heights = place + np.linspace(-0.25, 0.25, len(part))
            sizes = np.maximum(np.abs(_numbers(part, "tr R / sum |lambda|")), 1e-18)
            left.plot(sizes, heights, linestyle="", marker=look(place).marker, color=look(place).colour, markersize=5)
            right.plot(np.maximum(_numbers(part, "p of the signs"), 1e-18), heights, linestyle="",
                       marker=look(place).marker, color=look(place).colour, markersize=5)  # fmt: skip
        left.axvline(0.01, color="#767676", linestyle=(0, (3, 2)), linewidth=0.9)
        right.axvline(0.05, color="#767676", linestyle=(0, (3, 2)), linewidth=0.9)
        left.set_yticks(range(len(kinds)), kinds)
        left.set_xlabel("|tr R| / Σ|λ| (logarithmic); dashed: .01")
        right.set_xlabel("p, positive against negated negative (logarithmic); dashed: .05")
        for axes in (left, right):
            axes.set_xscale("log")
            grid_below(axes)
        picture = to_svg(figure)
    return StudyFigure(
        "signs", "Symmetry of R by activation", picture, frame,
        "Left: the trace of R over the sum of magnitudes for each network. Right: p of the test of signs.",
        "A mark for each network. Of networks that are piecewise linear in each parameter the trace is zero, here to "
        "rounding; a smooth activation has no such theorem.",
    )  # fmt: skip


def _numbers(frame: pd.DataFrame, column: str) -> Array:
    return np.asarray(frame[column].tolist(), dtype=np.float64)
