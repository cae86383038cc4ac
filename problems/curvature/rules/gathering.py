"""Linear maps that put values together, or pick entries by their places."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

import torch
from torch import Tensor

from hessbench.problems.curvature.rules.rule import Accumulator, Builder, Rule, Site, linear

aten = torch.ops.aten


def _joined(site: Site) -> Rule:
    """Constants among the parts have zero tangents, in one block that is made once for each width."""
    parts: Sequence[Tensor] = site[0]
    axis = site[1] % site.output.ndim
    shape = site.output.shape
    places: list[tuple[int, int]] = []
    reached = 0
    for part, live in zip(parts, site.live_parts(0), strict=True):
        size = part.shape[axis] if part.ndim == len(shape) else 0
        if live:
            places.append((reached, size))
        reached += size
    complete = len(places) == len(parts)

    def jvp(*tangents: Tensor) -> Tensor:
        if complete:
            return torch.cat(tangents, dim=axis + 1)
        whole = tangents[0].new_zeros(tangents[0].shape[0], *shape)
        for (start, size), tangent in zip(places, tangents, strict=True):
            whole.narrow(axis + 1, start, size).copy_(tangent)
        return whole

    def vjp(cotangent: Tensor, *accumulators: Accumulator) -> None:
        for (start, size), accumulator in zip(places, accumulators, strict=True):
            accumulator.add(cotangent.narrow(axis + 1, start, size), owned=False)

    return Rule(jvp, vjp)


def _stacked(site: Site) -> Rule:
    axis = site[1] % site.output.ndim
    shape = site.output.shape
    places = [place for place, live in enumerate(site.live_parts(0)) if live]

    def jvp(*tangents: Tensor) -> Tensor:
        whole = tangents[0].new_zeros(tangents[0].shape[0], *shape)
        for place, tangent in zip(places, tangents, strict=True):
            whole.select(axis + 1, place).copy_(tangent)
        return whole

    def vjp(cotangent: Tensor, *accumulators: Accumulator) -> None:
        for place, accumulator in zip(places, accumulators, strict=True):
            accumulator.add(cotangent.select(axis + 1, place), owned=False)

    return Rule(jvp, vjp)


def _filled(site: Site) -> Rule:
    """A constant with entries along an axis replaced by those of a value."""
    if site.live(0):
        raise site.unknown("into a value that depends on the parameters")
    axis, places, shape = site[1] % site.output.ndim + 1, site[2], site.output.shape

    def jvp(tangent: Tensor) -> Tensor:
        return tangent.new_zeros(tangent.shape[0], *shape).index_copy_(axis, places, tangent)

    return linear(jvp, lambda cotangent: cotangent.index_select(axis, places), fresh=True)


def _chosen(site: Site) -> Rule:
    """Entries along an axis by their places, which may repeat."""
    axis, places, before = site[1] % site.output.ndim + 1, site[2], site[0].shape

    def vjp(cotangent: Tensor) -> Tensor:
        return cotangent.new_zeros(cotangent.shape[0], *before).index_add_(axis, places, cotangent)

    return linear(lambda tangent: tangent.index_select(axis, places), vjp, fresh=True)


def _embedded(site: Site) -> Rule:
    """Rows of a table by whole numbers; a padding row counts as a constant."""
    rows, before = site[1].reshape(-1), site[0].shape
    shape, skipped = site.output.shape, site[2]
    weights = (rows != skipped).to(site.output.dtype)[:, None]

    def jvp(tangent: Tensor) -> Tensor:
        return (tangent.index_select(1, rows) * weights).reshape(tangent.shape[0], *shape)

    def vjp(cotangent: Tensor) -> Tensor:
        k = cotangent.shape[0]
        return cotangent.new_zeros(k, *before).index_add_(1, rows, cotangent.reshape(k, -1, before[1]) * weights)

    return linear(jvp, vjp, fresh=True)


GATHERING: Final[Mapping[object, Builder]] = MappingProxyType(
    {
        aten.cat.default: _joined,
        aten.stack.default: _stacked,
        aten.index_copy.default: _filled,
        aten.index_select.default: _chosen,
        aten.embedding.default: _embedded,
    }
)
"""Rules of maps that put together and pick."""
