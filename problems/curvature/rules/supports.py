"""Which parameters a recorded network may be curved in, by the parameters that each of its values may depend on.

The parameters are cut wherever a view of them begins or ends, so that a value depends on the whole of a part or on
nothing of it. A set of parts is one integer, a bit for each part, and a rule a few operations on such integers.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import pairwise
from operator import or_
from typing import Final, TypeAlias

import torch
from torch import Tensor

from hessbench.problems.curvature.rules.affine import affine_places
from hessbench.problems.curvature.rules.tape import Node, Tape
from hessbench.problems.curvature.rules.values import INPUT, LiveValue, Values, values_of

aten = torch.ops.aten
Interval: TypeAlias = tuple[int, int]
_COPIES: Final = (aten.clone.default, aten._to_copy.default)


@dataclass(frozen=True)
class CurvedParts:
    """Parts of the parameters, and in which of them the outputs may be curved.

    Attributes:
        ends: Where parts begin and end, ascending from 0 to n.
        curved: For each part, whether an output may be other than affine in it.
    """

    ends: tuple[int, ...]
    curved: tuple[bool, ...]


def curved_parts(tape: Tape) -> CurvedParts:
    """The parts of the parameters in which the outputs of a recorded network may be curved.

    A value keeps its support, the parts it may depend on, and those of them that it may be curved in. An operation adds
    to the latter the parts that are in the supports of arguments in which it is not affine together. By induction a
    value is jointly piecewise affine in every other part: the arguments that move with it are, and the operation is so
    in these.

    Args:
        tape: What ran.

    Cost: some integers for each node; no arithmetic on its values.
    """
    values = values_of(tape)
    n = tape.parameters.numel()
    leaves = _leaves(values, n)
    ends = sorted({0, n, *(end for intervals in leaves.values() for interval in intervals for end in interval)})
    place = {end: number for number, end in enumerate(ends)}
    everything = (1 << (len(ends) - 1)) - 1
    supports, curved = [everything], [0]
    for value in values.ordered[1:]:
        if value.number in leaves:
            supports.append(_union((1 << place[stop]) - (1 << place[start]) for start, stop in leaves[value.number]))
            curved.append(0)
            continue
        supports.append(_union(supports[source] for source in value.sources))
        curved.append(_union(curved[source] for source in value.sources) | _bent(value, values, supports))
    found = 0 if values.outputs is None else curved[values.outputs]
    return CurvedParts(tuple(ends), tuple(bool(found >> number & 1) for number in range(len(ends) - 1)))


def _bent(value: LiveValue, values: Values, supports: Sequence[int]) -> int:
    """Parts in which the operation of a value is not affine, were its arguments so."""
    assert value.node is not None
    if value.base is not None:
        return 0
    sets = affine_places(value.node)
    if sets is None:
        return 0
    args = value.node.args
    live = [place for place, one in enumerate(args) if isinstance(one, Tensor) and values.live(one)]
    whole = supports[value.number]
    if len(live) != len(value.sources):  # tensors in lists or given by name
        return whole
    moved = dict(zip(live, (supports[source] for source in value.sources), strict=True))
    # In a set of arguments it is affine in what no argument outside of it depends on.
    return whole & ~_union(whole & ~_union(moved[place] for place in live if place not in one) for one in sets)


def _union(parts: Iterable[int]) -> int:
    return reduce(or_, parts, 0)


def _leaves(values: Values, n: int) -> dict[int, tuple[Interval, ...]]:
    """Values that are views of a flat vector of single parameters, with the parameters that they look at."""
    owners = _owners(values, n)
    leaves: dict[int, tuple[Interval, ...]] = {}
    for value in values.ordered:
        if value.base is None or value.node is None:
            continue
        output = value.node.output
        reach = sum((size - 1) * stride for size, stride in zip(output.shape, output.stride(), strict=True))
        interval = (value.offset, value.offset + reach + 1)
        if value.base == INPUT:
            leaves[value.number] = (interval,)
        elif value.base in owners:
            leaves[value.number] = _runs(owners[value.base][slice(*interval)])
    return leaves


def _owners(values: Values, n: int) -> dict[int, Tensor]:
    """For vectors put together of parameters and constants: the parameter that each entry is, -1 for a constant."""
    owners: dict[int, Tensor] = {}
    for number in sorted({value.base for value in values.ordered if value.base}):
        value = values.ordered[number]
        found = None if value.node is None else _owner(value.node, value.sources, values, owners, n)
        if found is not None:
            owners[number] = found
    return owners


def _owner(node: Node, sources: Sequence[int], values: Values, owners: dict[int, Tensor], n: int) -> Tensor | None:
    parts = [_part_owner(values.ordered[source], owners, n) for source in sources]
    known = [part for part in parts if part is not None]
    if len(known) < len(parts):
        return None
    if node.op in _COPIES:
        return known[0]
    if node.op is aten.cat.default:
        left = iter(known)
        joined = [next(left) if values.live(one) else _constants(one.numel()) for one in node.args[0]]
        return torch.cat(joined)
    if node.op is aten.index_copy.default and not values.live(node.args[0]):
        owner = _constants(node.output.numel())
        owner[node.args[2].cpu()] = known[0]
        # A place that is filled twice has one of two parameters, nobody knows which.
        return owner if int((owner >= 0).sum()) == int((known[0] >= 0).sum()) else None
    return None


def _part_owner(value: LiveValue, owners: dict[int, Tensor], n: int) -> Tensor | None:
    """The parameter that each entry of a vector is; None where they are not single parameters in a row."""
    if value.node is None:
        return torch.arange(n)
    if value.base is None:
        return owners.get(value.number)
    output = value.node.output
    base = torch.arange(n) if value.base == INPUT else owners.get(value.base)
    if base is None or output.ndim != 1 or not output.is_contiguous():
        return None
    return base[value.offset : value.offset + output.numel()]


def _constants(size: int) -> Tensor:
    return torch.full((size,), -1)


def _runs(owner: Tensor) -> tuple[Interval, ...]:
    """The parameters among the entries of a vector, as intervals."""
    found: list[int] = torch.unique(owner[owner >= 0]).tolist()
    breaks = [place for place, (one, other) in enumerate(pairwise(found), 1) if other != one + 1]
    return tuple(
        (found[start], found[stop - 1] + 1) for start, stop in pairwise([0, *breaks, len(found)]) if start < stop
    )
