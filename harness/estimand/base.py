"""What an estimand is, what an estimate is, what the truth is, and the one order of eigenvalues.

Errors are pure functions of stored arrays, so that a ledger can be scored again without computing anything.
"""

from __future__ import annotations

import dataclasses
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, ClassVar, Final, Literal, Self, TypeAlias, TypeVar, cast, get_args

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from hessbench.estimand.interval import half_width
from hessbench.estimand.real_arrays import real_array as real_array
from hessbench.estimand.real_arrays import real_vector as real_vector
from hessbench.operators import LinearOperator
from hessbench.specs import REQUIRED, Required, Spec, Value, canonical

Array: TypeAlias = NDArray[np.float64]
Arrays: TypeAlias = dict[str, Array]
EPS: Final[dict[str, float]] = {"float32": 2.0**-23, "float64": 2.0**-52}

Which: TypeAlias = Literal["magnitude", "algebraic", "smallest"]
"""Orders of eigenvalues: by magnitude from the largest, from the top, from the bottom."""
ORDERS: Final[tuple[Which, ...]] = get_args(Which)

Numbers = TypeVar("Numbers", Array, Tensor)


def sort_key(eigenvalues: Numbers, which: Which) -> Numbers:
    """Numbers that ascend in an order: the one place that knows what each word means."""
    if which == "magnitude":
        return cast("Numbers", -abs(eigenvalues))
    return -eigenvalues if which == "algebraic" else eigenvalues


class Source(StrEnum):
    """Where a reference comes from."""

    ANALYTIC = "ANALYTIC"
    DENSE = "DENSE"
    GRAM = "GRAM"
    CERTIFIED = "CERTIFIED"
    STATISTICAL = "STATISTICAL"


@dataclass(frozen=True)
class Reference:
    """The truth about one estimand of one problem.

    Attributes:
        arrays: What the estimand's `errors` compares with; see each estimand.
        source: How it was obtained.
        norm: Spectral norm of the operator.
        bound: Error bound of the eigenvalues (or trace, or diagonal entries) themselves, absolute, before rounding.
        rounding: Constant c in the operator's own rounding, c eps(dtype) norm.
        note: What a reader of the report must know.
        dim: Dimension n of the operator; 0 where it is not said.
        semidefinite: Whether it is known that no eigenvalue is negative.
    """

    arrays: Arrays
    source: Source
    norm: float
    bound: float = 0.0
    rounding: float = 10.0
    note: str = ""
    dim: int = 0
    semidefinite: bool = False

    def bound_in(self, dtype: str) -> float:
        """The absolute bound, the rounding of the operator in `dtype` included."""
        return self.bound + self.rounding * EPS[dtype] * self.norm


@dataclass(frozen=True)
class Estimate:
    """What a method hands back; what it cost is observed, never said.

    Attributes:
        value: Eigenvalues (k,), a trace, a diagonal (n,), (nodes, weights) of a density, or a basis (n, k); or a
            function of no arguments that returns one of these, or a whole `Estimate`. A function must hold all it
            needs: it is called when spending reaches a budget, which may be after the generator has moved on.
        vectors: Eigenvectors (n, k), where there are any.
        stderr: Standard error the method claims for its value; of a diagonal that of its 2-norm, the root of the summed
            variances of the entries.
        stderr_dof: Degrees of freedom of `stderr` where it is the spread of few samples, one less than these: with
            them an interval takes Student's t in place of the normal quantile; see `half_width`.
        converged: Whether the method says it has converged.
        diagnostics: Small numbers and texts worth keeping.
        also: Answers to other estimands from the same run.
        starts: Of a density, the start each node is from, (m,) from 0, or -1 for what all share; see
            `spectral.read_from_density`.
        rule: Of a density that was smoothed, the quadrature (nodes, weights) before that, weights of either sign: sums
            of a function over the spectrum are read from it.
        interval: Lower and upper bounds that the method claims, at a confidence among its diagnostics: of each
            eigenvalue (k,), or of each magnitude where the order is by magnitude.
    """

    value: Any
    vectors: Tensor | None = None
    stderr: float | None = None
    stderr_dof: float | None = None
    converged: bool | None = None
    diagnostics: Mapping[str, Any] = field(default_factory=dict[str, Any])
    also: Mapping[type[Estimand], Estimate] = field(default_factory=dict[Any, Any])
    starts: NDArray[np.int64] | None = None
    rule: tuple[Array, Array] | None = None
    interval: tuple[Any, Any] | None = None

    def half_width(self, confidence: float = 0.95) -> float | None:
        """Half the width of the interval that the standard error stands for; see `interval.half_width`."""
        return half_width(self.stderr, self.stderr_dof, confidence)

    def resolve(self, wanted: Callable[[type[Estimand]], bool] | None = None) -> Estimate:
        """Call a lazy value, here and in `also`.

        Args:
            wanted: Which answers in `also` are kept; the others are left out before they cost anything.
        """
        estimate = self
        if callable(self.value):
            value = cast("Callable[[], Any]", self.value)()
            estimate = value.resolve(wanted) if isinstance(value, Estimate) else dataclasses.replace(self, value=value)
        if not estimate.also:
            return estimate
        kept = {kind: inner.resolve() for kind, inner in estimate.also.items() if wanted is None or wanted(kind)}
        return dataclasses.replace(estimate, also=kept)


