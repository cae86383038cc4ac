"""Convolutions of one, two or three dimensions, transposed and grouped ones too, one column at a time.

Columns folded into the batch, or wide convolutions, are no faster on a CPU than a loop; channels_last is.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import torch
from torch import Tensor

from hessbench.problems.curvature.rules.rule import Accumulator, Builder, HvpTerm, Rule, Site

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

    def jvp(*tangents: Tensor) -> Tensor:
        shift = tangents[-1][0] if live_b else None
        if live_w:
            tangent = forward(x, lay(tangents[int(live_x)][0]), shift)
            if live_x:
                tangent += forward(tangents[0][0], w, None)
            return tangent[None]
        if live_x and not live_b:
            return forward(tangents[0].flatten(0, 1), w, None).unflatten(0, (-1, shape[0]))
        if live_x:
            return forward(tangents[0][0], w, shift)[None]
        return tangents[0].reshape(1, 1, -1, *(1,) * (len(shape) - 2)).expand(1, *shape)

    def vjp(cotangent: Tensor, *accumulators: Accumulator) -> None:
        parts = (part for part in backward(cotangent[0], x, w, live) if part is not None)
        for accumulator, part in zip(accumulators, parts, strict=True):
            accumulator.add(part[None])

    def hvp_term(cotangent: Tensor) -> HvpTerm:
        d = lay(cotangent)

        def term(change: Tensor, tangents: tuple[Tensor, ...], accumulators: tuple[Accumulator, ...]) -> None:
            vjp(change, *accumulators)
            through, _, _ = backward(d, x, lay(tangents[1][0]), (True, False, False))
            _, weights, _ = backward(d, tangents[0][0], w, (False, True, False))
            for accumulator, part in zip(accumulators, (through, weights), strict=False):
                if part is not None:
                    accumulator.add(part[None])

        return term

    return Rule(
        jvp,
        vjp,
        hvp_term if live_x and live_w else None,
        width=1,
        fresh=live_x or live_w,
        folds=live == (True, False, False),
    )


CONVOLUTION: Final[Mapping[object, Builder]] = MappingProxyType({aten.convolution.default: _convolved})
"""Rules of convolutions."""
