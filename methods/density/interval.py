"""The interval in which a spectrum is taken to lie: by a few Lanczos steps, and by what is known."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import torch
from torch import Tensor

from hessbench.methods.krylov.recurrence import lanczos_steps
from hessbench.methods.krylov.tridiagonal import solve_tridiagonal
from hessbench.operators import LinearOperator

_MARGIN: Final = 0.01  # share of its width the interval is widened by
_ROUNDING: Final = 100.0  # of eps times the norm: what rounding may move an eigenvalue beyond a known end


@dataclass(frozen=True)
class Interval:
    """Where the spectrum is taken to lie: between estimates, and not below what is known.

    Attributes:
        low: Estimate of the lower end.
        high: Estimate of the upper end.
        floor: What every eigenvalue is known to be at least.
    """

    low: float
    high: float
    floor: float = -math.inf

    @property
    def center(self) -> float:
        """The middle of the interval, widened by the margin."""
        return (self.ends[0] + self.ends[1]) / 2 if self._cut else (self.low + self.high) / 2

    @property
    def half(self) -> float:
        """Half the width of the interval, widened by the margin."""
        return (self.ends[1] - self.ends[0]) / 2 if self._cut else self._half

    @property
    def ends(self) -> tuple[float, float]:
        """Its ends, widened by the margin, but not beyond the floor."""
        center = (self.low + self.high) / 2
        return max(center - self._half, self.floor), center + self._half

    def hull(self, other: Interval) -> Interval:
        """The smallest interval that holds both, above the floor of this one."""
        return replace(self, low=min(self.low, other.low), high=max(self.high, other.high))

    def above(self, known_low: float, eps: float) -> Interval:
        """The same, cut at a known lower end, less what products that round by `eps` of the norm may show below it."""
        return replace(self, floor=known_low - _ROUNDING * eps * max(abs(self.low), abs(self.high)))

    @property
    def _half(self) -> float:
        return (1 + _MARGIN) * (self.high - self.low) / 2

    @property
    def _cut(self) -> bool:
        return (self.low + self.high) / 2 - self._half < self.floor


def find_interval(
    op: LinearOperator, start: Tensor, steps: int, bounds: str, generator: torch.Generator
) -> tuple[Interval, bool]:
    """Bound the spectrum by Lanczos steps: extreme Ritz values, moved out by a residual.

    Args:
        op: Symmetric operator.
        start: First direction, shape (n,).
        steps: Number of steps.
        bounds: `safe` moves out by the norm of the last residual, `tight` by the residual of each extreme Ritz pair.
        generator: Source of the directions after an invariant subspace.

    Returns:
        The interval, and whether the space of the start was exhausted, which makes the bounds exact for it.

    Cost:
        `steps` products, one at a time.
    """
    recurrence = lanczos_steps(op, start, reorth="full", num_steps=steps, generator=generator)
    alphas, betas = deque(recurrence, maxlen=1)[0].read()
    ritz = solve_tridiagonal(alphas, betas)
    below, above = betas[-1] * (np.abs(ritz.last[[0, -1]]) if bounds == "tight" else np.ones(2))
    return Interval(float(ritz.values[0] - below), float(ritz.values[-1] + above)), bool((betas == 0).any())
