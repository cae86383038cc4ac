"""How many eigenvalues there are in parts of the line: their share, and their number above a value."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final, Literal, TypeAlias, cast, final, get_args

import numpy as np
from numpy.typing import NDArray
from typing_extensions import override

from hessbench.estimand.base import Array, ErrorDefinition
from hessbench.estimand.numbers import number_from
from hessbench.estimand.spectral import Atoms, Enclosure, SpectralQuantity
from hessbench.specs import Value, suggest

Part: TypeAlias = tuple[float, float]
"""A closed interval of the line."""

Named: TypeAlias = Literal["interval", "negative", "zero", "bulk"]
NAMES: Final[tuple[Named, ...]] = get_args(Named)

_LEAST: Final = math.ulp(0.0)

OUTLIER: Final = 0.1
"""Share of the norm above which an eigenvalue is no part of the bulk."""


@final
@dataclass(frozen=True)
class Mass(SpectralQuantity):
    """The share of the eigenvalues in an interval, or in a part of the spectrum that has a name.

    `low` and `high` bound the interval; one that is left out is infinite. In place of them `of` names a part, relative
    to the spectral norm: `negative`, below -delta norm; `zero`, within delta norm of 0; or `bulk`, magnitudes from
    delta norm to a tenth of the norm. A method takes its own norm, the largest magnitude of its nodes.

    Primary error: the distance of the share to where the truth is. Eigenvalues within the reference's bound of an edge
    may lie on either side, which makes the truth an interval.
    """

    key: ClassVar[str] = "mass"
    primary: ClassVar[str] = "distance"
    definitions: ClassVar[Mapping[str, ErrorDefinition]] = {
        "distance": ErrorDefinition(
            "error of the share",
            "Distance to the true share of the eigenvalues, in shares of all of them; eigenvalues within their bound "
            "of an edge count on either side.",
        ),
        "relative": ErrorDefinition("error / share", "Distance to the true share, over that share: zero scores 1."),
    }
    example: ClassVar[Mapping[str, Value]] = {"of": "negative"}
    low: float = -math.inf
    high: float = math.inf
    of: str = "interval"
    delta: float = 1e-3

    def __post_init__(self) -> None:
        key = self.key
        if self.of not in NAMES:
            raise ValueError(
                f"{key}: of must be one of {', '.join(NAMES)}, got {self.of!r}{suggest(str(self.of), NAMES)}"
            )
        for name in ("low", "high"):
            given = number_from(key, name, getattr(self, name), accepted="a number, or infinite")
            object.__setattr__(self, name, given)
        delta = number_from(key, "delta", self.delta, accepted=f"above 0 and below {OUTLIER}, as a part of the norm")
        object.__setattr__(self, "delta", delta)
        if not 0 < delta < OUTLIER:
            raise ValueError(f"{key}: delta must be above 0 and below {OUTLIER}, as a part of the norm, got {delta}")
        bounded = math.isfinite(self.low) or math.isfinite(self.high)
        if not self.low < self.high:
            raise ValueError(f"{key}: low must be below high, got low={self.low} and high={self.high}")
        if (self.of == "interval") != bounded:
            raise ValueError(f"{key} takes low, high or both, or of={' or '.join(NAMES[1:])} in place of them")
        if bounded and delta != type(self).delta:
            raise ValueError(f"{key}: delta is accepted with of={' or '.join(NAMES[1:])}, got low or high")

    def parts(self, norm: float) -> tuple[Part, ...]:
        """The intervals of the line that count, of an operator with a spectral norm."""
        # Above 0 even where the norm is not: 0 is in no part but `zero`.
        near = max(self.delta * norm, _LEAST)
        match cast("Named", self.of):
            case "interval":
                return ((self.low, self.high),)
            case "negative":
                return ((-math.inf, -near),)
            case "zero":
                return ((-near, near),)
            case "bulk":
                far = OUTLIER * norm
                return ((-far, -near), (near, far))

    @override
    def read(self, density: Atoms, slack: float) -> float:
        return _share(density, self.parts(density.norm), 0.0)

    @override
    def enclosure(self, spectrum: Atoms, bound: float) -> Enclosure:
        least, most = (_share(spectrum, self.parts(spectrum.norm), sign * bound) for sign in (-1, 1))
        return Enclosure(least, most, most - least)

    @override
    def scale(self, spectrum: Atoms, at: Enclosure) -> float:
        return 1.0


@final
@dataclass(frozen=True)
class CountAbove(SpectralQuantity):
    """The number of eigenvalues above a value.

    Primary error: the distance of the number to where the truth is, over the true number, or over 1 where that is 0.
    Eigenvalues within the reference's bound of the value may lie on either side, which makes the truth an interval.
    """

    key: ClassVar[str] = "count-above"
    primary: ClassVar[str] = "relative_distance"
    definitions: ClassVar[Mapping[str, ErrorDefinition]] = {
        "relative_distance": ErrorDefinition(
            "error / number above",
            "Distance to the true number of eigenvalues above the value, over that number, or over 1 where there are "
            "none; eigenvalues within their bound of the value count on either side.",
        ),
    }
    example: ClassVar[Mapping[str, Value]] = {"value": 0.5}
    value: float

    def __post_init__(self) -> None:
        most = sys.float_info.max
        object.__setattr__(self, "value", number_from(self.key, "value", self.value, -most, most, accepted="finite"))

    @override
    def read(self, density: Atoms, slack: float) -> float:
        return float(density.counts[density.nodes > self.value].sum())

    @override
    def enclosure(self, spectrum: Atoms, bound: float) -> Enclosure:
        least, most = (float(spectrum.counts[spectrum.nodes > self.value + off].sum()) for off in (bound, -bound))
        return Enclosure(least, most, most - least)

    @override
    def scale(self, spectrum: Atoms, at: Enclosure) -> float:
        return max(1.0, at.least)


def _share(atoms: Atoms, parts: Sequence[Part], bound: float) -> float:
    return float(atoms.counts[within(atoms.nodes, parts, bound)].sum()) / atoms.dim


def within(nodes: Array, parts: Sequence[Part], bound: float) -> NDArray[np.bool_]:
    """Which nodes lie in one of some intervals, each widened by `bound`, or narrowed where that is negative.

    Narrowed, an interval is open: an edge itself lies on either side.
    """
    inside = np.zeros(nodes.shape, dtype=bool)
    for low, high in parts:
        if bound < 0:
            inside |= (nodes > low - bound) & (nodes < high + bound)
        else:
            inside |= (nodes >= low - bound) & (nodes <= high + bound)
    return inside
