"""A unit of a study: what is measured at once, such as one trained network, and where its numbers go."""

from __future__ import annotations

import functools
import hashlib
import inspect
import re
import types
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, cast, final

import numpy as np
from numpy.typing import ArrayLike

from hessbench.code_text import code_text, fixed, function_of
from hessbench.counting import CountingOperator
from hessbench.estimand.base import Array
from hessbench.studies.scale import StudySetting

_ADDRESS: Final = re.compile(r" at 0x[0-9a-fA-F]+")


@dataclass(frozen=True)
class UnitCosts:
    """What a number cost; NaN where nobody counted."""

    num_matvecs: float = np.nan
    gradient_equivalents: float = np.nan
    seconds: float = np.nan


def costs_of(counted: CountingOperator, seconds: float = np.nan) -> UnitCosts:
    """What has been charged to a counted operator so far, and the seconds that went by."""
    return UnitCosts(counted.matvecs, counted.spending.gradient_equivalents, seconds)


@final
class UnitRecord:
    """Takes down what a unit measures."""

    def __init__(self) -> None:
        self.rows: list[dict[str, str | float]] = []
        self.arrays: dict[str, Array] = {}

    def add(
        self, measure: str, value: float, *, problem: str = "", method: str = "", costs: UnitCosts | None = None
    ) -> None:
        """Take down a number.

        Args:
            measure: Name of what was measured.
            value: The number; NaN where there is none.
            problem: Spec or name of the problem.
            method: Spec or name of the method.
            costs: What it cost.

        Raises:
            ValueError: If the measure has no name.
        """
        if not measure:
            raise ValueError("measure must be a name, got an empty one")
        spent = costs or UnitCosts()
        self.rows.append({
            "problem": problem, "method": method, "measure": measure, "value": float(value),
            "num_matvecs": float(spent.num_matvecs), "gradient_equivalents": float(spent.gradient_equivalents),
            "seconds": float(spent.seconds),
        })  # fmt: skip

    def keep(self, name: str, array: ArrayLike) -> None:
        """Keep an array for the figures, in float64.

        Raises:
            ValueError: If this unit has kept one of that name.
        """
        if name in self.arrays:
            raise ValueError(f"name must be new in a unit, {name!r} was kept before")
        self.arrays[name] = np.array(array, dtype=np.float64)


@dataclass(frozen=True)
class Unit:
    """What is measured at once and kept as a whole.

    Attributes:
        name: Such as `run=3`; every one of a study has its own.
        measure: Measures it, and hands the numbers to the record. Arguments are best fixed by `functools.partial`.
        seconds: Predicted for the setting: on two quiet cores, or on the accelerator.
        definition: What is measured, beyond the source of `measure` and the arguments fixed in it: what the functions
            that it calls do is not part of the key.

    Raises:
        ValueError: If the name is empty, or the prediction is no positive number.
    """

    name: str
    measure: Callable[[UnitRecord], None]
    seconds: float
    definition: str = ""

    def __post_init__(self) -> None:
        if not self.name.strip():
            raise ValueError("name of a unit must not be empty")
        if not 0 < self.seconds < float("inf"):
            raise ValueError(f"seconds must be above 0, got {self.seconds} of the unit {self.name!r}")

    def key(self, study: str, setting: StudySetting) -> str:
        """Hash of what is measured: another study, setting or definition has another one."""
        parts = (
            study,
            setting.scale,
            setting.device,
            str(setting.seed),
            self.name,
            self.definition,
            _text(self.measure),
        )
        return hashlib.sha256("\0".join(parts).encode("utf-8", "backslashreplace")).hexdigest()


def _text(measure: Callable[..., Any]) -> str:
    """Source of a function, and the arguments that partials and closures fix in it."""
    function = function_of(measure)
    try:
        source = inspect.getsource(function)
    except (OSError, TypeError):
        source = code_text(function)
    inside = inspect.getclosurevars(function).nonlocals if isinstance(function, types.FunctionType) else {}
    arguments = [*fixed(measure), *sorted(inside.items())]
    return "\n".join([source, *(f"{name}={_value_text(value)}" for name, value in arguments)])


def _value_text(value: object) -> str:
    """A text of an argument that is the same in every process; of a function its name."""
    if isinstance(value, functools.partial):
        return _text(cast("Callable[..., Any]", value))
    if callable(value):
        return f"{getattr(value, '__module__', '')}.{getattr(value, '__qualname__', type(value).__qualname__)}"
    if isinstance(value, np.ndarray):
        array = cast("Array", value)
        return f"{array.shape} {hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()}"
    # What is written with its address differs in every process, and would never be found again.
    return _ADDRESS.sub("", repr(value))
