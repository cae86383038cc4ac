"""What a sealed method may ask of a counted operator, done in the operator's process: these calls and no other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeAlias, cast, final

import torch
from torch import Tensor

from hessbench.counted_factor import CountingFactor
from hessbench.counted_parts import CountingRows, CountingUnits
from hessbench.counting import CountingOperator
from hessbench.operator_parts import GroupForms
from hessbench.operators import ProductKind
from hessbench.sealing.proxy import NO_NETWORK

_Call: TypeAlias = Callable[..., Any]
_MOST_OBJECTS: Final = 10_000


@final
@dataclass(frozen=True)
class _Forms:
    ask: Callable[[Tensor, list[tuple[int, int]]], GroupForms]


@final
class Served:
    """The counted operator and what was handed out of it, by number; the operator itself is number 0."""

    def __init__(self, op: CountingOperator) -> None:
        self._objects: dict[int, Any] = {0: op}
        self._next = 1

    def call(self, number: Any, name: Any, arguments: tuple[Any, ...]) -> Any:
        """Do what a method asks for.

        Args:
            number: Of the object.
            name: What is called.
            arguments: What it is handed, each of a type that no message can hide anything in.

        Raises:
            ValueError: If there is no such object, call or argument.
            Exception: Whatever the operator raises.
        """
        if type(number) is not int or number not in self._objects:
            raise ValueError("something was asked of an object that was never handed out")
        target: Any = self._objects[number]
        call = _CALLS.get((type(target), str(name)))
        if call is None:
            raise ValueError(f"{str(name)[:100]!r} was asked of the operator, which nobody may call")
        return call(self, target, *arguments)

    def keep(self, thing: Any) -> int:
        """The number by which something is asked from now on.

        Raises:
            ValueError: If there are too many.
        """
        if len(self._objects) >= _MOST_OBJECTS:
            raise ValueError(f"more than {_MOST_OBJECTS} parts of the operator were asked for")
        number, self._next = self._next, self._next + 1
        self._objects[number] = thing
        return number

    def drop(self, numbers: Any) -> None:
        """Let go of what the method does not hold any more; never of the operator itself."""
        for number in cast("list[Any]", numbers) if isinstance(numbers, list) else []:
            if type(number) is int and number:
                self._objects.pop(number, None)


def _matmat(_: Served, op: CountingOperator, block: Tensor) -> Tensor:
    return op.matmat(block)


def _charge(_: Served, op: CountingOperator, kind: str, columns: int, samples: int, population: int) -> None:
    # What is charged only ever grows.
    if not 0 <= samples <= population and samples:
        raise ValueError(f"samples must be between 0 and population, got {samples} of {population}")
    op.charge(ProductKind(kind), columns, samples, population)


def _network(_: Served, _op: CountingOperator) -> None:
    raise AttributeError(NO_NETWORK)


def _subset(served: Served, op: CountingOperator, samples: Tensor, weights: Tensor | None) -> int:
    return served.keep(op.subset(samples, weights))


def _made_forms(served: Served, op: CountingOperator) -> int:
    return served.keep(_Forms(op.forms))


def _forms(_: Served, forms: _Forms, v: Tensor, groups: list[tuple[int, int]]) -> tuple[Tensor, Tensor]:
    found = forms.ask(v, groups)
    return found.values, found.sizes


def _parts(served: Served, op: CountingOperator) -> tuple[int, int, float]:
    found = op.parts
    return served.keep(found.ggn), served.keep(found.residual), found.shift


def _structure(_: Served, op: CountingOperator) -> tuple[Tensor, tuple[tuple[int, int], ...]]:
    found = op.structure
    return found.flat, found.groups


def _factor(served: Served, op: CountingOperator) -> tuple[int, int, int, int]:
    found = op.factor
    return served.keep(found), found.num_samples, found.num_outputs, found.num_columns


def _rows(served: Served, op: CountingOperator) -> tuple[int, int]:
    found = op.rows
    return served.keep(found), found.num_samples


def _units(served: Served, op: CountingOperator) -> tuple[int, int]:
    found = op.units
    return served.keep(found), found.num_units


def _diagonal(_: Served, units: CountingUnits) -> Tensor:
    return units.diagonal()


def _drawn_squares(_: Served, factor: CountingFactor, number: int, state: Tensor) -> tuple[Tensor, Tensor]:
    generator = torch.Generator()
    generator.set_state(state)
    found = factor.drawn_squares(number, generator)
    return found, generator.get_state()


def _rmatmat(_: Served, factor: CountingFactor, block: Tensor) -> Tensor:
    return factor.rmatmat(block)


def _squared_sum(_: Served, factor: CountingFactor, block: Tensor) -> Tensor:
    return factor.squared_sum(block)


def _summed_squares(_: Served, factor: CountingFactor, block: Tensor) -> Tensor:
    return factor.summed_squares(block)


def _per_sample(_: Served, rows: CountingRows) -> int:
    return rows.per_sample


def _num_rows(_: Served, rows: CountingRows) -> int:
    return rows.num_rows


def _root_norms(_: Served, rows: CountingRows) -> Tensor:
    return rows.root_norms()


def _sample_norms(_: Served, rows: CountingRows) -> Tensor:
    return rows.sample_norms()


def _slope_norms(_: Served, rows: CountingRows) -> Tensor:
    return rows.slope_norms()


def _input_norms(_: Served, rows: CountingRows) -> Tensor:
    return rows.input_norms()


def _some_rows(_: Served, rows: CountingRows, indices: Tensor) -> Tensor:
    return rows(indices)


_CALLS: Final[dict[tuple[type, str], _Call]] = {
    (CountingOperator, "matmat"): _matmat,
    (CountingOperator, "charge"): _charge,
    (CountingOperator, "network_copy"): _network,
    (CountingOperator, "subset"): _subset,
    (CountingOperator, "forms"): _made_forms,
    (CountingOperator, "parts"): _parts,
    (CountingOperator, "structure"): _structure,
    (CountingOperator, "factor"): _factor,
    (CountingOperator, "rows"): _rows,
    (CountingOperator, "units"): _units,
    (CountingUnits, "diagonal"): _diagonal,
    (_Forms, "forms"): _forms,
    (CountingFactor, "rmatmat"): _rmatmat,
    (CountingFactor, "squared_sum"): _squared_sum,
    (CountingFactor, "summed_squares"): _summed_squares,
    (CountingFactor, "drawn_squares"): _drawn_squares,
    (CountingRows, "per_sample"): _per_sample,
    (CountingRows, "num_rows"): _num_rows,
    (CountingRows, "root_norms"): _root_norms,
    (CountingRows, "sample_norms"): _sample_norms,
    (CountingRows, "slope_norms"): _slope_norms,
    (CountingRows, "input_norms"): _input_norms,
    (CountingRows, "rows"): _some_rows,
}
