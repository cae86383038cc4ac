"""Figures of the study of whole spectra, in the order of the document's own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
import pandas as pd
from matplotlib import style
from matplotlib.figure import Figure

from hessbench.reports.claims.figure import StudyFigure
from hessbench.reports.claims.measured import Measured
from hessbench.reports.full_spectrum.drawing_spectra import POINTS, draw_spectrum, grid_below, rounded, smooth
from hessbench.reports.full_spectrum.groups import BY_SIZE, CLASSES, MAIN, TrainedGroup
from hessbench.reports.full_spectrum.method_figures import draw_errors, draw_signs
from hessbench.reports.full_spectrum.method_verdicts import BUDGET, BY_LANCZOS, PLAIN
from hessbench.reports.writing.drawing import RC, to_svg
from hessbench.reports.writing.palette import GREY, look

_MATRICES: Final = (("h", "H"), ("g", "G"), ("r", "R"))


def figures(measured: Measured) -> list[StudyFigure]:
    """Every figure whose numbers are there."""
    makers: tuple[Callable[[Measured], StudyFigure | None], ...] = (
        _by_data, _deflation, _parts, _tail, _sizes, _gaps, draw_errors, draw_signs,
    )  # fmt: skip
    return [made for made in (make(measured) for make in makers) if made is not None]


def units_of(measured: Measured, group: TrainedGroup) -> list[str]:
    """Names of the units of a group that kept a spectrum."""
    return [unit for unit in measured.units if unit.startswith(f"{group.name} run=") and f"{unit}/g" in measured.arrays]


def _by_data(measured: Measured) -> StudyFigure | None:
    found = [(group, units_of(measured, group)[:1]) for group in MAIN]
    if not all(units for _, units in found):
        return None
    frames: list[pd.DataFrame] = []
    with style.context(["default", RC]):
        figure = Figure(figsize=(10.6, 4.6), layout="constrained")
        grid = figure.subplots(2, len(found), squeeze=False)
        for column, (group, (unit,)) in enumerate(found):
            for row, (what, name) in enumerate((("h", "train"), ("test", "test"))):
                axes = grid[row][column]
                frame = draw_spectrum(axes, measured.array(unit, what), row, f"{group.images}, {name}")
                frames.append(frame)
                grid_below(axes)
                axes.legend(frameon=False, fontsize=8.5, loc="upper right")
        figure.supxlabel("eigenvalue λ of H", fontsize=9)
        figure.supylabel("density (1 / λ, logarithmic)", fontsize=9)
        picture = to_svg(figure)
    return StudyFigure(
        "hessians", "Exact spectra of H, by data and split", picture, pd.concat(frames),
        "Four panels: densities of H with stems for the first ten eigenvalues.",
        "One network of each data set, 24-24 ReLU, 100 images a class (1000; test 500), after 200 epochs. Lines: the "
        "bulk under a Gaussian; stems: the first C = 10 eigenvalues, one each."
        " The document's figures 1 and 2 show VGG11.",
    )  # fmt: skip


def _deflation(measured: Measured) -> StudyFigure | None:
    unit = next((it for group in MAIN for it in units_of(measured, group)), None)
    names = [f"density {name} {BUDGET}" for name in (BY_LANCZOS, PLAIN)]
    if unit is None or not all(f"{unit}/{name}" in measured.arrays for name in names):
        return None
    exact = np.sort(measured.array(unit, "h"))
    frames: list[pd.DataFrame] = []
    with style.context(["default", RC]):
        figure = Figure(figsize=(10.6, 4.8), layout="constrained")
        for axes, name, place in zip(figure.subplots(2, 1, sharex=True, sharey=True), names, (0, 1), strict=True):
            nodes, weights = measured.array(unit, name)
            points = np.isin(nodes, nodes[np.isclose(weights, 1 / exact.size, rtol=1e-9)])
            label = name.removeprefix("density ").removesuffix(f" {BUDGET}")
            step = float(np.median(np.diff(nodes[~points])))
            height = weights / step
            x, y = nodes[~points][::2], height[~points][::2]
            axes.plot(x, np.where(y > 1e-6 * y.max(), y, np.nan), color=look(place).colour, linewidth=1.2, label=label)
            axes.vlines(nodes[points], 1e-6 * height[~points].max(), weights[points] / step, color=look(place).colour)
            axes.plot(nodes[points], weights[points] / step, linestyle="", marker="o", markersize=4,
                      color=look(place).colour)  # fmt: skip
            axes.plot(exact[-CLASSES:], np.full(CLASSES, 3e-6 * height[~points].max()), linestyle="", marker="|",
                      markersize=12, markeredgewidth=1.4, color=GREY, label="exact outliers")  # fmt: skip
            axes.set_yscale("log")
            grid_below(axes)
            axes.legend(frameon=False, fontsize=8.5, loc="lower right", bbox_to_anchor=(1, 0.98), ncols=2)
            frames.append(pd.DataFrame({"method": label, "lambda": rounded(x), "density": rounded(y)}))
        figure.supxlabel("eigenvalue λ of H", fontsize=9)
        figure.supylabel("density (1 / λ, logarithmic)", fontsize=9)
        picture = to_svg(figure)
    return StudyFigure(
        "deflation", "With and without low-rank deflation, at 320 products each", picture, pd.concat(frames),
        "Two panels: the document's density with the outliers taken out first as stems, and without.",
        "The document's figure 3 on an exact spectrum, MNIST: grey ticks are the exact C outliers, stems what "
        "deflation by 40 products of Lanczos found; a fifth of the rest bounds the spectrum.",
    )  # fmt: skip


def _parts(measured: Measured) -> StudyFigure | None:
    unit = next((it for group in MAIN for it in units_of(measured, group)), None)
    if unit is None:
        return None
    frames: list[pd.DataFrame] = []
    spectra = {name: measured.array(unit, what) for what, name in _MATRICES}
    h = np.sort(spectra["H"])
    wide = np.linspace(min(float(h[0]), float(spectra["R"].min())) * 1.1, float(h[-1]) * 1.03, POINTS)
    reach = float(np.abs(spectra["R"]).max()) * 1.1
    zoom = np.linspace(-reach, reach, POINTS)
    decades = np.geomspace(1e-6 * h[-1], h[-1] * 1.2, 120)
    with style.context(["default", RC]):
        figure = Figure(figsize=(10.6, 6.2), layout="constrained")
        grid = figure.subplots(3, 3, sharex="col", sharey="col")
        for row, (name, values) in enumerate(spectra.items()):
            frames.append(draw_spectrum(grid[row][0], values, row, name, wide))
            positive = np.log10(values[values > 0])
            y = smooth(positive, np.full(positive.size, 1 / values.size), np.log10(decades), 0.08)
            grid[row][1].plot(decades, y, color=look(row).colour, linewidth=1.2)
            grid[row][1].set_xscale("log")
            frames.append(pd.DataFrame({"what": name, "mark": "density in log10 lambda, lambda > 0",
                                        "lambda": rounded(decades), "value": rounded(y)}))  # fmt: skip
            frame = draw_spectrum(grid[row][2], values, row, name, zoom)
            frames.append(frame.assign(mark="zoom: " + frame["mark"]))
            grid[row][0].set_ylabel(name, rotation=0, fontsize=11, labelpad=12)
            for axes in grid[row]:
                grid_below(axes)
        for axes, title, label in zip(
            grid[0], ("all of it", "positive side, by decades", "zoom on the bulk"), ("λ", "λ (logarithmic)", "λ"),
            strict=True,
        ):  # fmt: skip
            axes.set_title(title, fontsize=9)
            figure.axes[2].set_xlabel("")
            grid[2][list(grid[0]).index(axes)].set_xlabel(label)
        figure.supylabel("density (1 / λ; in the middle 1 / decade)", fontsize=9)
        picture = to_svg(figure)
    return StudyFigure(
        "parts", "H, its GGN G and the rest R", picture, pd.concat(frames),
        "Nine panels: H, G and R one above the other, whole, by decades and near zero.",
        "The document's figure 4a to c on exact spectra of one network, MNIST. Stems are the first ten eigenvalues of "
        "each matrix; axes of a column are shared.",
    )  # fmt: skip


def _tail(measured: Measured) -> StudyFigure | None:
    found = [(group, units_of(measured, group)) for group in MAIN]
    if not all(units for _, units in found):
        return None
    frames: list[pd.DataFrame] = []
    with style.context(["default", RC]):
        figure = Figure(figsize=(10.6, 4.0), layout="constrained")
        for axes, (group, units) in zip(figure.subplots(1, len(found), sharey=True), found, strict=True):
            for unit in units:
                r = measured.array(unit, "r")
                for sign, side, place in ((1.0, "positive", 1), (-1.0, "negative", 0)):
                    values = np.sort(sign * r[sign * r > 1e-8 * np.abs(r).max()])
                    keep = np.unique(np.geomspace(1, values.size, 50).astype(int)) - 1
                    x, y = values[::-1][keep], (keep + 1) / r.size
                    axes.plot(x, y, color=look(place).colour, linewidth=0.9, alpha=0.65,
                              label=side if unit == units[0] else "_")  # fmt: skip
                    frames.append(
                        pd.DataFrame({"network": unit, "side": side, "size": rounded(x), "above": rounded(y)})
                    )
            exponents = measured.values("tail-exponent", problem=group.name)
            starts, counts = (measured.values(name, problem=group.name) for name in ("tail-start", "tail-count"))
            if exponents.size:
                middle = int(np.argsort(exponents)[exponents.size // 2])
                start, exponent = starts[middle], exponents[middle]
                x = np.geomspace(start, np.abs(measured.array(units[middle], "r")).max(), 20)
                share = counts[middle] / measured.array(units[middle], "r").size / 2
                axes.plot(x, share * (x / start) ** (1 - exponent), color="#22262a", linewidth=1.6,
                          linestyle=(0, (5, 2)), label=f"power law, exponent {exponent:.2f}")  # fmt: skip
            axes.set_xscale("log")
            axes.set_yscale("log")
            axes.set_xlim(left=1e-6)
            axes.set_title(group.images, fontsize=9)
            axes.set_xlabel("|λ| of R (logarithmic)")
            axes.legend(frameon=False, fontsize=8.5, loc="lower left")
            grid_below(axes)
        figure.supylabel("share of eigenvalues beyond (logarithmic)", fontsize=9)
        picture = to_svg(figure)
    return StudyFigure(
        "tail", "The tail of R, both signs", picture, pd.concat(frames),
        "Two panels: shares of eigenvalues of R beyond a size, on log-log axes, with fitted power laws.",
        "Every line is one side of one network's exact spectrum, as a share of eigenvalues beyond a size; a power law "
        "is a straight line of slope 1 - exponent. Dashed: the most likely power law of the network in the middle. The "
        "document draws densities, with exponent 2.6 and R^2 .98 for VGG11 on MNIST.",
    )  # fmt: skip


def _sizes(measured: Measured) -> StudyFigure | None:
    found = [(group, units_of(measured, group)[:1]) for group in BY_SIZE]
    if not all(units for _, units in found):
        return None
    frames: list[pd.DataFrame] = []
    with style.context(["default", RC]):
        figure = Figure(figsize=(10.6, 5.4), layout="constrained")
        grid = figure.subplots(len(found), 1, sharex=True)
        for row, (axes, (group, (unit,))) in enumerate(zip(grid, found, strict=True)):
            for place, (what, name) in enumerate((("g", "train"), ("g-test", "test"))):
                if f"{unit}/{what}" not in measured.arrays:
                    continue
                values = np.sort(measured.array(unit, what))[::-1]
                positive = values[values > 1e-10 * values[0]]
                keep = np.unique(np.geomspace(1, min(positive.size, 600), 120).astype(int)) - 1
                axes.plot(positive[keep], keep + 1, color=look(place).colour, linewidth=1.0, marker=look(place).marker,
                          markersize=2.8, label=f"{name}, {group.per_class} a class" if place < 2 else "_")  # fmt: skip
                frames.append(
                    pd.DataFrame(
                        {
                            "images a class": group.per_class,
                            "split": name,
                            "lambda": rounded(positive[keep]),
                            "rank": keep + 1,
                        }
                    )
                )
            axes.axhline(CLASSES, color=GREY, linewidth=0.9, linestyle=(0, (3, 2)))
            axes.set_xscale("log")
            axes.set_yscale("log")
            axes.invert_yaxis()
            axes.legend(frameon=False, fontsize=8.5, loc="lower right")
            grid_below(axes)
            del row
        grid[-1].set_xlabel("eigenvalue λ of G (logarithmic)")
        figure.supylabel("rank (logarithmic); dashed: C", fontsize=9)
        picture = to_svg(figure)
    return StudyFigure(
        "sizes", "G by sample size", picture, pd.concat(frames),
        "Three panels, one for each number of training images: eigenvalues of G by rank.",
        "One network for each number of images of a class that it was trained on, MNIST: eigenvalues of G by rank, so "
        "that an outlier is a step to the right. The document's figure 5 is of VGG11 on CIFAR-10.",
    )  # fmt: skip


def _gaps(measured: Measured) -> StudyFigure | None:
    rows: list[tuple[int, float, float]] = []
    for group in BY_SIZE:
        counts = measured.by_unit("gaps-of-g", problem=group.name)
        for unit, count in counts.items():
            rows.append((group.per_class, count, float(measured.array(unit, "gap-largest")[0])))
    if len({it[0] for it in rows}) < 2:
        return None
    frame = pd.DataFrame(rows, columns=["images a class", "outliers", "largest ratio of 200 bulks"])
    with style.context(["default", RC]):
        figure = Figure(figsize=(10.6, 3.4), layout="constrained")
        left, right = figure.subplots(1, 2)
        jitter = np.random.default_rng(0).uniform(0.94, 1.06, len(frame))
        left.plot(frame["images a class"] * jitter, frame["outliers"], linestyle="", marker="o", markersize=5,
                  color=look(0).colour, alpha=0.8, label="a network")  # fmt: skip
        sizes = sorted({it[0] for it in rows})
        means = [float(np.mean([count for size, count, _ in rows if size == each])) for each in sizes]
        left.plot(sizes, means, color=look(0).colour, linewidth=1.2, label="mean")
        left.axhline(CLASSES, color=GREY, linewidth=0.9, linestyle=(0, (3, 2)), label="C")
        left.set_ylabel("ratios above those of 200 bulks")
        for place, group in enumerate(BY_SIZE):
            for number, unit in enumerate(units_of(measured, group)):
                ratios = measured.array(unit, "gap-ratios")
                label = "_" if number else f"{group.per_class} a class"
                right.plot(np.arange(2, 2 + ratios.size), ratios, color=look(place).colour, linewidth=0.8, alpha=0.6,
                           label=label)  # fmt: skip
        right.set_yscale("log")
        right.set_xlabel("place k")
        right.set_ylabel("λ_k / λ_(k+1) of G (logarithmic)", parse_math=False)
        left.set_xscale("log")
        left.set_xticks(sizes, [str(it) for it in sizes])
        left.minorticks_off()
        left.set_xlabel("images of each class trained on (logarithmic)")
        for axes in (left, right):
            grid_below(axes)
            axes.legend(frameon=False, fontsize=8.5)
        picture = to_svg(figure)
    return StudyFigure(
        "gaps", "Outliers of G by sample size", picture, frame,
        "Left: counts of wide gaps against sample size. Right: ratios of neighbouring eigenvalues by place.",
        "Left: how many of the ratios at places 2 to 3 C are above the largest of 200 bulks drawn from the law of the "
        "upper half of the bulk, each network a dot. Right: the ratios themselves, each network a line.",
    )  # fmt: skip
