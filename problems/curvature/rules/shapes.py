"""Linear maps that move the entries of one value: views, permutations, parts, padding."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

import torch
from torch import Tensor

from hessbench.problems.curvature.rules.rule import Accumulator, Builder, Rule, Site, added, lifted, linear, reducer

aten = torch.ops.aten


def _reshaped(site: Site) -> Rule:
    before, after = site[0].shape, site.output.shape
    return linear(
        lambda tangent: tangent.reshape(tangent.shape[0], *after),
        lambda cotangent: cotangent.reshape(cotangent.shape[0], *before),
        fresh=False,
    )


def _identity(site: Site) -> Rule:
    if site[0].dtype != site.output.dtype:
        raise site.unknown(f"from {site[0].dtype} to {site.output.dtype}")
    return linear(lambda tangent: tangent, lambda cotangent: cotangent, fresh=False)


def _permuted(site: Site) -> Rule:
    ndim = site.output.ndim
    return _permutation([axis % ndim for axis in site[1]])


def _transposed(site: Site) -> Rule:
    order = list(range(site.output.ndim))
    if site.node.op is aten.t.default:
        order.reverse()
    else:
        one, other = site[1] % len(order), site[2] % len(order)
        order[one], order[other] = order[other], order[one]
    return _permutation(order)


def _permutation(order: Sequence[int]) -> Rule:
    there = [0, *(axis + 1 for axis in order)]
    back = [there.index(axis) for axis in range(len(there))]
    return linear(lambda tangent: tangent.permute(there), lambda cotangent: cotangent.permute(back), fresh=False)


def _expanded(site: Site) -> Rule:
    before, after = site[0].shape, site.output.shape
    reduce = reducer(before, after)
    ones = (1,) * (len(after) - len(before))

    def jvp(tangent: Tensor) -> Tensor:
        k = tangent.shape[0]
        return tangent.reshape(k, *ones, *before).expand(k, *after)

    return linear(jvp, reduce, fresh=before != after)


def _part(site: Site, axis: int, start: int, stop: int, step: int = 1) -> Rule:
    """Every step-th entry of an axis, which is kept."""
    before: torch.Size = site[0].shape
    where = (slice(None),) * (axis + 1) + (slice(start, stop, step),)

    def vjp(cotangent: Tensor) -> Tensor:
        whole = cotangent.new_zeros(cotangent.shape[0], *before)
        whole[where] = cotangent
        return whole

    return linear(lambda tangent: tangent[where], vjp, fresh=True)


def _sliced(site: Site) -> Rule:
    axis = site[1] % site[0].ndim
    start, stop, step = slice(site[2], site[3], site[4]).indices(site[0].shape[axis])
    return _part(site, axis, start, stop, step)


def _selected(site: Site) -> Rule:
    axis, size = site[1] % site[0].ndim, site[0].shape[site[1]]
    return _dropping(site, axis, site[2] % size)


def _unbound(site: Site) -> Rule:
    return _dropping(site, site[1] % site[0].ndim, site.node.index)


def _dropping(site: Site, axis: int, place: int) -> Rule:
    before: torch.Size = site[0].shape

    def vjp(cotangent: Tensor) -> Tensor:
        whole = cotangent.new_zeros(cotangent.shape[0], *before)
        whole.select(axis + 1, place).copy_(cotangent)
        return whole

    return linear(lambda tangent: tangent.select(axis + 1, place), vjp, fresh=True)


def _repeated(site: Site) -> Rule:
    before: torch.Size = site[0].shape
    times: Sequence[int] = site[1]
    shape = (1,) * (len(times) - len(before)) + tuple(before)
    tiles = [size for pair in zip(times, shape, strict=True) for size in pair]
    summed = [2 * place + 1 for place in range(len(times))]
    return linear(
        lambda tangent: tangent.reshape(tangent.shape[0], *shape).repeat(1, *times),
        lambda cotangent: (
            cotangent.reshape(cotangent.shape[0], *tiles).sum(summed).reshape(cotangent.shape[0], *before)
        ),
        fresh=True,
    )


def _replaced(site: Site) -> Rule:
    """A value with a part replaced by another value, as a write in place leaves it."""
    axis = site[2] % site.output.ndim
    where = (slice(None),) * (axis + 1)
    if site.node.op is aten.select_scatter.default:
        where += (site[3] % site.output.shape[axis],)
    else:
        where += (slice(*slice(site[3], site[4], site[5]).indices(site.output.shape[axis])),)
    live_whole, live_part, shape = site.live(0), site.live(1), site.output.shape

    def jvp(*tangents: Tensor) -> Tensor:
        first = tangents[0]
        whole = first.clone() if live_whole else first.new_zeros(first.shape[0], *shape)
        whole[where] = tangents[-1] if live_part else 0
        return whole

    def vjp(cotangent: Tensor, *accumulators: Accumulator) -> None:
        if live_whole:
            whole = cotangent.clone()
            whole[where] = 0
            accumulators[0].add(whole)
        if live_part:
            accumulators[-1].add(cotangent[where], owned=False)

    return Rule(jvp, vjp, fresh=True)


def _either(site: Site) -> Rule:
    """One of two values, entry by entry."""
    chosen: Tensor = site[0]
    shape = site.output.shape
    masks = [mask.to(site.output.dtype) for mask in (chosen, ~chosen)]
    places = [place for place in (1, 2) if site.live(place)]
    live = [(masks[place - 1], reducer(site[place].shape, shape)) for place in places]

    def jvp(*tangents: Tensor) -> Tensor:
        terms = [lifted(tangent, len(shape)) * mask for tangent, (mask, _) in zip(tangents, live, strict=True)]
        return added(terms).expand(tangents[0].shape[0], *shape)

    def vjp(cotangent: Tensor, *accumulators: Accumulator) -> None:
        for accumulator, (mask, reduce) in zip(accumulators, live, strict=True):
            accumulator.add(reduce(cotangent * mask))

    return Rule(jvp, vjp)


def _overwritten(site: Site) -> Rule:
    """A value all of whose entries are replaced by those of another, broadcast."""
    before, after = site[1].shape, site.output.shape
    reduce, live = reducer(before, after), site.live(1)

    def jvp(*tangents: Tensor) -> Tensor:
        k = tangents[-1].shape[0]
        whole = tangents[-1].new_zeros(k, *after)
        return whole.copy_(lifted(tangents[-1], len(after))) if live else whole

    def vjp(cotangent: Tensor, *accumulators: Accumulator) -> None:
        if live:
            accumulators[-1].add(reduce(cotangent), owned=False)

    return Rule(jvp, vjp, fresh=True)


def _split(site: Site) -> Rule:
    axis, sizes = site[2] % site[0].ndim, site[1]
    place = site.node.index
    start = sizes * place if isinstance(sizes, int) else sum(sizes[:place])
    return _part(site, axis, start, start + site.output.shape[axis])


def _padded(site: Site) -> Rule:
    pad: Sequence[int] = site[1]
    back = [-size for size in pad]
    return linear(
        lambda tangent: aten.constant_pad_nd(tangent, pad, 0.0),
        lambda cotangent: aten.constant_pad_nd(cotangent, back, 0.0),
        fresh=True,
    )


SHAPES: Final[Mapping[object, Builder]] = MappingProxyType(
    {
        **dict.fromkeys(
            (
                aten.view.default,
                aten._unsafe_view.default,
                aten.unsqueeze.default,
                aten.squeeze.default,
                aten.squeeze.dim,
                aten.squeeze.dims,
            ),
            _reshaped,
        ),
        **dict.fromkeys((aten.clone.default, aten.alias.default, aten._to_copy.default), _identity),
        aten.permute.default: _permuted,
        aten.transpose.int: _transposed,
        aten.t.default: _transposed,
        aten.expand.default: _expanded,
        aten.slice.Tensor: _sliced,
        aten.select.int: _selected,
        aten.unbind.int: _unbound,
        aten.repeat.default: _repeated,
        aten.slice_scatter.default: _replaced,
        aten.select_scatter.default: _replaced,
        aten.copy.default: _overwritten,
        aten.where.self: _either,
        aten.split.Tensor: _split,
        aten.split_with_sizes.default: _split,
        aten.constant_pad_nd.default: _padded,
    }
)
"""Rules of maps that move entries."""
