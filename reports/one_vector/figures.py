"""Figures of the study of a single probe: exponents, and errors against the dimension family by family."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter

from hessbench.estimand.base import Array
from hessbench.reports.claims.rules import deviation
from hessbench.reports.one_vector.results import MOMENTS, LadderRung, OneVectorResults, SpectrumLadder
from hessbench.reports.one_vector.verdicts import FALLS, SUBJECTS, exponent_of
from hessbench.reports.writing.drawing import RC, Picture, faint_grid, set_limits, to_svg
from hessbench.reports.writing.palette import GREY, look

_COLUMNS: Final = 4


def draw_exponents(results: OneVectorResults) -> Picture:
    """Fitted exponent of n with its interval, a panel for each measure and a line for each family."""
    names = [ladder.name for ladder in results.ladders]
    with style.context(["default", RC]):
        rows = -(-len(SUBJECTS) // _COLUMNS)
        figure = Figure(figsize=(11.4, 0.6 + rows * (0.7 + 0.24 * len(names))), layout="constrained")
        grid = figure.subplots(rows, _COLUMNS, sharex=True, sharey=True, squeeze=False)
        for place, axes in enumerate(grid.flat):
            if place >= len(SUBJECTS):
                axes.set_visible(False)
                continue
            subject, measure, size = SUBJECTS[place]
            colour = look(place).colour
            axes.axvline(0, color=GREY, linewidth=0.9, zorder=1)
            for at, dashes in ((-0.5, (0, (3, 2))), (FALLS, (0, (1, 2)))):
                axes.axvline(at, color=GREY, linewidth=0.9, linestyle=dashes, zorder=1)
            for height, ladder in enumerate(results.ladders):
                exponent = exponent_of(ladder, measure, size)
                if exponent is None:
                    axes.annotate("exact", (-0.25, height), ha="center", va="center", fontsize=7)
                    continue
                axes.plot([exponent.low, exponent.high], [height, height], color=colour, linewidth=1.6)
                axes.plot([exponent.value], [height], color=colour, marker="o", markersize=4)
            axes.set_title(subject.replace(", ", ",\n", 1), fontsize=8.5)
            axes.set_yticks(range(len(names)), names, fontsize=8, parse_math=False)
            axes.set_ylim(len(names) - 0.5, -0.5)
            faint_grid(axes, "y")
            axes.tick_params(labelbottom=place + _COLUMNS >= len(SUBJECTS))
        figure.supxlabel(
            "exponent of n (0: the error does not fall; dashes: -1/2; dots: the bound of the rule)", fontsize=9
        )
        return to_svg(figure)


def draw_distances(results: OneVectorResults, measure: str, label: str) -> Picture:
    """A distance of the single probe's rule against n, with that of several probes and of the probe without end.

    Args:
        results: What was measured.
        measure: Name of the distance.
        label: What it is, with its unit.
    """
    series: tuple[tuple[str, Callable[[LadderRung], Array], int, str], ...] = (
        (f"one probe, {results.steps} steps", lambda rung: rung.single[measure], 0, "-"),
        (f"mean of {results.group} probes, {results.steps} steps each", lambda rung: rung.pooled[measure], 1, "-"),
        ("one probe, without end", lambda rung: rung.alone[measure], 2, "--"),
    )

    def draw(axes: Axes, ladder: SpectrumLadder) -> list[Array]:
        ns = [rung.n for rung in ladder.rungs]
        drawn: list[Array] = []
        for name, of, place, dashes in series:
            samples = [of(rung) for rung in ladder.rungs]
            seen = look(place)
            if place == 0:
                low, high = _ends(samples, np.min), _ends(samples, np.max)
                axes.fill_between(ns, low, high, color=seen.colour, alpha=0.13, linewidth=0)
                drawn += [low, high]
            drawn.append(_ends(samples, np.median))
            axes.plot(ns, drawn[-1], color=seen.colour, marker=seen.marker, markersize=3.4,
                      linewidth=1.3, linestyle=dashes, label=name)  # fmt: skip
        return drawn

    return _panels(results, draw, label)


def draw_moments(results: OneVectorResults) -> Picture:
    """Scatter of the first four moments between starts against n, and what the eigenvalues give it."""

    def draw(axes: Axes, ladder: SpectrumLadder) -> list[Array]:
        ns = [rung.n for rung in ladder.rungs]
        drawn: list[Array] = []
        for place, name in enumerate(MOMENTS):
            seen = look(place)
            measured = _shown([float(deviation(rung.single[name])) for rung in ladder.rungs])
            law = _shown([rung.predicted[name] for rung in ladder.rungs])
            drawn += [measured, law]
            axes.plot(ns, measured, color=seen.colour, marker=seen.marker, markersize=3.8, linewidth=0,
                      label=f"moment {place + 1}, measured")  # fmt: skip
            axes.plot(ns, law, color=seen.colour, linewidth=1.1,
                      label=f"moment {place + 1}, by the law")  # fmt: skip
        return drawn

    return _panels(results, draw, "standard deviation of the moment over mean |λ|^j (no unit)")


def _panels(results: OneVectorResults, draw: Callable[[Axes, SpectrumLadder], Sequence[Array]], label: str) -> Picture:
    """A panel for each family, all axes logarithmic; `draw` returns what it drew."""
    number = len(results.ladders)
    with style.context(["default", RC]):
        rows = -(-number // _COLUMNS)
        figure = Figure(figsize=(11.4, 0.9 + 2.45 * rows), layout="constrained")
        grid = figure.subplots(rows, _COLUMNS, squeeze=False)
        for place, axes in enumerate(grid.flat):
            if place >= number:
                axes.set_visible(False)
                continue
            ladder = results.ladders[place]
            ns = [rung.n for rung in ladder.rungs]
            axes.set_xscale("log")
            axes.set_yscale("log")
            drawn = np.concatenate(list(draw(axes, ladder)))
            seen = drawn[np.isfinite(drawn)]
            set_limits(axes, ns, seen.tolist() or [1.0])
            axes.xaxis.set_major_locator(FixedLocator(ns))
            axes.xaxis.set_major_formatter(FuncFormatter(_dimension))
            _half_power(axes, ns)
            axes.set_title(ladder.name, fontsize=9, parse_math=False)
            faint_grid(axes)
            if place >= number - _COLUMNS:
                axes.set_xlabel("dimension n", fontsize=8.5)
        figure.supylabel(label, fontsize=9, parse_math=False)
        handles, labels = grid.flat[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=5, frameon=False, fontsize=8.5)
        return to_svg(figure)


def _dimension(value: float, _position: object = None) -> str:
    power = round(math.log10(value))
    return f"$10^{{{power}}}$" if value == 10**power else f"{value:,.0f}"


def _ends(samples: Sequence[Array], of: Callable[[Array], object]) -> Array:
    return _shown([float(of(each)) for each in samples])  # pyright: ignore[reportArgumentType]


def _shown(values: Sequence[float]) -> Array:
    """Numbers as a logarithmic axis shows them: nothing where they are 0."""
    found = np.asarray(values, dtype=np.float64)
    return np.where(found > 0, found, np.nan)


def _half_power(axes: Axes, ns: Sequence[int]) -> None:
    """A grey line of slope -1/2 through the middle of the panel."""
    low, high = axes.get_ylim()
    x = np.asarray([ns[0], ns[-1]], dtype=np.float64)
    middle = np.sqrt(low * high) * np.sqrt(np.sqrt(x[0] * x[1]) / x)
    axes.plot(x, middle, color=GREY, linewidth=0.9, linestyle=(0, (3, 2)), zorder=1, label="n to the power -1/2")
    axes.set_ylim(low, high)
