"""A recorded network as flat lists of steps: tangents forwards, cotangents backwards, and their derivative."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final, TypeAlias, final

import torch
from torch import Tensor

from hessbench.problems.curvature.rules.accumulators import ValueAccumulator, ViewAccumulator
from hessbench.problems.curvature.rules.rule import Site, Store
from hessbench.problems.curvature.rules.steps import (
    Back,
    Starter,
    Step,
    Tangents,
    View,
    forward_steps,
    freeing,
    hvp_step,
    sizes,
    vjp_step,
)
from hessbench.problems.curvature.rules.table import rule_of
from hessbench.problems.curvature.rules.tape import Tape
from hessbench.problems.curvature.rules.values import INPUT, LiveValue, values_of

ThroughLoss: TypeAlias = Callable[[Tensor], Tensor]

WIDTHS: Final = (4, 16)
"""Fewest and most columns at a time where the rules take any number."""
CACHED: Final = 2**20
"""Entries of the largest tangent up to which there are more than the fewest: wider ones fall out of cache."""


@final
class Program:
    """The derivative of a recorded network, forwards and backwards.

    Args:
        tape: What ran.

    Attributes:
        width: Columns that may come at a time.
        largest: Entries of the largest value that a rule makes.

    Raises:
        UnknownNode: If an operation has no rule.
    """

    def __init__(self, tape: Tape) -> None:
        values = values_of(tape)
        ordered = values.ordered
        store = store_of(ordered)
        rules = {
            value.number: rule_of(Site(value.node, values.live, store))
            for value in ordered
            if value.node is not None and value.base is None
        }
        self.largest = largest = max(
            (value.node.output.numel() for value in ordered if value.number in rules and value.node), default=1
        )
        self.width = min((rule.width for rule in rules.values() if rule.width), default=_width(largest))
        self._outputs = values.outputs
        self._count = len(ordered)
        self._accumulators: Final = tuple(
            ValueAccumulator() if value.base is None else ViewAccumulator() for value in ordered
        )
        views = [View.of(value, value.node.output) for value in ordered if value.node and value.base is not None]
        self._begins: Final = Starter(self._accumulators, views, sizes(ordered, tape.parameters))
        multiplied = {
            source
            for value in ordered
            if value.number in rules and rules[value.number].hvp_term
            for source in value.sources
        }
        steps = forward_steps(ordered, rules, {view.number: view for view in views})
        self._jvp: Final = freeing(steps, ordered, {self._outputs})
        self._jvp_kept: Final = freeing(steps, ordered, {self._outputs, *multiplied})
        self._back: Final = [
            Back(
                value.number,
                accumulator,
                rules[value.number],
                value.sources,
                tuple(self._accumulators[source] for source in value.sources),
            )
            for value in reversed(ordered)
            if value.number in rules and isinstance(accumulator := self._accumulators[value.number], ValueAccumulator)
        ]
        self._vjp: Final = [vjp_step(back) for back in self._back]

    def jvp(self, V: Tensor) -> Tensor | None:
        """Tangents (k, m, C) of the outputs from those (k, n) of the parameters; None where they do not depend."""
        return None if self._outputs is None else self._forwards(V, self._jvp)[self._outputs]

    def vjp(self, cotangent: Tensor) -> Tensor:
        """Cotangents (k, n) of the parameters from those (k, m, C) of the outputs."""
        return self._backwards(cotangent, self._vjp, [])

    def gradient(self, cotangent: Tensor) -> LinearisedGradient:
        """The cotangent (n,) of the parameters from that (m, C) of the outputs, with what its derivative needs.

        Cost: `vjp` of one column; the cotangents of all values that are multiplied with others are kept.
        """
        total = self._begin(cotangent[None])
        steps: list[Step] = []
        for back, vjp in zip(self._back, self._vjp, strict=True):
            found = back.accumulator.take()
            if found is None:
                continue
            back.rule.vjp(found, *back.accumulators)
            steps.append(hvp_step(back, back.rule.hvp_term(found[0])) if back.rule.hvp_term else vjp)
        return LinearisedGradient(total[0], partial(self._gradient_change, steps))

    def cotangents(self, cotangent: Tensor) -> dict[int, Tensor]:
        """Cotangents (*s) of the values whose node is not linear, by their numbers, from that (m, C) of the outputs."""
        self._begin(cotangent[None])
        kept: dict[int, Tensor] = {}
        for back in self._back:
            found = back.accumulator.take()
            if found is None:
                continue
            back.rule.vjp(found, *back.accumulators)
            if back.rule.hvp_term:
                kept[back.number] = found[0]
        return kept

    def _gradient_change(self, steps: Sequence[Step], V: Tensor, through_loss: ThroughLoss) -> Tensor:
        """See `LinearisedGradient.jvp`; the steps backwards multiply with the cotangents of that gradient."""
        if self._outputs is None:
            return torch.zeros_like(V)
        tangents = self._forwards(V, self._jvp_kept)
        outputs = tangents[self._outputs]
        return torch.zeros_like(V) if outputs is None else self._backwards(through_loss(outputs), steps, tangents)

    def _forwards(self, V: Tensor, steps: Sequence[Step]) -> Tangents:
        tangents: Tangents = [None] * self._count
        tangents[INPUT] = V
        for step in steps:
            step(tangents)
        return tangents

    def _backwards(self, cotangent: Tensor, steps: Sequence[Step], tangents: Tangents) -> Tensor:
        total = self._begin(cotangent)
        for step in steps:
            step(tangents)
        return total

    def _begin(self, cotangent: Tensor) -> Tensor:
        """Empty all accumulators, put a cotangent into that of the outputs; returned is that of the parameters."""
        total = self._begins(cotangent)
        if self._outputs is not None:
            self._accumulators[self._outputs].add(cotangent, owned=False)
        return total


@final
@dataclass(frozen=True, eq=False)
class LinearisedGradient:
    """A gradient of a program, with all that its derivative is made of.

    Attributes:
        value: The gradient (n,).
        jvp: Its derivative (k, n) along tangents (k, n) of the parameters, from these and the map that takes tangents
            (k, m, C) of the outputs to the derivative of their cotangent.
    """

    value: Tensor
    jvp: Callable[[Tensor, ThroughLoss], Tensor]


def _width(largest: int) -> int:
    """Columns at a time for tangents of that many entries."""
    least, most = WIDTHS
    return max(least, min(most, CACHED // max(largest, 1)))


def store_of(values: Sequence[LiveValue]) -> Store:
    """What keeps the values of a network for its rules, in the layout that is fastest for it."""
    return Store(_channels_last if any(map(_convolves, values)) else _as_it_is)


def _convolves(value: LiveValue) -> bool:
    return value.node is not None and value.node.op is torch.ops.aten.convolution.default


def _as_it_is(tensor: Tensor) -> Tensor:
    return tensor


def _channels_last(tensor: Tensor) -> Tensor:
    return tensor.contiguous(memory_format=torch.channels_last) if tensor.ndim == 4 else tensor
