"""Functions of single numbers: the rule follows from the first two derivatives."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import Final, TypeAlias

import torch
from torch import Tensor

from hessbench.problems.curvature.rules.rule import Accumulator, Builder, HvpTerm, Rule, Site

aten = torch.ops.aten
Derivatives: TypeAlias = tuple[Tensor, Tensor | None]
"""First and second derivative at every entry; None for a second one that is zero."""


def _elementwise(derivatives: Callable[[Site], Derivatives], site: Site) -> Rule:
    first, second = derivatives(site)
    lay = site.lay
    first = lay(first)

    def jvp(tangent: Tensor) -> Tensor:
        return tangent * first

    def vjp(cotangent: Tensor, accumulator: Accumulator) -> None:
        accumulator.add(cotangent * first)

    def scale(value: Tensor) -> Tensor:
        return value.mul_(first)

    def hvp_term(cotangent: Tensor) -> HvpTerm:
        factor = lay(cotangent * second) if second is not None else cotangent

        def term(change: Tensor, tangents: tuple[Tensor, ...], accumulators: tuple[Accumulator, ...]) -> None:
            accumulators[0].add((change * first).addcmul_(tangents[0], factor))

        return term

    linear = second is None
    return Rule(jvp, vjp, None if linear else hvp_term, fresh=True, scale=scale if linear else None)


def _relu(site: Site) -> Rule:
    """The output is kept, which the next layer keeps anyway, and serves as the mask."""
    output = site.keep(site.output)

    def jvp(tangent: Tensor) -> Tensor:
        return aten.threshold_backward(tangent, output, 0)

    def vjp(cotangent: Tensor, accumulator: Accumulator) -> None:
        accumulator.add(jvp(cotangent))

    def scale(value: Tensor) -> Tensor:
        return aten.threshold_backward.grad_input(value, output, 0, grad_input=value)

    return Rule(jvp, vjp, fresh=True, scale=scale)


def _tanh(site: Site) -> Derivatives:
    y = site.output
    first = 1 - y * y
    return first, -2 * y * first


def _sigmoid(site: Site) -> Derivatives:
    y = site.output
    first = y * (1 - y)
    return first, first * (1 - 2 * y)


def _silu(site: Site) -> Derivatives:
    x = site[0]
    s = torch.sigmoid(x)
    inner = s * (1 - s)
    return s + x * inner, inner * (2 + x * (1 - 2 * s))


def _gelu(site: Site) -> Derivatives:
    x: Tensor = site[0]
    if site.node.kwargs.get("approximate", "none") == "none":
        density = torch.exp(-x * x / 2) / math.sqrt(2 * math.pi)
        return torch.special.ndtr(x) + x * density, density * (2 - x * x)
    scale, cubic = math.sqrt(2 / math.pi), 0.044715
    t = torch.tanh(scale * (x + cubic * x**3))
    inner = scale * (1 + 3 * cubic * x * x)
    outer = 1 - t * t
    first = (1 + t) / 2 + x * outer * inner / 2
    return first, outer * (inner + x * (3 * scale * cubic * x - t * inner * inner))


def _softplus(site: Site) -> Derivatives:
    x, beta, threshold = site[0], site[1], site[2]
    s = torch.sigmoid(beta * x)
    linear = beta * x > threshold
    return torch.where(linear, 1.0, s), torch.where(linear, 0.0, beta * s * (1 - s))


def _elu(site: Site) -> Derivatives:
    x, alpha, scale, inner = site[0], site[1], site[2], site[3]
    grown = alpha * scale * inner * torch.exp(torch.clamp(x, max=0) * inner)
    return torch.where(x > 0, scale, grown), torch.where(x > 0, 0.0, grown * inner)


def _celu(site: Site) -> Derivatives:
    x, alpha = site[0], site[1]
    grown = torch.exp(torch.clamp(x, max=0) / alpha)
    return torch.where(x > 0, 1.0, grown), torch.where(x > 0, 0.0, grown / alpha)


def _exp(site: Site) -> Derivatives:
    return site.output, site.output


def _log(site: Site) -> Derivatives:
    first = site[0].reciprocal()
    return first, -first * first


def _log1p(site: Site) -> Derivatives:
    first = (site[0] + 1).reciprocal()
    return first, -first * first


def _expm1(site: Site) -> Derivatives:
    first = site.output + 1
    return first, first


def _sqrt(site: Site) -> Derivatives:
    first = 0.5 / site.output
    return first, -0.5 * first / site[0]


def _rsqrt(site: Site) -> Derivatives:
    y = site.output
    return -0.5 * y**3, 0.75 * y**5


def _reciprocal(site: Site) -> Derivatives:
    y = site.output
    return -y * y, 2 * y**3


def _power(site: Site) -> Derivatives:
    x, p = site[0], site[1]
    if isinstance(p, Tensor):
        raise site.unknown("with a tensor as exponent")
    if p in (0, 1):  # p x^(p - 1) is not a number at 0 where p is 0
        return torch.full_like(x, p), None
    return p * x ** (p - 1), p * (p - 1) * x ** (p - 2)


def _sin(site: Site) -> Derivatives:
    return torch.cos(site[0]), -site.output


def _cos(site: Site) -> Derivatives:
    return -torch.sin(site[0]), -site.output


def _erf(site: Site) -> Derivatives:
    x: Tensor = site[0]
    first = torch.exp(-x * x) * (2 / math.sqrt(math.pi))
    return first, -2 * x * first


def _abs(site: Site) -> Derivatives:
    return torch.sign(site[0]), None


def _leaky_relu(site: Site) -> Derivatives:
    x = site[0]
    return torch.where(x > 0, torch.ones_like(x), site[1]), None


def _clamp(site: Site) -> Derivatives:
    """As autograd has it, the ends count as inside."""
    x, least, most = site[0], site[1], site[2]
    inside = torch.ones_like(x)
    if least is not None:
        inside = inside * (x >= least)
    if most is not None:
        inside = inside * (x <= most)
    return inside, None


def _hardtanh(site: Site) -> Derivatives:
    """As autograd has it, the ends count as outside."""
    x = site[0]
    return ((x > site[1]) & (x < site[2])).to(x.dtype), None


def _masked_fill(site: Site) -> Derivatives:
    if site.live(2):
        raise site.unknown("with a value that depends on the parameters")
    return (~site[1]).to(site.output.dtype).expand_as(site.output), None


_DERIVATIVES: Final[Mapping[object, Callable[[Site], Derivatives]]] = {
    aten.tanh.default: _tanh,
    aten.sigmoid.default: _sigmoid,
    aten.silu.default: _silu,
    aten.gelu.default: _gelu,
    aten.softplus.default: _softplus,
    aten.elu.default: _elu,
    aten.celu.default: _celu,
    aten.exp.default: _exp,
    aten.log.default: _log,
    aten.log1p.default: _log1p,
    aten.expm1.default: _expm1,
    aten.sqrt.default: _sqrt,
    aten.rsqrt.default: _rsqrt,
    aten.reciprocal.default: _reciprocal,
    aten.pow.Tensor_Scalar: _power,
    aten.sin.default: _sin,
    aten.cos.default: _cos,
    aten.erf.default: _erf,
    aten.abs.default: _abs,
    aten.leaky_relu.default: _leaky_relu,
    aten.clamp.default: _clamp,
    aten.hardtanh.default: _hardtanh,
    aten.masked_fill.Scalar: _masked_fill,
    aten.masked_fill.Tensor: _masked_fill,
}

ELEMENTWISE: Final[Mapping[object, Builder]] = MappingProxyType(
    {aten.relu.default: _relu, **{op: partial(_elementwise, rule) for op, rule in _DERIVATIVES.items()}}
)
"""Rules of functions of single numbers."""
