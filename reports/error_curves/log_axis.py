"""A logarithmic axis: its limits, where a value lies on it, and the ticks there is room for."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

_STEPS: Final = ((1.0, 1.5, 2.0, 3.0, 5.0, 7.0), (1.0, 2.0, 5.0), (1.0, 3.0), (1.0,))
_SUPERSCRIPTS: Final = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


@dataclass(frozen=True)
class LogAxis:
    """An axis from `low` at the pixel `start` to `high` at the pixel `end`; less than `least` is drawn there."""

    low: float
    high: float
    start: float
    end: float
    least: float = 0.0

    def at(self, value: float) -> float:
        """The pixel of a value, which is kept within the axis."""
        inside = min(max(value, self.least, self.low), self.high)
        first, last = math.log10(self.low), math.log10(self.high)
        return self.start + (self.end - self.start) * (math.log10(inside) - first) / (last - first)

    def holds(self, value: float) -> bool:
        """Whether a value is within."""
        return self.low <= value <= self.high

    def ticks(self, room: Callable[[float], float]) -> tuple[float, ...]:
        """As many round values as do not touch.

        Args:
            room: Pixels that the label of a value needs along the axis, the gap to the next included.
        """
        first, last = math.floor(math.log10(self.low)), math.ceil(math.log10(self.high))
        for steps in _STEPS:
            found = [step * 10.0**power for power in range(first, last + 1) for step in steps]
            found = [value for value in found if self.holds(value) and value > self.least * (1 + 1e-9)]
            if self._has_room(found, room):
                return tuple(found)
        for stride in range(2, 400):  # from 1 % on, so that the same decades have labels in every figure
            found = [10.0**power for power in range(first, last + 1) if (power + 2) % stride == 0]
            found = [value for value in found if self.holds(value) and value > self.least * (1 + 1e-9)]
            if self._has_room(found, room):
                return tuple(found)
        return ()

    def _has_room(self, values: Sequence[float], room: Callable[[float], float]) -> bool:
        return all(
            abs(self.at(right) - self.at(left)) >= (room(left) + room(right)) / 2
            for left, right in itertools.pairwise(values)
        )


def axis_around(values: Sequence[float], start: float, end: float, least: float = 0.0) -> LogAxis:
    """An axis that holds the values with room around them, its ends at least a factor 4 apart.

    Args:
        values: Positive numbers.
        start: Pixel of the lower end.
        end: Pixel of the upper end.
        least: Where to draw what is less.
    """
    first, last = (math.log10(min(max(pick(values), 1e-250), 1e250)) for pick in (min, max))
    middle, half = (first + last) / 2, max((last - first) / 2, math.log10(2.0)) * 1.1
    return LogAxis(10.0 ** (middle - half), 10.0 ** (middle + half), start, end, least)


def percent(fraction: float) -> str:
    """A fraction in per cent, two significant digits: 250 %, 1.2 %, 0.034 %, 5.6·10⁻⁷ %."""
    return f"{_short(100 * fraction, 2)} %"


def percent_tick(fraction: float) -> str:
    """A round fraction in per cent, as the label of a tick."""
    return f"{_short(100 * fraction, 2, most=1e5)} %"


def products(number: float) -> str:
    """A number of products."""
    return f"{number:,.0f}" if float(number).is_integer() or number >= 1000 else f"{number:.3g}"


def products_tick(number: float) -> str:
    """A round number of products, as the label of a tick."""
    return _short(number, 3, most=1e6)


def seconds_tick(seconds: float) -> str:
    """A round number of seconds with its unit, as the label of a tick."""
    for limit, scale, unit in ((0.9999e-3, 1e6, "\N{MICRO SIGN}s"), (0.9999, 1e3, "ms")):
        if seconds < limit:
            return f"{_short(seconds * scale, 2)} {unit}"
    return f"{_short(seconds, 2, most=1e5)} s"


def bytes_tick(size: float) -> str:
    """A round number of bytes with a decimal unit, as the label of a tick."""
    for limit, scale, unit in ((0.9999e3, 1.0, "B"), (0.9999e6, 1e-3, "kB"), (0.9999e9, 1e-6, "MB")):
        if size < limit:
            return f"{_short(size * scale, 2)} {unit}"
    return f"{_short(size * 1e-9, 2)} GB"


def _short(value: float, digits: int, most: float = 1e7) -> str:
    """Digits with thousands grouped, or a power of ten where the value is far from one."""
    if value == 0:
        return "0"
    power = math.floor(math.log10(value) + 1e-9)
    if 1e-3 * (1 - 1e-9) <= value < most * (1 - 1e-9):
        rounded = round(value, digits - 1 - power)
        places = max(0, digits - 1 - power)
        text = f"{rounded:,.{places}f}"
        return text.rstrip("0").rstrip(".") if "." in text else text
    mantissa, _, written = f"{value:.{digits - 1}e}".partition("e")
    mantissa = mantissa.rstrip("0").rstrip(".")
    tens = f"10{str(int(written)).translate(_SUPERSCRIPTS)}"
    return tens if mantissa == "1" else f"{mantissa}·{tens}"
