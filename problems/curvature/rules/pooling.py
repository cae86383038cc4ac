"""Pooling over windows: maxima at kept places, and means."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

import torch
from torch import Tensor

from hessbench.problems.curvature.rules.rule import Builder, Rule, Site, linear

aten = torch.ops.aten


def _maximum(site: Site) -> Rule:
    """Entries at the places of the maxima; they stay where they are under small changes."""
    if site.node.index != 0:
        raise site.unknown("used by its places")
    x: Tensor = site[0]
    pixels = x.shape[-1] * x.shape[-2]
    _, found = site.node.op(*site.node.args, **site.node.kwargs)
    places: Tensor = found.flatten(-2)
    shape, before = site.output.shape, x.shape

    def jvp(tangent: Tensor) -> Tensor:
        k = tangent.shape[0]
        flat = tangent.reshape(k, *before[:-2], pixels)
        return flat.gather(-1, places.expand(k, *places.shape)).view(k, *shape)

    def vjp(cotangent: Tensor) -> Tensor:
        k = cotangent.shape[0]
        whole = cotangent.new_zeros(k, *before[:-2], pixels)
        whole.scatter_add_(-1, places.expand(k, *places.shape), cotangent.reshape(k, *places.shape))
        return whole.view(k, *before)

    return linear(jvp, vjp, fresh=True)


def _mean(site: Site) -> Rule:
    before, after = site[0].shape, site.output.shape
    form = tuple(site[place] for place in range(1, 7))

    def jvp(tangent: Tensor) -> Tensor:
        return _folded(tangent, after, lambda images: aten.avg_pool2d(images, *form))

    def vjp(cotangent: Tensor) -> Tensor:
        k = cotangent.shape[0]
        whole = cotangent.new_empty(1).expand(k * before[0], *before[1:])
        return _folded(cotangent, before, lambda images: aten.avg_pool2d_backward(images, whole, *form))

    return linear(jvp, vjp, fresh=True)


def _folded(tangent: Tensor, shape: torch.Size, pool: Callable[[Tensor], Tensor]) -> Tensor:
    """Pool (k, m, ...) as k m images."""
    k = tangent.shape[0]
    return pool(tangent.reshape(-1, *tangent.shape[2:])).reshape(k, *shape)


POOLING: Final[Mapping[object, Builder]] = MappingProxyType(
    {aten.max_pool2d_with_indices.default: _maximum, aten.avg_pool2d.default: _mean}
)
"""Rules of pooling."""
