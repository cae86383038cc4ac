"""Linear maps that add: sums, differences, means, multiples by numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Final

import torch
from torch import Tensor

from hessbench.problems.curvature.rules.rule import Accumulator, Builder, Rule, Site, lifted, linear, reducer

aten = torch.ops.aten


def _added(site: Site) -> Rule:
    return _sum(site, 1, site[2])


def _subtracted(site: Site) -> Rule:
    return _sum(site, 1, -site[2])


def _subtracted_from(site: Site) -> Rule:
    return _sum(site, -site[2], 1)


def _sum(site: Site, *factors: float) -> Rule:
    """The sum of two values, of any shapes that broadcast, each times a factor."""
    shape = site.output.shape
    live: list[tuple[Tensor, float]] = [(site[place], factors[place]) for place in (0, 1) if site.live(place)]
    if any(value.dtype != site.output.dtype for value, _ in live):
        raise site.unknown("of values of several dtypes")
    scales = [_scaling(factor) for _, factor in live]
    reducers = [reducer(value.shape, shape) for value, _ in live]
    same = [value.shape == shape and factor == 1 for value, factor in live]

    def jvp_one(tangent: Tensor) -> Tensor:
        (scale,) = scales
        tangent = lifted(tangent, len(shape))
        return scale(tangent if same[0] else tangent.expand(tangent.shape[0], *shape))

    def jvp_both(one: Tensor, other: Tensor) -> Tensor:
        return scales[0](lifted(one, len(shape))) + scales[1](lifted(other, len(shape)))

    def vjp(cotangent: Tensor, *accumulators: Accumulator) -> None:
        for accumulator, scale, reduce, unchanged in zip(accumulators, scales, reducers, same, strict=True):
            accumulator.add(scale(reduce(cotangent)), owned=not unchanged)

    return Rule(jvp_one if len(live) == 1 else jvp_both, vjp, fresh=len(live) == 2)


def _scaling(factor: float) -> Callable[[Tensor], Tensor]:
    if factor == 1:
        return lambda value: value
    if factor == -1:
        return torch.neg
    return lambda value: value * factor


def _negated(site: Site) -> Rule:
    del site
    return linear(torch.neg, torch.neg, fresh=True)


def scaled(factor: float) -> Rule:
    """The rule of a multiple by a number."""
    scale = _scaling(factor)
    return linear(scale, scale, fresh=factor != 1)


def _multiplied(site: Site) -> Rule:
    return scaled(site[1])


def _summed(site: Site) -> Rule:
    return _over(site, 1.0)


def _mean(site: Site) -> Rule:
    return _over(site, site.output.numel() / site[0].numel())


def _over(site: Site, factor: float) -> Rule:
    """Sum over some axes, all by default, times a factor."""
    before: torch.Size = site[0].shape
    ndim = len(before)
    whole = site.node.op in (aten.sum.default, aten.mean.default)
    given: Sequence[int] | None = None if whole else site[1]
    axes = sorted(axis % ndim for axis in given) if given else list(range(ndim))
    keep = False if whole else bool(site[2])
    summed = [axis + 1 for axis in axes]
    kept = [1 if axis in axes else size for axis, size in enumerate(before)]
    shape = site.output.shape

    def jvp(tangent: Tensor) -> Tensor:
        total = tangent.sum(dim=summed, keepdim=keep) if summed else tangent.reshape(tangent.shape[0], *shape)
        return total if factor == 1 else total * factor

    def vjp(cotangent: Tensor) -> Tensor:
        k = cotangent.shape[0]
        spread = cotangent if factor == 1 else cotangent * factor
        return spread.reshape(k, *kept).expand(k, *before)

    return linear(jvp, vjp, fresh=False)


def _cumulated(site: Site) -> Rule:
    axis = site[1] % site.output.ndim + 1
    return linear(
        lambda tangent: tangent.cumsum(axis), lambda cotangent: cotangent.flip(axis).cumsum(axis).flip(axis), fresh=True
    )


def _averaged(site: Site) -> Rule:
    """Means over one cell of a grid of output pixels that divides the image evenly."""
    before, after = site[0].shape, site.output.shape
    cells = [(size, inner // size) for inner, size in zip(before[-2:], after[-2:], strict=True)]
    if any(size * cell != inner for (size, cell), inner in zip(cells, before[-2:], strict=True)):
        raise site.unknown(f"from {tuple(before[-2:])} to {tuple(after[-2:])} pixels, whose cells overlap")
    (rows, height), (wide, width) = cells
    factor = 1 / (height * width)

    def jvp(tangent: Tensor) -> Tensor:
        split = tangent.reshape(*tangent.shape[:-2], rows, height, wide, width)
        return split.mean(dim=(-3, -1))

    def vjp(cotangent: Tensor) -> Tensor:
        spread = (cotangent * factor)[..., :, None, :, None]
        return spread.expand(*cotangent.shape[:-2], rows, height, wide, width).reshape(
            *cotangent.shape[:-2], *before[-2:]
        )

    return linear(jvp, vjp, fresh=True)


SUMS: Final[Mapping[object, Builder]] = MappingProxyType(
    {
        aten.add.Tensor: _added,
        aten.sub.Tensor: _subtracted,
        aten.rsub.Scalar: _subtracted_from,
        aten.neg.default: _negated,
        aten.mul.Scalar: _multiplied,
        aten.sum.default: _summed,
        aten.sum.dim_IntList: _summed,
        aten.mean.default: _mean,
        aten.mean.dim: _mean,
        aten.cumsum.default: _cumulated,
        aten._adaptive_avg_pool2d.default: _averaged,
    }
)
"""Rules of maps that add."""
