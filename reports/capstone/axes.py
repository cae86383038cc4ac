"""Axes of the capstone's figures: steps of the training, and plain numbers on logarithmic axes."""

from __future__ import annotations

from typing import Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.ticker import FixedLocator, FuncFormatter, LogFormatterMathtext, LogLocator, NullLocator

from hessbench.reports.capstone.series import EVERY_STEP

_FEW_DECADES: Final = 2.5


def steps_axis(axes: Axes, last: int = EVERY_STEP[-1]) -> None:
    """An axis of steps, linear to 10 and then logarithmic, with a tick at each that is looked at.

    Args:
        axes: Whose abscissae they are.
        last: Last step that is shown.
    """
    axes.set_xscale("symlog", linthresh=10)
    shown = [number for number in EVERY_STEP if number <= last]
    axes.xaxis.set_major_locator(FixedLocator(shown))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(whole_number))
    axes.set_xlim(-1.5, 1.9 * last)
    axes.set_xlabel("step of the training", fontsize=9)


def plain_numbers(axes: Axes) -> None:
    """Ticks of a logarithmic axis of ordinates: numbers as they are over few decades, powers over many."""
    axis: Axis = axes.yaxis
    low, high = axes.get_ylim()
    decades = float(np.log10(high / low))
    axis.set_minor_locator(NullLocator())
    if decades > _FEW_DECADES:
        axis.set_major_locator(LogLocator(numticks=8))
        axis.set_major_formatter(LogFormatterMathtext())
        return
    axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if decades > 1 else (1.0, 2.0, 3.0, 5.0, 7.0), numticks=20))
    axis.set_major_formatter(FuncFormatter(_short))


def whole_number(value: float, _place: object = None) -> str:
    """A tick as a whole number, thousands apart."""
    return f"{value:,.0f}"


def _short(value: float, _place: object = None) -> str:
    return f"{value:.3g}"
