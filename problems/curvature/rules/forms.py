"""v_g^T R v_g for many parts v_g of one vector, each inside a group of parameters, by one sweep forwards.

By the chain rule the second derivative of <s, outputs> along v is a sum over the nodes y = f(x) of a network: sum_y
<d_y, f''(x) [T, T]>, with d_y the cotangent of y that s comes to and T the tangents of x that v comes to (Griewank and
Walther 2008, Evaluating Derivatives, https://doi.org/10.1137/1.9780898717761, chapter 13). So no sweep backwards is
made for each column. A v inside one tensor moves nothing before the layer of that tensor, and moves it alone there:
every value has the tangents of those columns only that reach it, and a node is taken in those of its arguments that
move. What is left is about half a forward pass of the sample for each group, all of them at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, final

import torch
from torch import Tensor

from hessbench.problems.curvature.rules.accumulators import ValueAccumulator
from hessbench.problems.curvature.rules.program import Program, store_of
from hessbench.problems.curvature.rules.rule import Rule, Site
from hessbench.problems.curvature.rules.table import rule_of
from hessbench.problems.curvature.rules.tape import UnknownNode, record
from hessbench.problems.curvature.rules.values import INPUT, LiveValue, values_of
from hessbench.problems.networks.custom_functions import custom_functions
from hessbench.problems.networks.network import Batch, Network

_ENTRIES: Final = 2**24
"""Entries of the largest tangent of all columns that are carried at once."""

Group = tuple[int, int]


class _Moved(NamedTuple):
    """Tangents (k, *s) of a value in the columns that reach it; it vanishes in all others."""

    columns: list[int]
    tangents: Tensor


@dataclass(frozen=True, eq=False)
class Forms:
    """Forms of the parts of one vector.

    Attributes:
        second: v_g^T R v_g, (G,).
        second_sizes: Sums of the sizes of the products that these are made of, (G,).
        first: <s, J v_g>, (G,).
        first_sizes: |s| |J v_g|, (G,).
    """

    second: Tensor
    second_sizes: Tensor
    first: Tensor
    first_sizes: Tensor


@final
class FormsProgram:
    """The second derivatives of <s, outputs> of one batch along parts of vectors, s the slopes of its loss.

    Compared once with autograd, along a vector that is inside no group: the first derivative, and the second.

    Args:
        network: The network, where and in the dtype in which it shall be multiplied.
        batch: The batch.

    Attributes:
        gradient: The gradient (n,) of <s, outputs>, by autograd.

    Cost: a gradient, a Hessian product by autograd, and one sweep of a column.

    Raises:
        UnknownNode: If an operation between parameters and outputs has no rule, or the comparison fails.
    """

    def __init__(self, network: Network, batch: Batch) -> None:
        tape = record(network.forward, network.parameters, batch.inputs)
        customs = custom_functions(tape.graphed)
        if customs:
            raise UnknownNode(customs[0], "a custom autograd.Function")
        values = values_of(tape)
        self._values = values.ordered
        self._outputs = values.outputs
        self._tensors = [tape.parameters if value.node is None else value.node.output for value in values.ordered]
        self._store = store_of(values.ordered)
        self._rules: dict[tuple[int, frozenset[int]], Rule] = {}
        self._last = {source: value.number for value in values.ordered for source in value.sources}
        is_read_whole = any(INPUT in value.sources and value.base is None for value in values.ordered)
        with torch.no_grad():
            program = Program(tape)
            self._slopes = network.loss.slope(tape.outputs.detach(), batch.targets)
            self._cotangents = program.cotangents(self._slopes)
        largest = max(program.largest, tape.parameters.numel() if is_read_whole else 1)
        self._at_once = max(1, _ENTRIES // largest)
        self.gradient = self._compared(network, batch)

    def __call__(self, v: Tensor, groups: Sequence[Group]) -> Forms:
        """Forms of the parts start..stop of a vector (n,).

        Cost: of each, the tangents of one batch from where it enters on.
        """
        parts = [
            self._swept(v, groups[first : first + self._at_once]) for first in range(0, len(groups), self._at_once)
        ]
        return Forms(*(torch.cat(column) for column in zip(*parts, strict=True)))

    def _swept(self, v: Tensor, groups: Sequence[Group]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        second = torch.zeros(2, len(groups), dtype=torch.float64)
        first = torch.zeros(2, len(groups), dtype=torch.float64)
        moved: dict[int, _Moved] = {}
        # As in the products: the layer of autograd is skipped.
        with torch.no_grad():
            for value in self._values:
                if value.number == INPUT:
                    continue
                found = self._view(value, v, groups, moved) if value.base is not None else None
                if value.base is None:
                    found = self._node(value, v, groups, moved, second)
                if found is not None:
                    moved[value.number] = found
                for source in {*value.sources}:
                    if self._last[source] == value.number and source != self._outputs:
                        moved.pop(source, None)
        if self._outputs is not None and self._outputs in moved:
            columns, tangents = moved[self._outputs]
            rows, s = tangents.flatten(1).double().cpu(), self._slopes.flatten().double().cpu()
            first[0, columns] = rows @ s
            first[1, columns] = rows.norm(dim=1) * s.norm()
        return second[0], second[1], first[0], first[1]

    def _view(self, value: LiveValue, v: Tensor, groups: Sequence[Group], moved: dict[int, _Moved]) -> _Moved | None:
        """A value that is a view of a flat vector."""
        tensor, offset = self._tensors[value.number], value.offset
        shape, strides = tuple(tensor.shape), tensor.stride()
        if value.base != INPUT:
            assert value.base is not None
            if value.base not in moved:
                return None
            columns, flat = moved[value.base]
            flat = flat.contiguous()
            begin = flat.storage_offset() + offset
            return _Moved(columns, flat.as_strided((len(columns), *shape), (flat.shape[1], *strides), begin))
        stop = offset + sum((size - 1) * stride for size, stride in zip(shape, strides, strict=True)) + 1
        columns = [g for g, (begin, end) in enumerate(groups) if begin < stop and end > offset]
        if not columns:
            return None
        parts = [_inside(v, groups[g], offset, stop) for g in columns]
        return _Moved(columns, torch.stack([part.as_strided(shape, strides, part.storage_offset()) for part in parts]))

    def _node(
        self, value: LiveValue, v: Tensor, groups: Sequence[Group], moved: dict[int, _Moved], second: Tensor
    ) -> _Moved | None:
        """A node: the columns in which the same arguments move are taken together, and by a rule for these."""
        reached: dict[int, dict[int, int]] = {}
        for source in {*value.sources}:
            if source == INPUT and INPUT not in moved:
                moved[INPUT] = _whole(v, groups)
            if source in moved:
                reached[source] = {column: place for place, column in enumerate(moved[source].columns)}
        alike: dict[frozenset[int], list[int]] = {}
        for column in sorted({column for columns in reached.values() for column in columns}):
            moving = frozenset(source for source, columns in reached.items() if column in columns)
            alike.setdefault(moving, []).append(column)
        out: list[Tensor] = []
        for moving, columns in alike.items():
            rule = self._rule(value, moving)
            chosen = [
                _taken(moved[source].tangents, [reached[source][column] for column in columns])
                for source in value.sources
                if source in moving
            ]
            width = len(columns) if rule.folds or not rule.width else rule.width
            for start in range(0, len(columns), width):
                part = tuple(tangent[start : start + width] for tangent in chosen)
                out.append(rule.jvp(*part))
            if rule.hvp_term is not None and value.number in self._cotangents:
                width = rule.width or len(columns)
                for start in range(0, len(columns), width):
                    part = tuple(tangent[start : start + width] for tangent in chosen)
                    second[:, columns[start : start + width]] += self._bent(value, rule, part)
        if not out:
            return None
        order = [column for columns in alike.values() for column in columns]
        return _Moved(order, out[0] if len(out) == 1 else torch.cat(out))

    def _bent(self, value: LiveValue, rule: Rule, tangents: tuple[Tensor, ...]) -> Tensor:
        """<d, f''[T, T]> of a node in each column, and the sizes of what it sums: (2, k)."""
        assert rule.hvp_term is not None
        accumulators = tuple(ValueAccumulator() for _ in tangents)
        still = self._tensors[value.number].detach()
        still = torch.zeros(tangents[0].shape[0], *still.shape, dtype=still.dtype, device=still.device)
        rule.hvp_term(self._cotangents[value.number])(still, tangents, accumulators)
        found = torch.zeros(2, tangents[0].shape[0], dtype=torch.float64)
        for tangent, accumulator in zip(tangents, accumulators, strict=True):
            bend = accumulator.take()
            if bend is not None:
                one, other = (part.flatten(1).double().cpu() for part in (tangent, bend.expand_as(tangent)))
                found[0] += (one * other).sum(dim=1)
                found[1] += one.norm(dim=1) * other.norm(dim=1)
        return found

    def _rule(self, value: LiveValue, moving: frozenset[int]) -> Rule:
        """The rule of a node in some of its arguments, the others held fixed."""
        key = (value.number, moving)
        if key not in self._rules:
            assert value.node is not None
            live = {id(self._tensors[source]) for source in moving}
            self._rules[key] = rule_of(Site(value.node, lambda tensor: id(tensor) in live, self._store))
        return self._rules[key]

    def _compared(self, network: Network, batch: Batch) -> Tensor:
        """The gradient by autograd, once both derivatives along one vector are autograd's.

        Raises:
            UnknownNode: If they are not.
        """
        n = network.parameters.numel()
        u = torch.arange(1, n + 1, dtype=torch.float64).mul_(0.7).sin_().to(network.parameters)
        own = network.parameters.detach().clone().requires_grad_()
        with torch.enable_grad():
            total = (network.forward(own, batch.inputs) * self._slopes).sum()
            if not total.requires_grad:
                return torch.zeros_like(u)
            (gradient,) = torch.autograd.grad(total, own, create_graph=True)
            image = torch.zeros_like(u)
            if gradient.requires_grad:
                (image,) = torch.autograd.grad(gradient @ u, own, materialize_grads=True)
        gradient = gradient.detach()
        made = self(u, [(0, n)])
        size = float(u.norm())
        slack = torch.finfo(u.dtype).eps ** 0.5
        for mine, its, scale in (
            (made.first, gradient, made.first_sizes),
            (made.second, image, made.second_sizes),
        ):
            gap = abs(float(mine) - float(u.double() @ its.double()))
            if not gap <= slack * (float(scale) + size * float(its.norm())):
                raise UnknownNode("outputs", "whose derivatives are not those of the operations it is made of")
        return gradient


def _inside(v: Tensor, group: Group, start: int, stop: int) -> Tensor:
    """The entries start..stop of a vector, zero outside of a group."""
    begin, end = group
    if begin <= start and stop <= end:
        return v[start:stop]
    found = torch.zeros_like(v[start:stop])
    low, high = max(begin, start), min(end, stop)
    found[low - start : high - start] = v[low:high]
    return found


def _whole(v: Tensor, groups: Sequence[Group]) -> _Moved:
    """All parameters, in all columns."""
    return _Moved(list(range(len(groups))), torch.stack([_inside(v, group, 0, v.numel()) for group in groups]))


def _taken(tangents: Tensor, places: list[int]) -> Tensor:
    """Some columns; those that follow each other without a copy."""
    first, count = places[0], len(places)
    if places == list(range(first, first + count)):
        return tangents if count == tangents.shape[0] else tangents[first : first + count]
    return tangents[torch.tensor(places, device=tangents.device)]
