"""The steps of a sweep: closures over the numbers of the values they read and write."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from torch import Tensor

from hessbench.problems.curvature.rules.rule import Bent, Rule, Sink
from hessbench.problems.curvature.rules.sinks import ValueSink, ViewSink
from hessbench.problems.curvature.rules.values import ROOT, Value

Tangents: TypeAlias = list[Tensor | None]
Step: TypeAlias = Callable[[Tangents], None]


@dataclass(frozen=True)
class Back:
    """What a step backwards needs of a node."""

    number: int
    sink: ValueSink
    rule: Rule
    sources: tuple[int, ...]
    sinks: tuple[Sink, ...]


@dataclass(frozen=True)
class View:
    """A value that is a view of a flat vector."""

    number: int
    root: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    offset: int

    @staticmethod
    def of(value: Value, tensor: Tensor) -> View:
        """The view that a value is of its root."""
        return View(value.number, value.root or ROOT, tuple(tensor.shape), tensor.stride(), value.offset)

    def __call__(self, flat: Tensor) -> Tensor:
        """The view (k, *s) of contiguous columns (k, size)."""
        k, size = flat.shape
        return flat.as_strided((k, *self.shape), (size, *self.strides), flat.storage_offset() + self.offset)


class Starter:
    """Empties all sinks; flat vectors begin with zeros, into which the sinks of their views sum.

    Args:
        sinks: Sinks of all values.
        views: Views among them.
        sizes: Lengths of the flat vectors that have views, and of the parameters, by number.
    """

    def __init__(self, sinks: Sequence[ValueSink | ViewSink], views: Sequence[View], sizes: dict[int, int]) -> None:
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


def sizes(values: Sequence[Value], parameters: Tensor) -> dict[int, int]:
    """Lengths of the flat vectors that have views, and of the parameters, by number."""
    roots = {value.root for value in values}
    flat = {value.number: value.node.output.numel() for value in values if value.node and value.number in roots}
    return {ROOT: parameters.numel(), **flat}


def forward_steps(values: Sequence[Value], rules: dict[int, Rule], views: dict[int, View]) -> list[Step]:
    """One step for each value but the parameters."""
    roots = {view.root for view in views.values()}
    uses = Counter(source for value in values for source in value.sources)
    steps: list[Step] = []
    for value in values[1:]:
        if value.number in views:
            steps.append(_view_step(views[value.number]))
            continue
        rule, first = rules[value.number], value.sources[0]
        in_place = rule.scale is not None and uses[first] == 1 and first in rules and rules[first].fresh
        push = rule.scale if in_place and rule.scale is not None else rule.push
        steps.append(_push_step(value.number, value.sources, push, flat=value.number in roots))
    return steps


def _view_step(view: View) -> Step:
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


def freeing(steps: Sequence[Step], values: Sequence[Value], kept: set[int | None]) -> list[Step]:
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


def pull_step(back: Back) -> Step:
    """The step that hands the adjoint of a node on; in place where the node scales and nothing else holds it."""
    sink, pull, sinks, scale = back.sink, back.rule.pull, back.sinks, back.rule.scale

    if scale is not None:
        (scaled,) = sinks

        def scaling_step(tangents: Tangents) -> None:
            del tangents
            owned = sink.owned
            adjoint = sink.take()
            if adjoint is not None and owned:
                scaled.add(scale(adjoint))
            elif adjoint is not None:
                pull(adjoint, scaled)

        return scaling_step

    def step(tangents: Tangents) -> None:
        del tangents
        adjoint = sink.take()
        if adjoint is not None:
            pull(adjoint, *sinks)

    return step


def bent_step(back: Back, bent: Bent) -> Step:
    """The step that hands on the derivative of the adjoint of a node that is not linear."""
    number, sink, sources, sinks = back.number, back.sink, back.sources, back.sinks

    def step(tangents: Tangents) -> None:
        tangents[number] = None  # all that use it come later, and are done
        change = sink.take()
        if change is not None:
            bent(change, tuple([tangents[source] for source in sources]), sinks)  # pyright: ignore[reportArgumentType]

    return step
