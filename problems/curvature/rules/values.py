"""Which values of a recorded network matter, and which of them are parts of a flat vector.

A value matters where it depends on the parameters and the outputs depend on it. Most values between the parameters and
the layers are views of the flat vector: their tangents are the same views of its tangent, and their cotangents are
summed in place in the same views of its cotangent, so they need no rule. The same holds for a flat vector that is
computed, such as one filled up with fixed entries; its views that hold only fixed entries depend on nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

from hessbench.problems.curvature.rules.tape import Node, Tape

aten = torch.ops.aten
_FILLED: Final = (aten.cat.default, aten.index_copy.default)
INPUT: Final = 0
"""Number of the parameters."""


@dataclass(frozen=True, eq=False)
class LiveValue:
    """A value that matters.

    Attributes:
        number: Its place among them; 0 for the parameters.
        node: What it comes from; None for the parameters.
        sources: Numbers of the live tensors among the arguments of the node, in their order.
        base: Number of the flat vector that it is a view of, None for a value of its own.
        offset: Where in that vector it begins.
    """

    number: int
    node: Node | None
    sources: tuple[int, ...] = ()
    base: int | None = None
    offset: int = 0


@dataclass(frozen=True)
class Values:
    """The values that matter, in the order in which they are computed, and how a tensor is found among them."""

    ordered: tuple[LiveValue, ...]
    outputs: int | None
    live: Callable[[Tensor], bool]


def values_of(tape: Tape) -> Values:
    """Find the values that matter.

    Args:
        tape: What ran.

    Returns:
        The values; `outputs` is the number of the outputs, None where they do not depend on the parameters.
    """
    numbers: dict[int, int] = {id(tape.parameters): INPUT}
    found = [LiveValue(INPUT, None)]
    bases: dict[int, _Base] = {_storage(tape.parameters): _Base(INPUT, 0, None)}
    for node in tape.nodes:
        sources = tuple(numbers[id(one)] for one in node.tensors() if id(one) in numbers)
        base = bases.get(_storage(node.output))
        number = len(found)
        if base is not None and _is_plain(node):
            offset = int(node.output.storage_offset()) - base.offset
            if not base.touches(offset, node.output):
                continue
            found.append(LiveValue(number, node, (base.number,), base.number, offset))
        elif not sources:
            continue
        else:
            found.append(LiveValue(number, node, sources))
            if base is None and node.output.ndim == 1 and node.output.is_contiguous():
                bases[_storage(node.output)] = _Base(number, int(node.output.storage_offset()), _mask(node, numbers))
        numbers[id(node.output)] = number
    outputs = numbers.get(id(tape.outputs))
    return _needed(found, numbers, outputs)


def _needed(found: list[LiveValue], numbers: dict[int, int], outputs: int | None) -> Values:
    """Only what the outputs depend on, numbered anew."""
    wanted = {INPUT} if outputs is None else {INPUT, outputs}
    for value in reversed(found):
        if value.number in wanted:
            wanted.update(value.sources)
    order = {number: place for place, number in enumerate(sorted(wanted))}
    kept = tuple(
        LiveValue(
            order[value.number],
            value.node,
            tuple(order[source] for source in value.sources),
            None if value.base is None else order[value.base],
            value.offset,
        )
        for value in found
        if value.number in wanted
    )
    # The tensors themselves are held by their nodes, so that no other can take their ids while this is in use.
    live = {key for key, number in numbers.items() if number in wanted}
    return Values(kept, None if outputs is None else order[outputs], lambda tensor: id(tensor) in live)


@dataclass(frozen=True)
class _Base:
    """A flat vector that others are views of: its number, its place in its storage, and which entries are live."""

    number: int
    offset: int
    mask: Tensor | None

    def touches(self, offset: int, view: Tensor) -> bool:
        """Whether a view may hold a live entry."""
        if self.mask is None:
            return True
        reach = sum((size - 1) * stride for size, stride in zip(view.shape, view.stride(), strict=True))
        return bool(self.mask[offset : offset + reach + 1].any())


def _mask(node: Node, numbers: dict[int, int]) -> Tensor | None:
    """Which entries of a flat vector depend on the parameters; None for all of them, or where that is not known."""
    if node.op not in _FILLED:
        return None
    mask = torch.zeros(node.output.shape, dtype=torch.bool)
    if node.op is aten.index_copy.default:
        if id(node.args[0]) in numbers:
            return None
        mask[node.args[2].cpu()] = True
        return mask
    reached = 0
    for part in node.args[0]:
        if part.ndim != 1:
            return None
        mask[reached : reached + part.numel()] = id(part) in numbers
        reached += part.numel()
    return mask


def _is_plain(node: Node) -> bool:
    """Whether an output holds each entry of the memory that it looks at once."""
    output = node.output
    spread = sorted((stride, size) for size, stride in zip(output.shape, output.stride(), strict=True) if size > 1)
    reached = 0
    for stride, size in spread:
        if stride <= reached:
            return False
        reached += (size - 1) * stride
    return output.numel() > 0


def _storage(tensor: Tensor) -> int:
    return tensor.untyped_storage().data_ptr()
