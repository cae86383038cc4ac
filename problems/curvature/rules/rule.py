"""What a rule is: how one operation carries tangents forwards, cotangents backwards, and changes of cotangents.

A network is a list of nodes y = f(x_1, ..., x_r). With the tangent T of every value and the cotangent d (the derivative
of the loss in the value), a node needs three maps, each linear in what it is given:

- jvp: the tangent of y from those of x_1, ..., x_r;
- vjp: what a cotangent of y adds to the cotangents of x_1, ..., x_r;
- hvp term: the derivative of the vjp along the tangents, which takes the derivative of the cotangent of y and adds
  what the change of f' contributes, f''(x) [T] d. A linear node has none: its vjp serves.

Tangents and cotangents of a value of shape s are (k, *s), k columns at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

import torch
from torch import Tensor

from hessbench.problems.curvature.rules.tape import Node, UnknownNode


class Accumulator(Protocol):
    """Where what nodes contribute to the cotangent of one value is summed."""

    def add(self, part: Tensor, *, owned: bool = True) -> None:
        """Add a part of shape (k, *s); an owned one is used nowhere else and may be written to."""
        ...

    def product(self, A: Tensor, B: Tensor) -> None:
        """Add A @ B for matrices (k, p, q) and (k, q, r)."""
        ...

    def add_rows(self, part: Tensor, rows: Tensor, size: int) -> None:
        """Add the transpose of a part (k, r, q) to some of the `size` rows of matrices (k, size, r)."""
        ...


Layout: TypeAlias = Callable[[Tensor], Tensor]
Jvp: TypeAlias = Callable[..., Tensor]
Vjp: TypeAlias = Callable[..., None]
HvpTerm: TypeAlias = Callable[[Tensor, tuple[Tensor, ...], tuple[Accumulator, ...]], None]


@dataclass(frozen=True)
class Rule:
    """The maps of one node; tangents and accumulators are those of its live inputs, in their order.

    Attributes:
        jvp: Tangent of the output from the tangents.
        vjp: Takes a cotangent of the output, then the accumulators.
        hvp_term: From the cotangent (*s) of the output that is kept, the map that takes the derivative of the
            cotangent, the tangents and the accumulators; None where the node is linear.
        width: Columns that it can take at a time; 0 for any.
        folds: Whether `jvp` takes any number of them all the same.
        fresh: Whether the tangent that `jvp` makes has memory of its own, which may be written to.
        scale: For a node that multiplies each entry by a fixed factor, the same in place, which serves as jvp and
            as vjp where nothing else needs what it is given.
    """

    jvp: Jvp
    vjp: Vjp
    hvp_term: Callable[[Tensor], HvpTerm] | None = None
    width: int = 0
    fresh: bool = False
    scale: Callable[[Tensor], Tensor] | None = None
    folds: bool = False


class Store:
    """Values of a network as rules keep them: detached, and images in the layout that is fastest.

    Args:
        lay: Brings a tensor into that layout.
    """

    def __init__(self, lay: Layout) -> None:
        self.lay = lay
        self._plain: dict[int, tuple[Tensor, Tensor]] = {}
        self._laid: dict[int, tuple[Tensor, Tensor]] = {}

    def plain(self, value: Tensor) -> Tensor:
        """A value without its history; the same tensor each time."""
        # The value is held beside it, so that no other can take its id.
        return self._plain.setdefault(id(value), (value, value.detach()))[1]

    def keep(self, value: Tensor) -> Tensor:
        """A value from `plain` in the fastest layout, of which all rules share one copy."""
        if id(value) not in self._laid:
            self._laid[id(value)] = (value, self.lay(value))
        return self._laid[id(value)][1]


class Site:
    """A node whose rule is wanted: its arguments, and which of them depend on the parameters.

    Tensors come detached. Maps of a rule must not refer to its site, which holds every value there was.

    Args:
        node: The node.
        live: Whether a tensor depends on the parameters.
        store: Values that rules share.
    """

    def __init__(self, node: Node, live: Callable[[Tensor], bool], store: Store) -> None:
        self.node = node
        self._live = live
        self._store = store
        self.output = store.plain(node.output)
        self.lay = store.lay
        self.keep = store.keep

    def __getitem__(self, place: int) -> Any:
        """An argument by its place; the default of the operation where it was not given."""
        argument = self._argument(place)
        if isinstance(argument, list | tuple):
            return [self._store.plain(one) if isinstance(one, Tensor) else one for one in argument]
        return self._store.plain(argument) if isinstance(argument, Tensor) else argument

    def live(self, place: int) -> bool:
        """Whether an argument is a tensor that depends on the parameters."""
        argument = self._argument(place)
        return isinstance(argument, Tensor) and self._live(argument)

    def live_parts(self, place: int) -> list[bool]:
        """Which tensors of a list depend on the parameters."""
        return [self._live(part) for part in self._argument(place)]

    def _argument(self, place: int) -> Any:
        if place < len(self.node.args):
            return self.node.args[place]
        argument = self.node.op._schema.arguments[place]  # pyright: ignore[reportPrivateUsage]
        return self.node.kwargs.get(argument.name, argument.default_value)

    def unknown(self, why: str) -> UnknownNode:
        """The error for a use of an operation that its rule does not cover."""
        return UnknownNode(self.node.name, f"{self.node.op} {why}")


Builder: TypeAlias = Callable[[Site], Rule]


def linear(jvp: Callable[[Tensor], Tensor], vjp: Callable[[Tensor], Tensor], *, fresh: bool) -> Rule:
    """The rule of a linear map of one value; fresh where its transpose returns memory of its own."""

    def transposed(cotangent: Tensor, accumulator: Accumulator) -> None:
        accumulator.add(vjp(cotangent), owned=fresh)

    return Rule(jvp, transposed)


def added(terms: Sequence[Tensor]) -> Tensor:
    """Sum of at least one term."""
    total = terms[0]
    for term in terms[1:]:
        total = total + term
    return total


def columns(value: Tensor, width: int) -> Tensor:
    """A value (*s) as (k, *s), the same in every column, without a copy."""
    return value.expand(width, *value.shape)


def lifted(tangent: Tensor, ndim: int) -> Tensor:
    """A tangent (k, *s) with ones after k so that it broadcasts as s does against `ndim` dimensions."""
    missing = ndim + 1 - tangent.ndim
    return tangent if missing == 0 else tangent.reshape(tangent.shape[0], *(1,) * missing, *tangent.shape[1:])


def reducer(shape: torch.Size, output: torch.Size) -> Callable[[Tensor], Tensor]:
    """The map that sums a cotangent (k, *output) over what was broadcast from `shape`; none where both are equal."""
    if shape == output:
        return lambda cotangent: cotangent
    missing = len(output) - len(shape)
    summed = [
        place + 1 for place, size in enumerate(output) if place < missing or (shape[place - missing] == 1 and size != 1)
    ]

    def reduce(cotangent: Tensor) -> Tensor:
        return cotangent.sum(dim=summed, keepdim=True).reshape(cotangent.shape[0], *shape)

    return reduce
