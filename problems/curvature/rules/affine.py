"""Whether every output of a network is affine in each parameter alone, piece by piece: read off what it computes.

The outputs then have no second derivative in any one parameter, so that the residual R = Hessian - GGN, a sum of
second derivatives of outputs with the derivatives of the loss as weights, has a zero diagonal. Products of parameters
of different layers make the outputs curved; no parameter does so by itself. This is the case of a network whose layers
are multiplied by weights of their own and joined by ReLU, maxima, means and sums; not of tied weights or of a tanh.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final, TypeAlias

import torch
from torch import Tensor

from hessbench.problems.curvature.rules.rule import Site, Store
from hessbench.problems.curvature.rules.table import rule_of
from hessbench.problems.curvature.rules.tape import Tape, record
from hessbench.problems.curvature.rules.values import INPUT, LiveValue, Values, values_of
from hessbench.problems.networks.network import Batch, Network

aten = torch.ops.aten

BILINEAR: Final[Mapping[object, tuple[int, int]]] = MappingProxyType(
    {
        aten.mul.Tensor: (0, 1),
        aten.mm.default: (0, 1),
        aten.bmm.default: (0, 1),
        aten.addmm.default: (1, 2),
        aten.baddbmm.default: (1, 2),
        aten.convolution.default: (0, 1),
        aten.native_batch_norm.default: (0, 1),
    }
)
"""Operations that are linear in each of two arguments, by the places of these; batch norm on stored statistics."""

_SAMPLES: Final = 16

Support: TypeAlias = tuple[tuple[int, int, int], ...]
"""Parameters that a value may depend on: parts start..stop of flat vectors, each given by its number, ascending."""

_ALL: Final[Support] = ((INPUT, 0, 2**62),)


def is_affine_in_each(network: Network) -> bool:
    """Whether it is shown that every output of a network is affine in each parameter alone, on all of its data.

    Every value that is computed carries the parameters it may depend on. A node without a second derivative keeps the
    property; so does a product of two values that have no parameter in common, since only one factor moves with any
    parameter. Any other node, or one without a rule, ends it: False says that nothing was shown, not the contrary. As
    everywhere here, a kink has the derivatives that autograd gives it, none of second order.

    Args:
        network: The network; it is recorded on all its samples, since a network may choose its way by them.

    Cost: one forward pass, and what the rules of its nodes keep, 16 samples at a time.
    """
    for batch in network.batches:
        for part in [batch] if network.group else _parts(batch):
            try:
                tape = record(network.forward, network.parameters, part.inputs)
                if not _is_affine(tape):
                    return False
            except Exception:  # noqa: BLE001 -- a model under the recorder may raise anything; nothing is shown then
                return False
    return True


def _parts(batch: Batch) -> Iterable[Batch]:
    return (batch.part(slice(start, start + _SAMPLES)) for start in range(0, batch.size, _SAMPLES))


def _is_affine(tape: Tape) -> bool:
    values = values_of(tape)
    supports: dict[int, Support] = {}
    store = Store(lambda tensor: tensor)
    for value in values.ordered:
        support = _support(value, values, supports, store)
        if support is None:
            return False
        supports[value.number] = support
    return True


def _support(value: LiveValue, values: Values, supports: dict[int, Support], store: Store) -> Support | None:
    """What a value depends on; None where it may be curved in one parameter."""
    if value.node is None:
        return _ALL
    if value.base is not None:
        return _viewed(value, values, supports)
    if rule_of(Site(value.node, values.live, store)).hvp_term is None:
        return _union(supports[source] for source in value.sources)
    places = BILINEAR.get(value.node.op)
    live = [place for place, one in enumerate(value.node.args) if isinstance(one, Tensor) and values.live(one)]
    if places is None or len(live) != len(value.sources) or not set(places) <= set(live):
        return None
    one, other = (supports[value.sources[live.index(place)]] for place in places)
    return None if _meet(one, other) else _union(supports[source] for source in value.sources)


def _viewed(value: LiveValue, values: Values, supports: dict[int, Support]) -> Support:
    """The part of the flat vector that a view looks at; all of it where entries of the vector may share parameters."""
    if value.node is None or value.base is None:
        return _ALL
    base = values.ordered[value.base]
    if not _has_one_each(base, values):
        return supports[base.number]
    output = value.node.output
    reach = sum((size - 1) * stride for size, stride in zip(output.shape, output.stride(), strict=True))
    return ((base.number, value.offset, value.offset + reach + 1),)


def _has_one_each(base: LiveValue, values: Values) -> bool:
    """Whether a flat vector is the parameters, or fixed entries filled with each of them once."""
    if base.node is None:
        return True
    parts = [values.ordered[source] for source in base.sources]
    if any(part.number != INPUT and part.base != INPUT for part in parts):
        return False
    if base.node.op is aten.index_copy.default:
        return len(parts) == 1
    return base.node.op is aten.cat.default and not any(
        _meet(_viewed(one, values, {}), _viewed(other, values, {}))
        for place, one in enumerate(parts)
        for other in parts[:place]
    )


def _union(supports: Iterable[Support]) -> Support:
    """All parts together, those that touch joined."""
    joined: list[tuple[int, int, int]] = []
    for base, start, stop in sorted(part for support in supports for part in support):
        if joined and joined[-1][0] == base and start <= joined[-1][2]:
            joined[-1] = (base, joined[-1][1], max(stop, joined[-1][2]))
        else:
            joined.append((base, start, stop))
    return tuple(joined)


def _meet(one: Support, other: Support) -> bool:
    """Whether two supports may have a parameter in common; parts of different vectors may."""
    pairs = ((part, against) for part in one for against in other)
    return any(
        base != root_ or (start < stop_ and start_ < stop) for (base, start, stop), (root_, start_, stop_) in pairs
    )
