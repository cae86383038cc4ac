"""Where the diagonal of the residual vanishes, parameter by parameter: read off what a network computes.

Where all outputs are affine in a parameter, piece by piece, they have no second derivative in it, so that the residual
R = Hessian - GGN, a sum of second derivatives of outputs with the derivatives of the loss as weights, has a zero on its
diagonal. So it is with a weight that enters one operation, affinely, when all that comes after is piecewise affine in
what depends on it: every weight of layers joined by ReLU, maxima, means and sums, the last layer of a tanh network. It
is not so with tied weights, nor upstream of a tanh, a softmax, a norm by statistics, or a product of two branches that
both depend on the weight.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import reduce
from itertools import pairwise
from operator import or_
from typing import Final

import torch
from torch._ops import OpOverload

from hessbench.operator_structure import Structure
from hessbench.problems.curvature.rules.dependence import PARAMETERS, Course, Operation, Read, course_of
from hessbench.problems.networks.inputs import tensors_of
from hessbench.problems.networks.network import Batch, Network

_SAMPLES: Final = 64
_ENTRIES: Final = 2**17
"""Entries of the inputs that are run at once, of 64 samples at least: of small networks the recording is what costs."""


def structure_of(network: Network) -> Structure:
    """Where the diagonal of the residual of a network is shown to vanish, for every loss of its outputs.

    Established from the recorded operations. Nothing is shown, false in every place, of what they do not tell: a
    function with a backward pass of its own, or a hook on a gradient. As everywhere here, a kink has the derivatives
    that autograd gives it, none of second order.

    Args:
        network: The network; it is run on all its samples, since it may choose its way by them.

    Returns:
        Per parameter whether every output is affine in it, and the parts in which they are jointly so.

    Cost: one forward pass that autograd follows, 64 samples at a time or more: less than a gradient.
    """
    n = network.parameters.numel()
    curved = torch.zeros(n, dtype=torch.bool)
    ends: set[int] = {0, n}
    for batch in network.batches:
        for part in [batch] if network.group else _parts(batch):
            try:
                found = curved_parts(course_of(network.forward, network.parameters, part.inputs), n)
            except Exception:  # noqa: BLE001 -- a model under the recorder may raise anything; nothing is shown then
                return _nothing(n)
            ends.update(found.ends)
            curved |= torch.tensor(found.curved).repeat_interleave(torch.tensor(found.ends).diff())
            if bool(curved.all()):
                return _nothing(n)
    flat = ~curved
    groups = tuple((start, stop) for start, stop in pairwise(sorted(ends)) if flat[start])
    return Structure(flat, groups)


def is_affine_in_each(network: Network) -> bool:
    """Whether it is shown that every output of a network is affine in each parameter alone, on all of its data.

    Args:
        network: As of `structure_of`.

    Cost: that of `structure_of`.
    """
    return bool(structure_of(network).flat.all())


@dataclass(frozen=True)
class CurvedParts:
    """Parts of the parameters, and in which of them the outputs may be curved.

    Attributes:
        ends: Where parts begin and end, ascending from 0 to n.
        curved: For each part, whether an output may be other than affine in it.
    """

    ends: tuple[int, ...]
    curved: tuple[bool, ...]


def curved_parts(course: Course, n: int) -> CurvedParts:
    """The parts of n parameters in which the outputs of what ran may be curved.

    The parameters are cut wherever an operation reads from or up to, so that every value depends on the whole of a part
    or on nothing of it: a set of parts is one integer, a bit for each. A value has its support, the parts that it may
    depend on, and among them those that it may be curved in. An operation adds to these the parts in the supports of
    arguments in which it is not affine together. By induction a value is jointly piecewise affine in every other part,
    since all arguments that move with it are, and the operation is so in these.

    Cost: a few integers for each operation.
    """
    ends, bent = _followed(course, n)
    curved = {PARAMETERS: 0}
    for operation, bend in zip(course.operations, bent, strict=True):
        within = _union(curved[read.number] for read in operation.reads if read.parameters is None)
        curved[operation.number] = curved.get(operation.number, 0) | within | bend
    found = 0 if course.outputs is None or course.outputs.parameters else curved[course.outputs.number]
    return CurvedParts(tuple(ends), tuple(bool(found >> number & 1) for number in range(len(ends) - 1)))


def bent_operations(course: Course, n: int) -> list[OpOverload]:
    """The operations that outputs come from and that are not affine in all that moves with some parameter, in order.

    Cost: as of `curved_parts`.
    """
    _, bent = _followed(course, n)
    needed = set() if course.outputs is None else {course.outputs.number}
    found: list[OpOverload] = []
    for operation, bend in zip(reversed(course.operations), reversed(bent), strict=True):
        if operation.number in needed:
            needed.update(read.number for read in operation.reads)
            if bend:
                found.append(operation.op)
    return found[::-1]


def _followed(course: Course, n: int) -> tuple[list[int], list[int]]:
    """Where the parts of n parameters begin and end, and of each operation those that it is not affine in."""
    reads = [read for operation in course.operations for read in operation.reads]
    reads += [course.outputs] if course.outputs else []
    ends = sorted({0, n, *(end for read in reads for part in read.parameters or () for end in part)})
    place = {end: number for number, end in enumerate(ends)}
    supports = {PARAMETERS: (1 << (len(ends) - 1)) - 1}

    def support(read: Read) -> int:
        if read.parameters is None:
            return supports[read.number]
        return _union((1 << place[stop]) - (1 << place[start]) for start, stop in read.parameters)

    bent: list[int] = []
    for operation in course.operations:
        moved = [support(read) for read in operation.reads]
        supports[operation.number] = supports.get(operation.number, 0) | _union(moved)
        bent.append(_bent(operation, moved))
    return ends, bent


def _bent(operation: Operation, moved: list[int]) -> int:
    """Parts in which an operation is not affine, were its arguments so."""
    if operation.affine is None:
        return 0
    whole = _union(moved)
    places = [read.place for read in operation.reads]
    if None in places:
        return whole
    # In a set of arguments it is affine in the parts that no argument outside of it depends on.
    affine = _union(
        whole & ~_union(part for place, part in zip(places, moved, strict=True) if place not in one)
        for one in operation.affine
    )
    return whole & ~affine


def _union(parts: Iterable[int]) -> int:
    return reduce(or_, parts, 0)


def _nothing(n: int) -> Structure:
    return Structure(torch.zeros(n, dtype=torch.bool), ())


def _parts(batch: Batch) -> Iterable[Batch]:
    entries = sum(tensor.numel() for tensor in tensors_of(batch.inputs))
    step = max(_SAMPLES, _ENTRIES * batch.size // max(entries, 1))
    return (batch.part(slice(start, start + step)) for start in range(0, batch.size, step))
