"""A recorded network as flat lists of steps: tangents forwards, adjoints backwards, and the derivative of the latter."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias, final

import torch
from torch import Tensor

from hessbench.problems.rules.registry import rule_of
from hessbench.problems.rules.rule import Bent, Rule, Sink, Site, Store
from hessbench.problems.rules.sinks import ValueSink, ViewSink
from hessbench.problems.rules.tape import Tape
from hessbench.problems.rules.values import ROOT, Value, values_of

WIDTH: Final = 16
"""Columns at a time where the rules take any number."""

Tangents: TypeAlias = list[Tensor | None]
Step: TypeAlias = Callable[[Tangents], None]


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
        self.width = min((rule.width for rule in rules.values() if rule.width), default=WIDTH)
        self._outputs = values.outputs
        self._count = len(ordered)
        self._sinks: Final = tuple(ValueSink() if value.root is None else ViewSink() for value in ordered)
        views = [_View.of(value, value.node.output) for value in ordered if value.node and value.root is not None]
        self._begins: Final = _Starter(self._sinks, views, _sizes(ordered, tape.parameters))
        bent = {
            source
            for value in ordered
            if value.number in rules and rules[value.number].bend
            for source in value.sources
        }
        steps = _forward_steps(ordered, rules, {view.number: view for view in views})
        self._push: Final = _freeing(steps, ordered, {self._outputs})
        self._push_all: Final = _freeing(steps, ordered, {self._outputs, *bent})
        self._back: Final = [
            _Back(
                value.number,
                sink,
                rules[value.number],
                value.sources,
                tuple(self._sinks[source] for source in value.sources),
            )
            for value in reversed(ordered)
            if value.number in rules and isinstance(sink := self._sinks[value.number], ValueSink)
        ]
        self._pulls: Final = [_pull_step(back) for back in self._back]
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

    def gradient(self, slope: Tensor) -> Tensor:
        """Adjoint (n,) of the parameters from that (m, C) of the outputs, whose values `curve` will use."""
        total = self._begin(slope[None])
        self._bent = []
        for back, pull in zip(self._back, self._pulls, strict=True):
            adjoint = back.sink.take()
            if adjoint is None:
                continue
            back.rule.pull(adjoint, *back.sinks)
            self._bent.append(_bent_step(back, back.rule.bend(adjoint[0])) if back.rule.bend else pull)
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


@dataclass(frozen=True)
class _Back:
    """What a step backwards needs of a node."""

    number: int
    sink: ValueSink
    rule: Rule
    sources: tuple[int, ...]
    sinks: tuple[Sink, ...]


@dataclass(frozen=True)
class _View:
    """A value that is a view of a flat vector."""

    number: int
    root: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    offset: int

    @staticmethod
    def of(value: Value, tensor: Tensor) -> _View:
        return _View(value.number, value.root or ROOT, tuple(tensor.shape), tensor.stride(), value.offset)

    def __call__(self, flat: Tensor) -> Tensor:
        """The view (k, *s) of contiguous columns (k, size)."""
        k, size = flat.shape
        return flat.as_strided((k, *self.shape), (size, *self.strides), flat.storage_offset() + self.offset)


class _Starter:
    """Empties all sinks; flat vectors begin with zeros, into which the sinks of their views sum.

    Args:
        sinks: Sinks of all values.
        views: Views among them.
        sizes: Lengths of the flat vectors that have views, and of the parameters, by number.
    """

    def __init__(self, sinks: Sequence[ValueSink | ViewSink], views: Sequence[_View], sizes: dict[int, int]) -> None:
        self._own = [sink for sink in sinks if isinstance(sink, ValueSink)]
        self._flat = [(sink, number, sizes[number]) for number, sink in enumerate(sinks) if number in sizes]
        self._views = [(sink, view) for view in views if isinstance(sink := sinks[view.number], ViewSink)]

    def __call__(self, like: Tensor) -> Tensor:
        """Begin, and return the adjoint (k, n) of the parameters that will grow."""
        for sink in self._own:
            sink.start()
        flat: dict[int, Tensor] = {}
        for sink, number, size in self._flat:
            flat[number] = like.new_zeros(like.shape[0], size)
            sink.start(flat[number])
        for sink, view in self._views:
            sink.start(view(flat[view.root]))
        return flat[ROOT]


def _sizes(values: Sequence[Value], parameters: Tensor) -> dict[int, int]:
    """Lengths of the flat vectors that have views, and of the parameters, by number."""
    roots = {value.root for value in values}
    flat = {value.number: value.node.output.numel() for value in values if value.node and value.number in roots}
    return {ROOT: parameters.numel(), **flat}


def _forward_steps(values: Sequence[Value], rules: dict[int, Rule], views: dict[int, _View]) -> list[Step]:
    """One step for each value but the parameters."""
    roots = {view.root for view in views.values()}
    return [
        _view_step(views[value.number])
        if value.number in views
        else _push_step(value.number, value.sources, rules[value.number].push, flat=value.number in roots)
        for value in values[1:]
    ]


def _view_step(view: _View) -> Step:
    number, root = view.number, view.root

    def step(tangents: Tangents) -> None:
        flat = tangents[root]
        tangents[number] = None if flat is None else view(flat)

    return step


def _push_step(number: int, sources: tuple[int, ...], push: Callable[..., Tensor], *, flat: bool) -> Step:
    if flat:

        def flat_step(tangents: Tangents) -> None:
            tangents[number] = push(*[tangents[source] for source in sources]).contiguous()

        return flat_step

    def step(tangents: Tangents) -> None:
        tangents[number] = push(*[tangents[source] for source in sources])

    return step


def _freeing(steps: Sequence[Step], values: Sequence[Value], kept: set[int | None]) -> list[Step]:
    """The steps, with one after each last use of a tangent that lets go of it, unless it is kept."""
    last = {source: value.number for value in values for source in value.sources}
    freed: dict[int, list[int]] = {}
    for source, number in last.items():
        if source not in kept:
            freed.setdefault(number, []).append(source)
    out: list[Step] = []
    for number, step in enumerate(steps, start=1):
        out.append(step)
        if number in freed:
            out.append(_free_step(tuple(freed[number])))
    return out


def _free_step(numbers: tuple[int, ...]) -> Step:
    def step(tangents: Tangents) -> None:
        for number in numbers:
            tangents[number] = None

    return step


def _pull_step(back: _Back) -> Step:
    sink, pull, sinks = back.sink, back.rule.pull, back.sinks

    def step(tangents: Tangents) -> None:
        del tangents
        adjoint = sink.take()
        if adjoint is not None:
            pull(adjoint, *sinks)

    return step


def _bent_step(back: _Back, bent: Bent) -> Step:
    number, sink, sources, sinks = back.number, back.sink, back.sources, back.sinks

    def step(tangents: Tangents) -> None:
        tangents[number] = None  # all that use it come later, and are done
        change = sink.take()
        if change is not None:
            bent(change, tuple([tangents[source] for source in sources]), sinks)  # pyright: ignore[reportArgumentType]

    return step


def _convolves(value: Value) -> bool:
    return value.node is not None and value.node.op is torch.ops.aten.convolution.default


def _as_it_is(tensor: Tensor) -> Tensor:
    return tensor


def _channels_last(tensor: Tensor) -> Tensor:
    return tensor.contiguous(memory_format=torch.channels_last) if tensor.ndim == 4 else tensor