@dataclass(frozen=True)
class ErrorDefinition:
    """What an error is.

    Attributes:
        label: In a few words, for the head of a table or an axis.
        sentence: In one sentence.
    """

    label: str
    sentence: str


@dataclass(frozen=True)
class Estimand(ABC):
    """A quantity of an operator. It owns its errors; `primary` names the one that ranks, lower is better."""

    key: ClassVar[str]
    primary: ClassVar[str]
    definitions: ClassVar[Mapping[str, ErrorDefinition]] = {}
    """What each error is that may be shown by itself, by its name; the primary one is among them."""
    side_by_side: ClassVar[tuple[str, ...]] = ()
    """Errors that a reader should see together, since one alone may mislead."""
    trivial_answer: ClassVar[str] = "zero"
    read_from: ClassVar[type[Estimand] | None] = None
    """The estimand from any answer to which it is read; a method that answers that one answers it too."""
    asks: ClassVar[Mapping[str, Value]] = {}
    """Keywords beside the fields that a method which declares them is handed, such as one that costs memory."""
    hands: ClassVar[tuple[str, ...]] = ()
    """Keywords of the tensors that `handed` makes for a method."""

    @property
    def spec(self) -> str:
        """Canonical text."""
        return str(canonical(Spec(self.key, tuple(sorted(self.fields.items()))), defaults_of(type(self))))

    @property
    def error_definition(self) -> str:
        """What the primary error is, in one sentence."""
        return self.definitions[self.primary].sentence

    @classmethod
    def trivial_error(cls, name: str, errors: Mapping[str, float | None]) -> float | None:
        """Error of the answer that takes no product, `trivial_answer`.

        Args:
            name: Which error.
            errors: The errors of any estimate of the same quantity, where they hold what it takes.

        Returns:
            The error, 1 wherever the truth is its scale; None where the errors do not tell.
        """
        del errors
        return 1.0 if name == cls.primary else None

    @property
    def fields(self) -> dict[str, Value]:
        """The parameters, as they are handed to a method that declares them."""
        return {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}

    @classmethod
    def default(cls) -> Self | None:
        """The estimand without parameters; None where one has no default."""
        if any(isinstance(value, Required) for value in defaults_of(cls).values()):
            return None
        return cls()

    @classmethod
    def of_size(cls, k: int) -> Self:
        """The first `k` of what is counted; all of anything else."""
        return cast("Callable[..., Self]", cls)(k=k) if "k" in defaults_of(cls) else cls()

    @property
    def needs_network(self) -> bool:
        """Whether it can be asked only of a problem that is made of a network."""
        return False

    @property
    def known_low(self) -> float:
        """What the question takes every eigenvalue to be at least; minus infinity where it takes nothing."""
        return -math.inf

    def handed(self, dim: int, network: Callable[[], object] | None = None) -> dict[str, Array]:
        """Vectors (dim,) that are part of the question, by keyword; `network` makes what the problem is made of."""
        del dim, network
        return {}

    def observed(self, value: Any, op: LinearOperator, handed: Mapping[str, Tensor]) -> Arrays:
        """What only the operator tells of an estimate, by products neither timed nor charged: arrays for its errors."""
        del value, op, handed
        return {}

    def check(self, dim: int) -> None:  # noqa: B027 -- most estimands fit every dimension
        """Refuse a dimension the estimand does not fit.

        Raises:
            ValueError: Naming the accepted range.
        """

    @abstractmethod
    def to_arrays(self, value: Any, dim: int) -> Arrays:
        """Turn an estimate's value into float64 arrays.

        Raises:
            ValueError: If it has the wrong shape.
        """

    def claimed(self, interval: tuple[Any, Any], value: Any, dim: int) -> Arrays:
        """Turn the bounds that an estimate claims of its value into arrays for the errors; none by default."""
        del interval, value, dim
        return {}

    @abstractmethod
    def errors(self, arrays: Arrays, reference: Reference, dtype: str) -> dict[str, float]:
        """Compare an estimate with the truth.

        Args:
            arrays: From `to_arrays`.
            reference: The truth.
            dtype: Name of the dtype the operator computed in.

        Returns:
            Every error by name, `primary` among them.
        """

    @abstractmethod
    def floor(self, reference: Reference, dtype: str) -> float:
        """The reference's bound in the unit of the primary error; no accuracy is claimed below it."""


def defaults_of(kind: type[Estimand]) -> dict[str, Value | Required]:
    """Parameters of an estimand with their defaults."""
    return {
        f.name: REQUIRED if f.default is dataclasses.MISSING else cast("Value", f.default)
        for f in dataclasses.fields(kind)
    }


def spectral_norm(eigenvalues: Array) -> float:
    """The largest magnitude of eigenvalues (n,)."""
    return float(np.abs(eigenvalues).max())
