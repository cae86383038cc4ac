"""Traces of functions of the matrix: tr f(A + damping I), and the logarithm of the determinant, where f is log."""

from __future__ import annotations

import sys
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np
from typing_extensions import override

from hessbench.estimand.base import ErrorDefinition
from hessbench.estimand.numbers import number_from
from hessbench.estimand.scalar_functions import (
    FUNCTIONS,
    LOG,
    ScalarFunction,
    abs_sum,
    check_damped,
    sum_enclosure,
    sum_read,
)
from hessbench.estimand.spectral import Atoms, Enclosure, SpectralQuantity
from hessbench.specs import Value, suggest


@dataclass(frozen=True)
class FunctionSum(SpectralQuantity):
    """The sum of f(lambda + damping) over all eigenvalues."""

    primary: ClassVar[str] = "relative_to_abs_sum"
    reads_rule: ClassVar[bool] = True
    trivial_answer: ClassVar[str] = "n f(damping), that of a matrix of zeros, or 0 where it is not finite"

    @property
    @abstractmethod
    def function(self) -> ScalarFunction:
        """The function f."""

    @property
    @abstractmethod
    def shift(self) -> float:
        """What is added to every eigenvalue."""

    @property
    @override
    def known_low(self) -> float:
        """The lower end of where f(lambda + damping) is finite."""
        return self.function.low - self.shift

    @override
    def read(self, density: Atoms, slack: float) -> float:
        return sum_read(self.function, density, self.shift, slack)

    @override
    def enclosure(self, spectrum: Atoms, bound: float) -> Enclosure:
        return sum_enclosure(self.function, spectrum, self.shift, bound)

    @override
    def scale(self, spectrum: Atoms, at: Enclosure) -> float:
        return abs_sum(self.function, spectrum, self.shift)

    @override
    def check_spectrum(self, spectrum: Atoms, bound: float) -> None:
        least, most = float(spectrum.nodes.min()), float(spectrum.nodes.max())
        try:
            check_damped(self.function, (least, most), self.shift, bound)
        except ValueError as refused:
            raise ValueError(f"{self.spec}: {refused}") from None

    @override
    def trivial_value(self, dim: int) -> float:
        with np.errstate(divide="ignore", over="ignore"):
            value = dim * float(self.function.of(np.asarray([self.shift]))[0])
        return value if np.isfinite(value) else 0.0


def _definitions(what: str) -> dict[str, ErrorDefinition]:
    """What the errors of a sum are, its terms called `what`."""
    return {
        "relative_to_abs_sum": ErrorDefinition(
            f"error / sum |{what}|",
            f"Difference to the true sum, over the sum of the absolute terms |{what}|, which do not cancel.",
        ),
        "relative": ErrorDefinition(
            "error / |truth|", "Difference to the true sum, over its magnitude: zero scores 1."
        ),
    }


_LAMBDA = "\N{GREEK SMALL LETTER LAMDA}"


@final
@dataclass(frozen=True)
class TraceFunction(FunctionSum):
    """The trace of f(A + damping I): f is exp, inverse (1 / x), sqrt or entropy (-x log x).

    Primary error: the difference over the sum of |f(lambda + damping)|. The matrix A + damping I is positive definite
    for the inverse, and positive semi-definite for the square root and the entropy; where it is not there is no
    reference, and a method that meets a node where f is not finite says so. With tr A = 1 the entropy is von Neumann's.
    """

    key: ClassVar[str] = "trace-function"
    definitions: ClassVar[Mapping[str, ErrorDefinition]] = _definitions(f"f({_LAMBDA} + damping)")
    example: ClassVar[Mapping[str, Value]] = {"f": "exp"}
    f: str
    damping: float = 0.0

    def __post_init__(self) -> None:
        if self.f not in FUNCTIONS:
            near = suggest(str(self.f), FUNCTIONS)
            raise ValueError(f"{self.key}: f must be one of {', '.join(FUNCTIONS)}, got {self.f!r}{near}")
        object.__setattr__(self, "damping", damping_from(self.key, self.damping))

    @property
    @override
    def function(self) -> ScalarFunction:
        return FUNCTIONS[self.f]

    @property
    @override
    def shift(self) -> float:
        return self.damping


@final
@dataclass(frozen=True)
class LogDeterminant(FunctionSum):
    """The logarithm of the determinant of A + damping I, which must be positive definite.

    Primary error: the difference over the sum of |log(lambda + damping)|. Where A + damping I is not positive definite
    there is no reference, and a method that meets a node at or below -damping says so.
    """

    key: ClassVar[str] = "log-determinant"
    definitions: ClassVar[Mapping[str, ErrorDefinition]] = _definitions(f"log({_LAMBDA} + damping)")
    example: ClassVar[Mapping[str, Value]] = {"damping": 10.0}
    damping: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "damping", damping_from(self.key, self.damping))

    @property
    @override
    def function(self) -> ScalarFunction:
        return LOG

    @property
    @override
    def shift(self) -> float:
        return self.damping


def damping_from(key: str, value: object) -> float:
    """What is added to every eigenvalue, as a float.

    Raises:
        ValueError: If it is not finite and at least 0.
    """
    return number_from(key, "damping", value, 0.0, sys.float_info.max, accepted="finite and at least 0")
