"""Functions f of a real number whose sums over the eigenvalues are estimated: where they are finite, and how steep."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import numpy as np
import scipy.special

from hessbench.estimand.base import Array
from hessbench.estimand.spectral import Atoms, Enclosure


@dataclass(frozen=True)
class ScalarFunction:
    """A function that is monotone but for its turning points.

    Attributes:
        name: Its name in a spec.
        formula: As it is read.
        of: The function, of an array.
        needs: What its argument must be for it to be finite, in words.
        low: Lower end of where it is finite; minus infinity for all numbers.
        has_low: Whether it is finite at the lower end itself.
        turns: Where it has an extremum.
    """

    name: str
    formula: str
    of: Callable[[Array], Array]
    needs: str = ""
    low: float = -math.inf
    has_low: bool = False
    turns: tuple[float, ...] = ()

    def admits(self, x: Array, slack: float) -> Array:
        """The arguments, where one that is below the end by no more than `slack` counts as the end.

        Raises:
            ValueError: If the function is not finite at one of them.
        """
        moved = np.where((x < self.low) & (x >= self.low - slack), self.low, x) if self.has_low else x
        worst = float(moved.min())
        if worst < self.low or (worst == self.low and not self.has_low):
            raise ValueError(
                f"{self.formula} is finite for {self.needs} only, and x = {worst:.3g} is met, damping included"
            )
        return moved

    def total(self, x: Array, counts: Array) -> float:
        """Sum of counts * f(x).

        Raises:
            ValueError: If it is not finite.
        """
        with np.errstate(over="ignore", divide="ignore"):
            found = float(counts @ self.of(x))
        if not math.isfinite(found):
            raise ValueError(
                f"the sum of {self.formula} is beyond the range of float64: x = {float(x.max()):.3g} is met"
            )
        return found

    def swing(self, x: Array, bound: float) -> Array:
        """Largest change of f within `bound` of each x, without leaving where f is finite; infinite at a pole."""
        below = np.maximum(x - bound, self.low)
        here = self.of(x)
        with np.errstate(over="ignore", divide="ignore"):
            ends = [self.of(below), self.of(x + bound)]
            ends += [self.of(np.clip(np.full_like(x, turn), below, x + bound)) for turn in self.turns]
            return np.max([np.abs(end - here) for end in ends], axis=0)


def _inverse(x: Array) -> Array:
    return 1.0 / x


def _entropy(x: Array) -> Array:
    return scipy.special.entr(x)


LOG: Final = ScalarFunction("log", "log x", np.log, "x > 0", 0.0)

FUNCTIONS: Final = MappingProxyType[str, ScalarFunction](
    {
        "exp": ScalarFunction("exp", "exp x", np.exp),
        "inverse": ScalarFunction("inverse", "1 / x", _inverse, "x > 0", 0.0),
        "sqrt": ScalarFunction("sqrt", "sqrt x", np.sqrt, "x >= 0", 0.0, has_low=True),
        "entropy": ScalarFunction(
            "entropy", "-x log x", _entropy, "x >= 0", 0.0, has_low=True, turns=(math.exp(-1.0),)
        ),
    }
)
"""Functions of a matrix by name; that of 1 / x is asked for where x > 0, so that the matrix is positive definite."""


def check_damped(f: ScalarFunction, ends: tuple[float, float], damping: float, bound: float) -> None:
    """Refuse a spectrum on which f(x + damping) is not finite, or may not be, the eigenvalues being known to a bound.

    Args:
        f: The function.
        ends: The least and the largest eigenvalue.
        damping: Added to each.
        bound: What each may be off.

    Raises:
        ValueError: Naming the eigenvalue, and what is accepted.
    """
    least, most = ends
    edge = f.low - damping
    if least < edge - bound or (least <= edge + bound and not f.has_low):
        enough = f"at least {f.low - least:.3g}" if f.has_low else f"above {f.low - least + bound:.3g}"
        raise ValueError(
            f"{f.formula} is finite for {f.needs} only, and the least eigenvalue is {least:.3g}, known to {bound:.2g}: "
            f"damping must be {enough}, got {damping:g}"
        )
    with np.errstate(over="ignore"):
        if not math.isfinite(float(f.of(np.asarray([most + damping]))[0])):
            raise ValueError(
                f"{f.formula} is beyond the range of float64 at the largest eigenvalue {most:.3g}: at most "
                f"{math.log(sys.float_info.max):.0f}, damping included, is accepted"
            )


def sum_read(f: ScalarFunction, density: Atoms, damping: float, slack: float) -> float:
    """The sum of f(x + damping) over the eigenvalues that an estimated density stands for.

    Args:
        f: The function.
        density: Nodes, and how many eigenvalues each stands for.
        damping: Added to each.
        slack: What a node may be off for rounding.

    Raises:
        ValueError: If f is not finite at a node that stands for any.
    """
    held = density.counts != 0
    if not held.any():
        return 0.0
    return f.total(f.admits(density.nodes[held] + damping, slack), density.counts[held])


def sum_enclosure(f: ScalarFunction, spectrum: Atoms, damping: float, bound: float) -> Enclosure:
    """The sum of f(x + damping) over all eigenvalues, and what it may be off.

    Args:
        f: The function.
        spectrum: All eigenvalues.
        damping: Added to each.
        bound: What each may be off.
    """
    x = f.admits(spectrum.nodes + damping, bound)
    value = math.fsum(spectrum.counts * f.of(x))
    unsure = float(spectrum.counts @ f.swing(x, bound)) + 2.0**-52 * abs_sum(f, spectrum, damping)
    return Enclosure(value, value, unsure)


def abs_sum(f: ScalarFunction, spectrum: Atoms, damping: float) -> float:
    """Sum of |f(x + damping)| over all eigenvalues, on which f is finite but for what rounding puts outside."""
    return math.fsum(spectrum.counts * np.abs(f.of(f.admits(spectrum.nodes + damping, math.inf))))
