"""Operators restricted to a layer, a list of parameters or a set of indices: blocks on their diagonal."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

import numpy as np
import torch
from torch import Tensor

from hessbench.problems.networks.inputs import Inputs
from hessbench.problems.networks.network import Network

ALL: Final = "all"
Shapes: TypeAlias = Mapping[str, tuple[int, ...]]
Index: TypeAlias = Tensor | Sequence[range]

_SLICE: Final = re.compile(r"([0-9]+):([0-9]+)(?::([0-9]+))?")
_FORMS: Final = "accepted: all, a parameter, a module, start:stop or start:stop:step, or several joined by '+'"


@dataclass(frozen=True)
class Piece:
    """A part of the flat vector: a whole parameter, or a slice under the text that asked for it."""

    name: str
    shape: tuple[int, ...]
    where: range


def block_index(block: str, shapes: Shapes) -> tuple[range, ...]:
    """Where the parameters of a block are in the flat vector of all parameters, in its order.

    A block is `all`; the name of a parameter, as in `fc.weight`; the name of a module, as in `layer1.0`, for all
    parameters below it; a slice `start:stop` or `start:stop:step` of the flat vector; or several of these joined by
    `+`. Whatever the order they are written in, they are taken in the order of the flat vector; what is named twice is
    refused, since an operator has every parameter once.

    Args:
        block: The text.
        shapes: Names and shapes of all parameters, in the order of the flat vector.

    Returns:
        Ranges that do not overlap, neighbours joined.

    Raises:
        ValueError: If a name is unknown, a slice is empty or leaves the vector, or something is named twice.
    """
    joined: list[range] = []
    for piece in block_pieces(block, shapes):
        where = piece.where
        if joined and joined[-1].step == where.step == 1 and joined[-1].stop == where.start:
            joined[-1] = range(joined[-1].start, where.stop)
        else:
            joined.append(where)
    return tuple(joined)


def block_shapes(block: str, shapes: Shapes) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the pieces that a vector of the block is made of; a slice is a piece named by its text.

    Raises:
        ValueError: As `block_index`.
    """
    return {piece.name: piece.shape for piece in block_pieces(block, shapes)}


def block_pieces(block: str, shapes: Shapes) -> tuple[Piece, ...]:
    """The pieces of a block, in the order of the flat vector; see `block_index`.

    Raises:
        ValueError: As `block_index`.
    """
    whole = _parameters(shapes)
    size = sum(len(piece.where) for piece in whole)
    found = [piece for part in block.split("+") for piece in _named(part.strip(), block, whole, size)]
    if len(found) > 1:
        taken = np.zeros(size, dtype=bool)
        for piece in found:
            where = slice(piece.where.start, piece.where.stop, piece.where.step)
            if taken[where].any():
                raise ValueError(f"block {block!r} names parameters of {piece.name!r} twice: name each once")
            taken[where] = True
    return tuple(sorted(found, key=lambda piece: piece.where.start))


def restricted(network: Network, index: Index) -> Network:
    """The network as a function of some of its parameters, the others fixed at their values.

    Its Hessian, GGN and second moment are those of the whole network in the rows and columns of the index; its NTK
    sums over these parameters alone.

    Cost: the parameters are put together once for each call of `forward`: from slices for ranges of step 1, by one
    indexed copy otherwise. The backward passes still go through all layers.

    Args:
        network: The whole network.
        index: Places in its flat vector, in the order the restricted vector shall have: a tensor of integers, or
            ranges.

    Raises:
        ValueError: If the index is empty, leaves the vector, or holds a place twice.
    """
    size = network.parameters.numel()
    whole = network.parameters.detach()
    written = None if network.as_written is None else replace(network, forward=network.as_written)
    if not isinstance(index, Tensor) and all(where.step == 1 for where in index):
        ranges = _checked_ranges(index, size)
        if ranges == (range(size),):
            return network
        chosen = torch.cat([whole[where.start : where.stop] for where in ranges])
        return replace(
            network,
            forward=_from_slices(network, whole, ranges),
            parameters=chosen,
            as_written=None if written is None else _from_slices(written, whole, ranges),
            own=None if network.own is None else network.own.touched_by(_places(ranges)),
        )
    places = index if isinstance(index, Tensor) else _places(index)
    _check_places(places, size)
    places = places.detach().to(torch.int64).clone()
    chosen = whole[places.to(whole.device)]
    return replace(
        network,
        forward=_from_places(network, whole, places),
        parameters=chosen,
        as_written=None if written is None else _from_places(written, whole, places),
        own=None if network.own is None else network.own.touched_by(places),
    )


