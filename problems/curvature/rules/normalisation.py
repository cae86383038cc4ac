"""Batch norm on stored statistics, layer norm, and the softmax."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import torch
from torch import Tensor

from hessbench.problems.curvature.rules.rule import Accumulator, Builder, HvpTerm, Rule, Site, added

aten = torch.ops.aten


def _batch_norm(site: Site) -> Rule:
    """An affine map of each channel: n weight + bias with n = (x - mean) r, r from the stored variance."""
    if site[5] or site[3] is None:
        raise site.unknown("in training mode")
    if site.node.index != 0:
        raise site.unknown("used by its statistics")
    x, weight, mean, variance = (site[place] for place in (0, 1, 3, 4))
    live_x, live_w, live_b = (site.live(place) for place in range(3))
    lay = site.lay
    shape = (-1, *(1,) * (x.ndim - 2))
    r = torch.rsqrt(variance + site[7]).view(shape)
    factor = r if weight is None else r * weight.view(shape)
    n = lay((x - mean.view(shape)) * r)
    summed = [1, *range(3, x.ndim + 1)]

    def widened(tangent: Tensor) -> Tensor:
        return tangent.reshape(tangent.shape[0], 1, *shape)

    def jvp(*tangents: Tensor) -> Tensor:
        terms: list[Tensor] = []
        if live_x:
            terms.append(tangents[0] * factor)
        if live_w:
            terms.append(widened(tangents[int(live_x)]) * n)
        if live_b:
            terms.append(widened(tangents[-1]).expand(tangents[-1].shape[0], *x.shape))
        return added(terms)

    def vjp(cotangent: Tensor, *accumulators: Accumulator) -> None:
        if live_x:
            accumulators[0].add(cotangent * factor)
        if live_w:
            accumulators[int(live_x)].add((cotangent * n).sum(summed))
        if live_b:
            accumulators[-1].add(cotangent.sum(summed))

    def hvp_term(cotangent: Tensor) -> HvpTerm:
        d = lay(cotangent * r)

        def term(change: Tensor, tangents: tuple[Tensor, ...], accumulators: tuple[Accumulator, ...]) -> None:
            vjp(change, *accumulators)
            accumulators[0].add(widened(tangents[1]) * d)
            accumulators[1].add((tangents[0] * d).sum(summed))

        return term

    return Rule(jvp, vjp, hvp_term if live_x and live_w else None)


def _softmax(site: Site) -> Rule:
    """With y = softmax(x), y' = y (x' - sum y x')."""
    axis = site[1] % site.output.ndim + 1
    y = site.output

    def jvp(tangent: Tensor) -> Tensor:
        z = y * tangent
        return z - y * z.sum(axis, keepdim=True)

    def vjp(cotangent: Tensor, accumulator: Accumulator) -> None:
        accumulator.add(jvp(cotangent))

    def hvp_term(cotangent: Tensor) -> HvpTerm:
        # The vjp is y (d - s) with s = sum y d; it changes by vjp(d') + y' (d - s) - y sum y' d.
        centred = cotangent - (y * cotangent).sum(axis - 1, keepdim=True)

        def term(change: Tensor, tangents: tuple[Tensor, ...], accumulators: tuple[Accumulator, ...]) -> None:
            moved = jvp(tangents[0])
            accumulators[0].add(jvp(change) + moved * centred - y * (moved * cotangent).sum(axis, keepdim=True))

        return term

    return Rule(jvp, vjp, hvp_term)


def _log_softmax(site: Site) -> Rule:
    """With y = log softmax(x) and p = exp y, y' = x' - sum p x'."""
    axis = site[1] % site.output.ndim + 1
    p = site.output.exp()

    def jvp(tangent: Tensor) -> Tensor:
        return tangent - (p * tangent).sum(axis, keepdim=True)

    def vjp(cotangent: Tensor, accumulator: Accumulator) -> None:
        accumulator.add(cotangent - p * cotangent.sum(axis, keepdim=True))

    def hvp_term(cotangent: Tensor) -> HvpTerm:
        total = cotangent.sum(axis - 1, keepdim=True)

        def term(change: Tensor, tangents: tuple[Tensor, ...], accumulators: tuple[Accumulator, ...]) -> None:
            moved = p * jvp(tangents[0])
            accumulators[0].add(change - p * change.sum(axis, keepdim=True) - moved * total)

        return term

    return Rule(jvp, vjp, hvp_term)


