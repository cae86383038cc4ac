"""A recorded network as flat lists of steps: tangents forwards, adjoints backwards, and their derivative."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, final

import torch
from torch import Tensor

from hessbench.problems.curvature.rules.rule import Site, Store
from hessbench.problems.curvature.rules.sinks import ValueSink, ViewSink
from hessbench.problems.curvature.rules.steps import (
    Back,
    Starter,
    Step,
    Tangents,
    View,
    bent_step,
    forward_steps,
    freeing,
    pull_step,
    sizes,
)
from hessbench.problems.curvature.rules.table import rule_of
from hessbench.problems.curvature.rules.tape import Tape
from hessbench.problems.curvature.rules.values import ROOT, Value, values_of

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

    Raises:
        UnknownNode: If an operation has no rule.
    """

    def __init__(self, tape: Tape) -> None:
        values = values_of(tape)
        ordered = values.ordered
        store = Store(_channels_last if any(map(_convolves, ordered)) else _as_it_is)
        rules = {
            value.number: rule_of(Site(value.node, values.live, store))
            for value in ordered
            if value.node is not None and value.root is None
        }
        largest = max(
            (value.node.output.numel() for value in ordered if value.number in rules and value.node), default=1
        )
        self.width = min((rule.width for rule in rules.values() if rule.width), default=_width(largest))
        self._outputs = values.outputs
        self._count = len(ordered)
        self._sinks: Final = tuple(ValueSink() if value.root is None else ViewSink() for value in ordered)
        views = [View.of(value, value.node.output) for value in ordered if value.node and value.root is not None]
        self._begins: Final = Starter(self._sinks, views, sizes(ordered, tape.parameters))
        bent = {
            source
            for value in ordered
            if value.number in rules and rules[value.number].bend
            for source in value.sources
        }
        steps = forward_steps(ordered, rules, {view.number: view for view in views})
        self._push: Final = freeing(steps, ordered, {self._outputs})
        self._push_all: Final = freeing(steps, ordered, {self._outputs, *bent})
        self._back: Final = [
            Back(
                value.number,
                sink,
                rules[value.number],
                value.sources,
                tuple(self._sinks[source] for source in value.sources),
            )
            for value in reversed(ordered)
            if value.number in rules and isinstance(sink := self._sinks[value.number], ValueSink)
        ]
        self._pulls: Final = [pull_step(back) for back in self._back]
        self._bent: list[Step] = []

    def push(self, V: Tensor) -> Tensor | None:
        """Tangents (k, m, C) of the outputs from those (k, n) of the parameters; None where they do not depend."""
        return None if self._outputs is None else self._forwards(V, self._push)[self._outputs]

    def pull(self, adjoint: Tensor) -> Tensor:
        """Adjoints (k, n) of the parameters from those (k, m, C) of the outputs."""
        total = self._begin(adjoint)
        tangents: Tangents = []
        for step in self._pulls:
            step(tangents)
        return total

    def gradient(self, slope: Tensor, *, keep: bool) -> Tensor:
        """Adjoint (n,) of the parameters from that (m, C) of the outputs; kept are those that `curve` needs."""
        total = self._begin(slope[None])
        self._bent = []
        for back, pull in zip(self._back, self._pulls, strict=True):
            adjoint = back.sink.take()
            if adjoint is None:
                continue
            back.rule.pull(adjoint, *back.sinks)
            if keep:
                self._bent.append(bent_step(back, back.rule.bend(adjoint[0])) if back.rule.bend else pull)
        return total[0]

    def curve(self, V: Tensor, bend: Callable[[Tensor], Tensor]) -> Tensor:
        """The derivative (k, n) of the gradient along tangents (k, n), after `gradient`.

        Args:
            V: The tangents.
            bend: From tangents (k, m, C) of the outputs to the derivative of the slope.
        """
        if self._outputs is None:
            return torch.zeros_like(V)
        tangents = self._forwards(V, self._push_all)
        outputs = tangents[self._outputs]
        if outputs is None:
            return torch.zeros_like(V)
        total = self._begin(bend(outputs))
        for step in self._bent:
            step(tangents)
        return total

    def _forwards(self, V: Tensor, steps: Sequence[Step]) -> Tangents:
        tangents: Tangents = [None] * self._count
        tangents[ROOT] = V
        for step in steps:
            step(tangents)
        return tangents

    def _begin(self, adjoint: Tensor) -> Tensor:
        """Empty all sinks, put an adjoint into that of the outputs, and return where that of the parameters grows."""
        total = self._begins(adjoint)
        if self._outputs is not None:
            self._sinks[self._outputs].add(adjoint, owned=False)
        return total


def _width(largest: int) -> int:
    """Columns at a time for tangents of that many entries."""
    least, most = WIDTHS
    return max(least, min(most, CACHED // max(largest, 1)))


def _convolves(value: Value) -> bool:
    return value.node is not None and value.node.op is torch.ops.aten.convolution.default


def _as_it_is(tensor: Tensor) -> Tensor:
    return tensor


def _channels_last(tensor: Tensor) -> Tensor:
    return tensor.contiguous(memory_format=torch.channels_last) if tensor.ndim == 4 else tensor