def _places(ranges: Sequence[range]) -> Tensor:
    return torch.cat([torch.arange(where.start, where.stop, where.step) for where in ranges])


def _from_slices(network: Network, whole: Tensor, ranges: tuple[range, ...]) -> Callable[[Tensor, Tensor], Tensor]:
    """The forward function whose first argument fills the ranges, in their order, of the whole vector."""
    sizes = [len(where) for where in ranges]
    order = sorted(range(len(ranges)), key=lambda position: ranges[position].start)

    def forward(parameters: Tensor, inputs: Inputs) -> Tensor:
        pieces = parameters.split(sizes)
        fixed = whole.to(parameters)
        parts: list[Tensor] = []
        reached = 0
        for position in order:
            parts += [fixed[reached : ranges[position].start], pieces[position]]
            reached = ranges[position].stop
        return network.forward(torch.cat([*parts, fixed[reached:]]), inputs)

    return forward


def _from_places(network: Network, whole: Tensor, places: Tensor) -> Callable[[Tensor, Tensor], Tensor]:
    """The forward function whose first argument fills single places of the whole vector."""

    def forward(parameters: Tensor, inputs: Inputs) -> Tensor:
        filled = whole.to(parameters).index_copy(0, places.to(parameters.device), parameters)
        return network.forward(filled, inputs)

    return forward


def _parameters(shapes: Shapes) -> list[Piece]:
    """Every parameter with its place in the flat vector."""
    pieces: list[Piece] = []
    start = 0
    for name, shape in shapes.items():
        stop = start + math.prod(shape)
        pieces.append(Piece(name, shape, range(start, stop)))
        start = stop
    return pieces


def _named(part: str, block: str, whole: Sequence[Piece], size: int) -> list[Piece]:
    """What one part of a block stands for.

    Raises:
        ValueError: If it has no name, its slice is empty or leaves the vector, or nothing has its name.
    """
    if not part:
        raise ValueError(f"block {block!r} has a part without a name; {_FORMS}")
    sliced = _SLICE.fullmatch(part)
    if sliced:
        start, stop, step = (int(number or 1) for number in sliced.groups())
        if not start < stop <= size or step < 1:
            raise ValueError(
                f"block {part!r} is empty or leaves the vector: start:stop:step takes 0 <= start < stop <= {size} "
                "and step >= 1"
            )
        where = range(start, stop, step)
        return [Piece(part, (len(where),), where)]
    found = [piece for piece in whole if part in (piece.name, ALL) or piece.name.startswith(f"{part}.")]
    if not found:
        raise ValueError(f"unknown block {part!r}{_nearest(part, whole)}; {_FORMS}")
    return found


def _nearest(part: str, whole: Sequence[Piece]) -> str:
    """Up to three parameters or modules whose names are near, as a clause."""
    known = dict.fromkeys(
        ".".join(words[:depth])
        for words in (piece.name.split(".") for piece in whole)
        for depth in range(1, len(words) + 1)
    )
    near = difflib.get_close_matches(part, list(known), n=3, cutoff=0.5) or list(known)[:3]
    return f" (did you mean {' or '.join(repr(name) for name in near)}?)"


def _checked_ranges(ranges: Sequence[range], size: int) -> tuple[range, ...]:
    ordered = sorted(ranges, key=lambda where: where.start)
    edges = [edge for where in ordered for edge in (where.start, where.stop)]
    if not edges or edges != sorted(edges) or not all(ranges) or edges[0] < 0 or edges[-1] > size:
        raise ValueError(f"index takes ranges inside 0:{size}, at least one, none empty and none overlapping")
    return tuple(ranges)


def _check_places(places: Tensor, size: int) -> None:
    if places.ndim != 1 or places.numel() == 0 or places.is_floating_point() or places.dtype == torch.bool:
        raise ValueError(f"index takes integers of shape (k,), at least one, got {places.dtype} {tuple(places.shape)}")
    if int(places.min()) < 0 or int(places.max()) >= size or torch.unique(places).numel() < places.numel():
        raise ValueError(f"index takes places from 0 to {size - 1}, each once")