def _layer_norm(site: Site) -> Rule:
    """Each row of the last axes minus its mean over its deviation, then an affine map of each entry."""
    x, shape, weight, eps = (site[place] for place in (0, 1, 2, 4))
    if site.node.index != 0:
        raise site.unknown("used by its statistics")
    axes = list(range(-len(shape), 0))
    centred = x - x.mean(axes, keepdim=True)
    r = torch.rsqrt((centred * centred).mean(axes, keepdim=True) + eps)
    n = centred * r
    live_x, live_w, live_b = (site.live(place) for place in (0, 2, 3))
    summed = list(range(1, x.ndim - len(shape) + 1))

    def project(value: Tensor) -> Tensor:
        """What the change of x does to n, but for r: the part without the mean and along n."""
        return value - value.mean(axes, keepdim=True) - n * (n * value).mean(axes, keepdim=True)

    def reduced(value: Tensor) -> Tensor:
        return value.sum(summed) if summed else value

    def rescaled(value: Tensor) -> Tensor:
        return value if weight is None else value * weight

    def widened(tangent: Tensor) -> Tensor:
        return tangent.reshape(tangent.shape[0], *(1,) * len(summed), *tangent.shape[1:])

    def jvp(*tangents: Tensor) -> Tensor:
        terms: list[Tensor] = []
        if live_x:
            terms.append(rescaled(project(tangents[0]) * r))
        if live_w:
            terms.append(widened(tangents[int(live_x)]) * n)
        if live_b:
            terms.append(widened(tangents[-1]).expand(tangents[-1].shape[0], *x.shape))
        return added(terms)

    def vjp(cotangent: Tensor, *accumulators: Accumulator) -> None:
        if live_x:
            accumulators[0].add(project(rescaled(cotangent)) * r)
        if live_w:
            accumulators[int(live_x)].add(reduced(cotangent * n))
        if live_b:
            accumulators[-1].add(reduced(cotangent), owned=bool(summed))

    def hvp_term(cotangent: Tensor) -> HvpTerm:
        g = rescaled(cotangent)
        along, back = (n * g).mean(axes, keepdim=True), project(g) * r

        def term(change: Tensor, tangents: tuple[Tensor, ...], accumulators: tuple[Accumulator, ...]) -> None:
            inner = rescaled(change)
            if live_w:
                inner = inner + cotangent * widened(tangents[int(live_x)])
            if not live_x:
                accumulators[0].add(reduced(change * n))
            else:
                # r' = -r^2 mean(n x'), n' = r project(x'); project(g) changes through its two uses of n.
                moved = project(tangents[0]) * r
                shrink = r * (n * tangents[0]).mean(axes, keepdim=True)
                turned = moved * along + n * (moved * g).mean(axes, keepdim=True)
                accumulators[0].add((project(inner) - turned) * r - back * shrink)
                if live_w:
                    accumulators[1].add(reduced(change * n + cotangent * moved))
            if live_b:
                accumulators[-1].add(reduced(change), owned=bool(summed))

        return term

    return Rule(jvp, vjp, hvp_term if live_x else None)


NORMALISATION: Final[Mapping[object, Builder]] = MappingProxyType(
    {
        aten.native_batch_norm.default: _batch_norm,
        aten._softmax.default: _softmax,
        aten._safe_softmax.default: _softmax,
        aten._log_softmax.default: _log_softmax,
        aten.native_layer_norm.default: _layer_norm,
    }
)
"""Rules of normalisations."""
