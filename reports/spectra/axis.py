"""The axis of the eigenvalues: linear, logarithmic, or logarithmic on both sides of a strip around zero."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

from hessbench.estimand import Array

Scale: TypeAlias = Literal["linear", "log", "symlog"]
SCALES: Final[tuple[Scale, ...]] = get_args(Scale)

_SUPERSCRIPTS: Final = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_MINUS: Final = "\N{MINUS SIGN}"
_MARGIN: Final = 0.04
_DECADES: Final = 10.0
"""Most decades that a logarithmic axis shows on one side."""


@dataclass(frozen=True)
class SpectralAxis:
    """An axis for eigenvalues.

    Attributes:
        scale: `linear`; `log`, of positive values; `symlog`, linear within `unit` of zero and logarithmic beyond.
        low: Lower end.
        high: Upper end, above it.
        unit: What counts as zero: half the width of the linear strip of `symlog`, and the least value of `log`.
        start: Pixel of the lower end.
        end: Pixel of the upper end.
    """

    scale: Scale
    low: float
    high: float
    unit: float
    start: float
    end: float

    @property
    def half_range(self) -> float:
        """Half the length of the axis, in its own coordinate."""
        first, last = self.coordinates(np.asarray([self.low, self.high]))
        return float(last - first) / 2

    def coordinates(self, values: Array) -> Array:
        """Where values lie in the coordinate that is drawn evenly; of `log`, values at or below 0 at minus infinity."""
        return _coordinates(np.asarray(values, dtype=np.float64), self.scale, self.unit)

    def values(self, coordinates: Array) -> Array:
        """The values at coordinates."""
        if self.scale == "linear":
            return coordinates
        if self.scale == "log":
            return 10.0**coordinates
        beyond = np.sign(coordinates) * self.unit * 10.0 ** np.maximum(np.abs(coordinates) - 1, 0.0)
        return np.where(np.abs(coordinates) <= 1, coordinates * self.unit, beyond)

    def pixels(self, values: Array) -> Array:
        """Pixels of values, kept within the axis."""
        first, last = self.coordinates(np.asarray([self.low, self.high]))
        inside = np.clip(self.coordinates(values), first, last)
        return self.start + (self.end - self.start) * (inside - first) / (last - first)

    def sampled(self, number: int) -> Array:
        """Coordinates at even steps from end to end."""
        first, last = self.coordinates(np.asarray([self.low, self.high]))
        return np.linspace(first, last, number)

    def holds(self, values: Array) -> NDArray[np.bool_]:
        """Which values are on the axis."""
        return (values >= self.low) & (values <= self.high)

    def ticks(self, room: Callable[[str], float]) -> tuple[tuple[float, str], ...]:
        """As many round values with labels as do not touch.

        Args:
            room: Pixels that a label needs, the gap to the next included.
        """
        for found in _candidates(self):
            labelled = [(value, tick_label(value)) for value in found]
            places = self.pixels(np.asarray(found, dtype=np.float64))
            apart = [
                right - left >= (room(one) + room(other)) / 2
                for (left, right), ((_, one), (_, other)) in zip(
                    itertools.pairwise(places), itertools.pairwise(labelled), strict=True
                )
            ]
            if labelled and all(apart):
                return tuple(labelled)
        return ()


def axis_for(scale: Scale, nodes: Sequence[Array], floor: float, start: float, end: float) -> SpectralAxis:
    """The axis that holds eigenvalues, with room around them.

    Args:
        scale: Which.
        nodes: What it has to show; at least one value in all.
        floor: Below what magnitude a value is not told from zero.
        start: Pixel of the lower end.
        end: Pixel of the upper end.

    Raises:
        ValueError: If `scale` is `log` and no value is above `floor`.
    """
    everything = np.concatenate(list(nodes))
    size = float(np.abs(everything).max())
    unit = _unit(everything, size, floor)
    if scale == "log":
        positive = everything[everything >= unit]
        if not positive.size:
            raise ValueError("a logarithmic axis needs a value above what is told from zero")
        first, last = float(np.log10(positive.min())), float(np.log10(positive.max()))
        half = max((last - first) / 2, 0.3) * (1 + 2 * _MARGIN)
        middle = (first + last) / 2
        return SpectralAxis("log", 10.0 ** (middle - half), 10.0 ** (middle + half), unit, start, end)
    if size == 0:
        return SpectralAxis(scale, -1.0, 1.0, 1.0, start, end)
    low, high = float(everything.min()), float(everything.max())
    ends = _coordinates(np.asarray([low, high]), scale, unit)
    least = 0.5 * abs(high) if scale == "linear" else 1.0
    half = max(float(ends[1] - ends[0]) / 2, 1e-6 * size if high > low and scale == "linear" else least)
    middle, half = float(ends.mean()), half * (1 + 2 * _MARGIN)
    made = SpectralAxis(scale, low, high, unit, start, end)
    first, last = (float(it) for it in made.values(np.asarray([middle - half, middle + half])))
    return SpectralAxis(scale, first, last, unit, start, end)


def tick_label(value: float) -> str:
    """A value as the label of a tick: 0, 0.02, 1,500, 10⁻⁷, −3·10⁶."""
    if value == 0:
        return "0"
    size = abs(value)
    sign = _MINUS if value < 0 else ""
    if 0.999e-3 <= size < 0.9999e5:
        return f"{sign}{size:,.6g}"
    mantissa, _, power = f"{size:.5e}".partition("e")
    mantissa = mantissa.rstrip("0").rstrip(".")
    tens = f"10{str(int(power)).translate(_SUPERSCRIPTS)}"
    return f"{sign}{tens}" if mantissa == "1" else f"{sign}{mantissa}·{tens}"


def _coordinates(values: Array, scale: Scale, unit: float) -> Array:
    if scale == "linear":
        return values
    if scale == "log":
        return np.log10(values, out=np.full(values.shape, -np.inf), where=values > 0)
    size = np.abs(values) / unit
    far = np.log10(size, out=np.zeros(size.shape), where=size > 1)
    return np.where(size <= 1, values / unit, np.sign(values) * (1 + far))


def _unit(values: Array, size: float, floor: float) -> float:
    """A power of ten: no value that is told from zero is smaller, but for those too many decades below the largest."""
    if size == 0:
        return 1.0
    least = max(floor, size * 10.0**-_DECADES)
    told = np.abs(values)[np.abs(values) > least]
    # As many as one in a thousand may be smaller: one stray value must not take the decades of all the others.
    smallest = float(np.quantile(told, 1e-3, method="lower")) if told.size else size
    return 10.0 ** math.floor(math.log10(max(smallest, least)) + 1e-9)


def _candidates(axis: SpectralAxis) -> list[list[float]]:
    """Lists of round values on the axis, from many to few."""
    if axis.scale == "linear":
        return _even(axis.low, axis.high)
    first = math.ceil(math.log10(axis.unit) - 1e-9)
    last = math.ceil(math.log10(max(abs(axis.low), abs(axis.high), axis.unit)))
    if axis.scale == "log":
        first = math.floor(math.log10(axis.low))
    found: list[list[float]] = []
    for steps in ((1.0, 2.0, 5.0), (1.0, 3.0)) if last - first <= 2 else ():
        found.append(_both(axis, [step * 10.0**power for power in range(first, last + 1) for step in steps]))
    for stride in range(1, max(2, last - first + 2)):
        # From the largest decade down, so that the strip around zero is what loses its labels.
        powers = range(last - 1 if 10.0**last > max(abs(axis.low), axis.high) else last, first - 1, -stride)
        # Near the strip around zero labels stand closest: the decades beside it go before all become fewer.
        found += [_both(axis, sorted(10.0**power for power in powers if power >= first + left)) for left in (0, 1, 2)]
    return [it for it in found if it]


def _both(axis: SpectralAxis, positive: list[float]) -> list[float]:
    """Positive values as they are, or with their negatives and zero, as far as they are on the axis."""
    every = positive if axis.scale == "log" else [*(-value for value in reversed(positive)), 0.0, *positive]
    return [value for value in every if axis.low <= value <= axis.high]


def _even(low: float, high: float) -> list[list[float]]:
    found: list[list[float]] = []
    power = math.floor(math.log10(high - low)) + 1
    for exponent in (power - 1, power, power + 1):
        for step in (1.0, 2.0, 5.0):
            size = step * 10.0**exponent / 10
            first, last = math.ceil(low / size - 1e-9), math.floor(high / size + 1e-9)
            if last - first <= 60:
                found.append([float(f"{place * size:.12g}") for place in range(first, last + 1)])
    return [it for it in found if it]
