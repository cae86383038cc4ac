"""What a network's operations read and write, each by the memory it is in, and which parameters that may be.

A value is known by its storage: views of it, and what is written into it in place, are the same value. Reading a part
of a flat vector of parameters, or of one put together of parameters and constants, is reading just those parameters.
Whether a tensor moves with the parameters is what autograd says of it, so that what is detached does not.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import count, pairwise
from typing import Any, Final, TypeAlias

import torch
from torch import Tensor
from torch._ops import OpOverload
from torch.utils._python_dispatch import TorchDispatchMode

from hessbench.problems.curvature.rules.affine import Places, affine_places
from hessbench.problems.curvature.rules.tape import CUTS, UnknownNode
from hessbench.problems.networks.custom_functions import custom_functions
from hessbench.problems.networks.inputs import Inputs
from hessbench.problems.networks.network import Forward

aten = torch.ops.aten
Interval: TypeAlias = tuple[int, int]
PARAMETERS: Final = 0
"""Number of the storage of the parameters."""
_CONSTANT: Final = -1
_COPIES: Final = (aten.clone.default, aten._to_copy.default)


@dataclass(frozen=True)
class Read:
    """A value that an operation reads.

    Attributes:
        number: That of its storage.
        place: Of the argument; None within a list or by name.
        parameters: The parameters that it is, where it is part of a flat vector of them.
    """

    number: int
    place: int | None = None
    parameters: tuple[Interval, ...] | None = None


@dataclass(frozen=True)
class Operation:
    """An operation on values that move with the parameters.

    Attributes:
        number: Storage that it writes into; what was in there stays.
        reads: Those that it reads.
        affine: Sets of arguments in which it is affine together, as of `affine_places`.
        op: What it is.
    """

    number: int
    reads: tuple[Read, ...]
    affine: tuple[Places, ...] | None
    op: OpOverload


@dataclass(frozen=True)
class Course:
    """What ran, in order, and what the outputs are; None where they do not move with the parameters."""

    operations: tuple[Operation, ...]
    outputs: Read | None


def course_of(forward: Forward, parameters: Tensor, inputs: Inputs) -> Course:
    """Run a function once and note what its operations read and write.

    Args:
        forward: Outputs from parameters and inputs.
        parameters: Where it runs, (n,).
        inputs: Its inputs (m, ...).

    Raises:
        UnknownNode: If what autograd would do is not that of the operations: at a function with a backward pass of its
            own, a hook on a gradient, or a value that comes from neither.
    """
    own = parameters.detach().clone(memory_format=torch.contiguous_format).requires_grad_()
    follower = _Follower(own)
    with torch.enable_grad(), follower:
        outputs = forward(own, inputs)
    read = follower.read(outputs)
    customs = custom_functions(outputs)
    if customs:
        raise UnknownNode(customs[0], "a custom autograd.Function")
    if follower.is_hooked():
        raise UnknownNode("hook", "on a gradient")
    return Course(tuple(follower.operations), read)


@dataclass(frozen=True)
class _Flat:
    """A flat vector: the parameter that each entry is, -1 for a constant; None for all parameters in their order."""

    owner: Tensor | None
    dtype: torch.dtype


class _Follower(TorchDispatchMode):
    def __init__(self, parameters: Tensor) -> None:
        super().__init__()
        self.operations: list[Operation] = []
        self._size = parameters.numel()
        self._numbers: dict[int, int] = {_storage(parameters): PARAMETERS}
        self._flat: dict[int, _Flat] = {PARAMETERS: _Flat(None, parameters.dtype)}
        # Held, so that no other storage takes the address of one that is known.
        self._held: list[Tensor] = [parameters]
        self._fresh = count(PARAMETERS + 1)

    def is_hooked(self) -> bool:
        """Whether a tensor that moves with the parameters has a hook on its gradient."""
        return any(tensor._backward_hooks for tensor in self._held)  # pyright: ignore[reportPrivateUsage]

    def read(self, tensor: Tensor, place: int | None = None) -> Read | None:
        """A tensor that is read; None where it does not move with the parameters.

        Raises:
            UnknownNode: If autograd follows it, and it came from no operation.
        """
        if not tensor.requires_grad or tensor.numel() == 0:
            return None
        number = self._numbers.get(_storage(tensor))
        if number is None and not tensor.is_leaf:
            raise UnknownNode("value", "that came from no recorded operation")
        if number is None or number == _CONSTANT:
            return None
        flat = self._flat.get(number)
        if flat is None or flat.dtype != tensor.dtype:
            return Read(number, place)
        start = int(tensor.storage_offset())
        reach = sum((size - 1) * stride for size, stride in zip(tensor.shape, tensor.stride(), strict=True))
        return Read(number, place, self._parameters(flat, start, start + reach + 1))

    def __torch_dispatch__(
        self, func: OpOverload, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        del types
        result = func(*args, **(kwargs or {}))
        if torch.is_grad_enabled():
            self._note(func, args, kwargs or {}, result)
        return result

    def _note(self, func: OpOverload, args: tuple[Any, ...], kwargs: dict[str, Any], result: Any) -> None:
        tensors = list(_placed(args, kwargs))
        if not any(tensor.requires_grad for _, tensor in tensors):
            return
        reads = tuple(read for place, tensor in tensors if (read := self.read(tensor, place)) is not None)
        outputs = [
            (index, one) for index, one in enumerate(result if isinstance(result, list | tuple) else (result,))
            if isinstance(one, Tensor)
        ]  # fmt: skip
        self._held += [output for _, output in outputs]
        if func in CUTS or not reads:
            for _, output in outputs:
                self._numbers.setdefault(_storage(output), _CONSTANT)
            return
        is_real = not any(one.is_complex() for _, one in (*tensors, *outputs))  # the modulus is no absolute value

        def affine(op: OpOverload | None, index: int) -> tuple[Places, ...] | None:
            return affine_places(op, index, args) if is_real and op is not None else ()

        if not func._schema.is_mutable:  # pyright: ignore[reportPrivateUsage]
            for index, output in outputs:
                if self._numbers.get(_storage(output), _CONSTANT) == _CONSTANT:  # else it is a view of what is known
                    self._write(func, output, reads, affine(func, index), self._joined(func, args, output))
            return
        op = _functional(func)
        for output in _written(func, args, kwargs):
            self._write(func, output, reads, affine(op, 0))
        for index, output in outputs if op is None else ():
            self._write(func, output, reads, affine(func, index))

    def _write(
        self,
        op: OpOverload,
        output: Tensor,
        reads: tuple[Read, ...],
        affine: tuple[Places, ...] | None,
        flat: _Flat | None = None,
    ) -> None:
        if not (output.is_floating_point() or output.is_complex()):
            return
        key = _storage(output)
        if self._numbers.get(key, _CONSTANT) == _CONSTANT:
            self._numbers[key] = next(self._fresh)
            self._held.append(output)
        number = self._numbers[key]
        self._flat.pop(number, None)
        if flat is not None:
            self._flat[number] = flat
        self.operations.append(Operation(number, reads, affine, op))

    def _joined(self, op: OpOverload, args: tuple[Any, ...], output: Tensor) -> _Flat | None:
        """The flat vector that an output is, where it is put together of parts of such vectors and constants."""
        if output.ndim != 1 or not output.is_contiguous():
            return None
        if op in _COPIES:
            owner = self._owner(args[0])
        elif op is aten.cat.default:
            parts = [self._owner(one) for one in args[0]]
            known = [part for part in parts if part is not None]
            owner = torch.cat(known) if len(known) == len(parts) else None
        elif op is aten.index_copy.default:
            owner, source = self._owner(args[0]), self._owner(args[3])
            # A place that is filled twice has one of two parameters, nobody knows which.
            if owner is None or source is None or torch.unique(args[2]).numel() < source.numel():
                return None
            owner = owner.clone()
            owner[args[2].cpu()] = source
        else:
            return None
        return None if owner is None else _Flat(owner, output.dtype)

    def _owner(self, tensor: Tensor) -> Tensor | None:
        """The parameter that each entry of a vector is; None where that is not known."""
        read = self.read(tensor)
        if read is None:
            return torch.full((tensor.numel(),), -1)
        if read.parameters is None or tensor.ndim != 1 or not tensor.is_contiguous():
            return None
        owner = self._flat[read.number].owner
        start = int(tensor.storage_offset())
        whole = torch.arange(self._size) if owner is None else owner
        return whole[start : start + tensor.numel()]

    def _parameters(self, flat: _Flat, start: int, stop: int) -> tuple[Interval, ...]:
        """The parameters among the entries start..stop of a flat vector, as intervals."""
        if flat.owner is None:
            return ((start, stop),)
        owner = flat.owner[start:stop]
        found: list[int] = torch.unique(owner[owner >= 0]).tolist()
        breaks = [place for place, (one, other) in enumerate(pairwise(found), 1) if other != one + 1]
        return tuple(
            (found[first], found[last - 1] + 1) for first, last in pairwise([0, *breaks, len(found)]) if first < last
        )


def _placed(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Iterator[tuple[int | None, Tensor]]:
    """Tensors among arguments with their places; None in lists and by name."""
    for place, one in [*enumerate(args), *((None, one) for one in kwargs.values())]:
        if isinstance(one, Tensor):
            yield place, one
        elif isinstance(one, list | tuple):
            yield from ((None, part) for part in one if isinstance(part, Tensor))


def _written(func: OpOverload, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Iterator[Tensor]:
    """Arguments that an operation writes into."""
    for place, argument in enumerate(func._schema.arguments):  # pyright: ignore[reportPrivateUsage]
        if argument.alias_info is not None and argument.alias_info.is_write:
            one = args[place] if place < len(args) else kwargs.get(argument.name)
            yield from (part for part in (one if isinstance(one, list | tuple) else [one]) if isinstance(part, Tensor))


@cache
def _functional(func: OpOverload) -> OpOverload | None:
    """The operation that makes a new value of what this one writes in place; None where it has no such form."""
    name = func._opname  # pyright: ignore[reportPrivateUsage]
    packet = getattr(aten, name.removesuffix("_"), None) if name.endswith("_") and func.namespace == "aten" else None
    return getattr(packet, func._overloadname, None)  # pyright: ignore[reportPrivateUsage]


def _storage(tensor: Tensor) -> int:
    return tensor.untyped_storage().data_ptr()
