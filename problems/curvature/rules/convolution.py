"""Convolutions of one, two or three dimensions, transposed and grouped ones too, one column at a time.

Columns folded into the batch, or wide convolutions, are no faster on a CPU than a loop; channels_last is.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import torch
from torch import Tensor

from hessbench.problems.curvature.rules.rule import Bent, Builder, Rule, Sink, Site

aten = torch.ops.aten


def _convolved(site: Site) -> Rule:
    live = tuple(site.live(place) for place in range(3))
    live_x, live_w, live_b = live
    x, w = site.keep(site[0]), site.keep(site[1])
    lay, shape = site.lay, site.output.shape
    form = (site[3], site[4], site[5], site[6], site[7], site[8])
    biases = [w.shape[1] * site[8] if site[6] else w.shape[0]]

    def forward(x: Tensor, w: Tensor, bias: Tensor | None) -> Tensor:
        return aten.convolution(x, w, bias, *form)

    def backward(d: Tensor, x: Tensor, w: Tensor, wanted: tuple[bool, ...]) -> tuple[Tensor | None, ...]:
        return aten.convolution_backward(d, x, w, biases, *form, wanted)

    def push(*tangents: Tensor) -> Tensor:
        shift = tangents[-1][0] if live_b else None
        if live_w:
            tangent = forward(x, lay(tangents[int(live_x)][0]), shift)
            if live_x:
                tangent += forward(tangents[0][0], w, None)
            return tangent[None]
        if live_x:
            return forward(tangents[0][0], w, shift)[None]
        return tangents[0].reshape(1, 1, -1, *(1,) * (len(shape) - 2)).expand(1, *shape)

    def pull(adjoint: Tensor, *sinks: Sink) -> None:
        parts = (part for part in backward(adjoint[0], x, w, live) if part is not None)
        for sink, part in zip(sinks, parts, strict=True):
            sink.add(part[None])

    def bend(adjoint: Tensor) -> Bent:
        d = lay(adjoint)

        def bent(change: Tensor, tangents: tuple[Tensor, ...], sinks: tuple[Sink, ...]) -> None:
            pull(change, *sinks)
            through, _, _ = backward(d, x, lay(tangents[1][0]), (True, False, False))
            _, weights, _ = backward(d, tangents[0][0], w, (False, True, False))
            for sink, part in zip(sinks, (through, weights), strict=False):
                if part is not None:
                    sink.add(part[None])

        return bent

    return Rule(push, pull, bend if live_x and live_w else None, width=1, fresh=live_x or live_w)


CONVOLUTION: Final[Mapping[object, Builder]] = MappingProxyType({aten.convolution.default: _convolved})
"""Rules of convolutions."""
