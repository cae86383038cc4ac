"""The upright axes of spectra: logarithmic masses and densities, and shares from 0 to 1."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hessbench.estimand import Array
from hessbench.reports.spectra.axis import tick_label

_LABELS = 5


@dataclass(frozen=True)
class LogUpright:
    """A logarithmic axis from `low` to `high`."""

    low: float
    high: float

    def ticks(self) -> Sequence[tuple[float, str]]:
        """Powers of ten, at most five of them; of less than two decades, values between them too."""
        first, last = math.ceil(math.log10(self.low) - 1e-9), math.floor(math.log10(self.high) + 1e-9)
        if last - first < 1:
            powers = range(first - 1, last + 2)
            found = [step * 10.0**power for power in powers for step in (1.0, 2.0, 5.0)]
        else:
            stride = -(-(last - first + 1) // _LABELS)
            found = [10.0**power for power in range(last, first - 1, -stride)]
        return [(value, tick_label(value)) for value in sorted(found) if self.low <= value <= self.high][-_LABELS:]

    def shares(self, values: Array) -> Array:
        """How far up values lie."""
        return np.log(np.clip(values, self.low, self.high) / self.low) / math.log(self.high / self.low)


@dataclass(frozen=True)
class ShareUpright:
    """A linear axis from 0 to 1 with a little room."""

    room: float = 0.04

    def ticks(self) -> Sequence[tuple[float, str]]:
        """Five values."""
        return [(0.0, "0"), (0.25, "0.25"), (0.5, "0.5"), (0.75, "0.75"), (1.0, "1")]

    def shares(self, values: Array) -> Array:
        """How far up values lie."""
        return (np.clip(values, -self.room, 1 + self.room) + self.room) / (1 + 2 * self.room)
