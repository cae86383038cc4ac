"""The steps of a sweep: closures over the numbers of the values they read and write."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from torch import Tensor

from hessbench.problems.curvature.rules.accumulators import ValueAccumulator, ViewAccumulator
from hessbench.problems.curvature.rules.rule import Accumulator, HvpTerm, Rule
from hessbench.problems.curvature.rules.values import INPUT, LiveValue

Tangents: TypeAlias = list[Tensor | None]
Step: TypeAlias = Callable[[Tangents], None]


@dataclass(frozen=True)
class Back:
    """What a step backwards needs of a node."""

    number: int
    accumulator: ValueAccumulator
    rule: Rule
    sources: tuple[int, ...]
    accumulators: tuple[Accumulator, ...]


@dataclass(frozen=True)
class View:
    """A value that is a view of a flat vector."""

    number: int
    base: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    offset: int

    @staticmethod
    def of(value: LiveValue, tensor: Tensor) -> View:
        """The view that a value is of its base."""
        return View(value.number, value.base or INPUT, tuple(tensor.shape), tensor.stride(), value.offset)

    def __call__(self, flat: Tensor) -> Tensor:
        """The view (k, *s) of contiguous columns (k, size)."""
        k, size = flat.shape
        return flat.as_strided((k, *self.shape), (size, *self.strides), flat.storage_offset() + self.offset)


class Starter:
    """Empties all accumulators; flat vectors begin with zeros, into which the accumulators of their views sum.

    Args:
        accumulators: Accumulators of all values.
        views: Views among them.
        sizes: Lengths of the flat vectors that have views, and of the parameters, by number.
    """

    def __init__(
        self, accumulators: Sequence[ValueAccumulator | ViewAccumulator], views: Sequence[View], sizes: dict[int, int]
    ) -> None:
        self._own = [accumulator for accumulator in accumulators if isinstance(accumulator, ValueAccumulator)]
        self._flat = [
            (accumulator, number, sizes[number]) for number, accumulator in enumerate(accumulators) if number in sizes
        ]
        self._views = [
            (accumulator, view)
            for view in views
            if isinstance(accumulator := accumulators[view.number], ViewAccumulator)
        ]

    def __call__(self, like: Tensor) -> Tensor:
        """Begin, and return the cotangent (k, n) of the parameters that will grow."""
        for accumulator in self._own:
            accumulator.start()
        flat: dict[int, Tensor] = {}
        for accumulator, number, size in self._flat:
            flat[number] = like.new_zeros(like.shape[0], size)
            accumulator.start(flat[number])
        for accumulator, view in self._views:
            accumulator.start(view(flat[view.base]))
        return flat[INPUT]


def sizes(values: Sequence[LiveValue], parameters: Tensor) -> dict[int, int]:
    """Lengths of the flat vectors that have views, and of the parameters, by number."""
    bases = {value.base for value in values}
    flat = {value.number: value.node.output.numel() for value in values if value.node and value.number in bases}
    return {INPUT: parameters.numel(), **flat}


def forward_steps(values: Sequence[LiveValue], rules: dict[int, Rule], views: dict[int, View]) -> list[Step]:
    """One step for each value but the parameters."""
    bases = {view.base for view in views.values()}
    uses = Counter(source for value in values for source in value.sources)
    steps: list[Step] = []
    for value in values[1:]:
        if value.number in views:
            steps.append(_view_step(views[value.number]))
            continue
        rule, first = rules[value.number], value.sources[0]
        in_place = rule.scale is not None and uses[first] == 1 and first in rules and rules[first].fresh
        jvp = rule.scale if in_place and rule.scale is not None else rule.jvp
        steps.append(_jvp_step(value.number, value.sources, jvp, flat=value.number in bases))
    return steps


def _view_step(view: View) -> Step:
    number, base = view.number, view.base

    def step(tangents: Tangents) -> None:
        flat = tangents[base]
        tangents[number] = None if flat is None else view(flat)

    return step


def _jvp_step(number: int, sources: tuple[int, ...], jvp: Callable[..., Tensor], *, flat: bool) -> Step:
    if flat:

        def flat_step(tangents: Tangents) -> None:
            tangents[number] = jvp(*[tangents[source] for source in sources]).contiguous()

        return flat_step

    def step(tangents: Tangents) -> None:
        tangents[number] = jvp(*[tangents[source] for source in sources])

    return step


def freeing(steps: Sequence[Step], values: Sequence[LiveValue], kept: set[int | None]) -> list[Step]:
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


def vjp_step(back: Back) -> Step:
    """The step that hands the cotangent of a node on; in place where the node scales and nothing else holds it."""
    accumulator, vjp, accumulators, scale = back.accumulator, back.rule.vjp, back.accumulators, back.rule.scale

    if scale is not None:
        (scaled,) = accumulators

        def scaling_step(tangents: Tangents) -> None:
            del tangents
            owned = accumulator.owned
            cotangent = accumulator.take()
            if cotangent is not None and owned:
                scaled.add(scale(cotangent))
            elif cotangent is not None:
                vjp(cotangent, scaled)

        return scaling_step

    def step(tangents: Tangents) -> None:
        del tangents
        cotangent = accumulator.take()
        if cotangent is not None:
            vjp(cotangent, *accumulators)

    return step


def hvp_step(back: Back, term: HvpTerm) -> Step:
    """The step that hands on the derivative of the cotangent of a node that is not linear."""
    number, accumulator, sources, accumulators = back.number, back.accumulator, back.sources, back.accumulators

    def step(tangents: Tangents) -> None:
        tangents[number] = None  # all that use it come later, and are done
        change = accumulator.take()
        if change is not None:
            term(change, tuple([tangents[source] for source in sources]), accumulators)  # pyright: ignore[reportArgumentType]

    return step
