"""Products of two values: entry by entry, and of matrices."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

import torch
from torch import Tensor

from hessbench.problems.curvature.rules.rule import (
    Accumulator,
    Builder,
    HvpTerm,
    Rule,
    Site,
    added,
    columns,
    lifted,
    reducer,
)
from hessbench.problems.curvature.rules.sums import scaled

aten = torch.ops.aten
NARROW: Final = 16
"""Columns below which a product of matrices leaves the fast path of the library (a third of its speed for 10)."""

_LARGE: Final = 2**16
_MOST_USED: Final = 0.9
"""Entries of inputs from which columns of zeros are looked for, and the share that others may have where they are left
out: choosing and putting back costs two passes over the weights."""


def _multiplied(site: Site) -> Rule:
    a, b = site[0], site[1]
    if not isinstance(b, Tensor):
        return scaled(b)
    return _entries(site, a, b)


def _entries(site: Site, a: Tensor, b: Tensor) -> Rule:
    """The rule of a * b for values of any shapes that broadcast."""
    shape = site.output.shape
    ndim = len(shape)
    live_a, live_b = site.live(0), site.live(1)
    a, b = site.keep(a), site.keep(b)
    lay = site.lay
    to_a, to_b = reducer(a.shape, shape), reducer(b.shape, shape)

    if not (live_a and live_b):
        factor, reduce = (b, to_a) if live_a else (a, to_b)

        return _weighted(factor, ndim, reduce)

    def jvp(one: Tensor, other: Tensor) -> Tensor:
        return (lifted(one, ndim) * b).addcmul_(lifted(other, ndim), a)

    def vjp(cotangent: Tensor, into_a: Accumulator, into_b: Accumulator) -> None:
        into_a.add(to_a(cotangent * b))
        into_b.add(to_b(cotangent * a))

    def hvp_term(cotangent: Tensor) -> HvpTerm:
        d = lay(cotangent)

        def term(change: Tensor, tangents: tuple[Tensor, ...], accumulators: tuple[Accumulator, ...]) -> None:
            one, other = (lifted(tangent, ndim) for tangent in tangents)
            accumulators[0].add(to_a((change * b).addcmul_(d, other)))
            accumulators[1].add(to_b((change * a).addcmul_(d, one)))

        return term

    return Rule(jvp, vjp, hvp_term)


def _weighted(factor: Tensor, ndim: int, reduce: Callable[[Tensor], Tensor]) -> Rule:
    """A value times a constant."""

    def jvp(tangent: Tensor) -> Tensor:
        return lifted(tangent, ndim) * factor

    def vjp(cotangent: Tensor, accumulator: Accumulator) -> None:
        accumulator.add(reduce(cotangent * factor))

    return Rule(jvp, vjp, fresh=True)


def _divided(site: Site) -> Rule:
    """Quotient a / b as a times 1 / b; the second derivative in b only where b depends on the parameters."""
    a, b = site[0], site[1]
    if not isinstance(b, Tensor):
        return scaled(1 / b)
    if not site.live(1):
        return _weighted(site.lay(b.reciprocal()), site.output.ndim, reducer(a.shape, site.output.shape))
    return _quotient(site, a, b)


def _quotient(site: Site, a: Tensor, b: Tensor) -> Rule:
    """Quotient y = a / b, b live: y' = (a' - y b') / b."""
    shape, live_a = site.output.shape, site.live(0)
    ndim = len(shape)
    inverse, y = b.reciprocal(), site.output
    to_a, to_b = reducer(a.shape, shape), reducer(b.shape, shape)

    def jvp(*tangents: Tensor) -> Tensor:
        below = lifted(tangents[-1], ndim) * y
        return ((lifted(tangents[0], ndim) - below) if live_a else -below) * inverse

    def vjp(cotangent: Tensor, *accumulators: Accumulator) -> None:
        part = cotangent * inverse
        if live_a:
            accumulators[0].add(to_a(part), owned=False)
        accumulators[-1].add(to_b(-part * y))

    def hvp_term(cotangent: Tensor) -> HvpTerm:
        d = cotangent * inverse

        def term(change: Tensor, tangents: tuple[Tensor, ...], accumulators: tuple[Accumulator, ...]) -> None:
            # part = cotangent / b changes by (change - d b') / b; then -part y by -part' y - d y'.
            part = (change - d * lifted(tangents[-1], ndim)) * inverse
            if live_a:
                accumulators[0].add(to_a(part), owned=False)
            accumulators[-1].add(to_b(-part * y - d * jvp(*tangents)))

        return term

    return Rule(jvp, vjp, hvp_term)


def _matrices(site: Site) -> Rule:
    return _product(site, 0, 1, None)


def _matrices_added(site: Site) -> Rule:
    if site[3] != 1 or site[4] != 1:
        raise site.unknown("with a factor")
    return _product(site, 1, 2, 0)


def _product(site: Site, left: int, right: int, added_to: int | None) -> Rule:
    """A @ B + bias for matrices (p, q) and (q, r); each term is one product of matrices for all columns."""
    whole, B, bias = site[left], site[right], None if added_to is None else site[added_to]
    live_a, live_b, live_bias = site.live(left), site.live(right), added_to is not None and site.live(added_to)
    used = None if live_a or not live_b else _used(whole)
    A = whole if used is None else whole[:, used]
    p, q = A.shape
    r = B.shape[1]
    At, Bt = A.t(), B.t()
    narrow = r < NARROW
    reduce = reducer(bias.shape, site.output.shape) if bias is not None else None

    def jvp(*tangents: Tensor) -> Tensor:
        k = tangents[0].shape[0]
        shift = lifted(tangents[0], 2) if live_bias else None
        if used is not None:
            # By rows of the transpose, which is how weights lie.
            tangents = (*tangents[:-1], tangents[-1].transpose(1, 2).index_select(2, used).transpose(1, 2))
        if narrow and k > 1 and live_b:
            return jvp_narrow(k, shift, tangents[-1], tangents[int(live_bias)] if live_a else None)
        tangent: Tensor | None = None
        if live_b:
            A_k, change = columns(A, k), tangents[-1]
            tangent = torch.bmm(A_k, change) if shift is None else torch.baddbmm(shift, A_k, change)
            shift = None
        if live_a:
            rows = tangents[int(live_bias)].reshape(k * p, q)
            if tangent is None:
                tangent = torch.mm(rows, B).view(k, p, r)
            else:
                tangent.view(k * p, r).addmm_(rows, B)
        if tangent is None:
            return tangents[0].expand(k, p, r) if shift is None else shift.expand(k, p, r)
        return tangent if shift is None else tangent.add_(shift)

    def jvp_narrow(k: int, shift: Tensor | None, change: Tensor, rows: Tensor | None) -> Tensor:
        """The same with all columns of the changes side by side, and what has few columns transposed."""
        tangent = torch.mm(A, change.transpose(0, 1).reshape(q, k * r)).view(p, k, r).transpose(0, 1)
        if shift is not None:
            tangent = tangent + shift
        if rows is None:
            return tangent.contiguous()
        through = torch.mm(Bt, rows.reshape(k * p, q).t()).t().view(k, p, r)
        return torch.add(tangent, through, out=tangent.new_empty(k, p, r))

    def vjp(cotangent: Tensor, *accumulators: Accumulator) -> None:
        k = cotangent.shape[0]
        if live_bias and reduce is not None:
            part = reduce(cotangent)
            accumulators[0].add(part, owned=part is not cotangent)
        if live_a:
            accumulators[int(live_bias)].add(torch.mm(cotangent.reshape(k * p, r), Bt).view(k, p, q))
        if live_b and used is None:
            accumulators[-1].product(columns(At, k), cotangent)
        elif used is not None:
            accumulators[-1].add_rows(torch.bmm(cotangent.transpose(1, 2), columns(A, k)), used, B.shape[0])

    def hvp_term(cotangent: Tensor) -> HvpTerm:
        d = cotangent.contiguous()

        def term(change: Tensor, tangents: tuple[Tensor, ...], accumulators: tuple[Accumulator, ...]) -> None:
            vjp(change, *accumulators)
            k = change.shape[0]
            accumulators[-2].product(columns(d, k), tangents[-1].transpose(1, 2))
            accumulators[-1].product(tangents[-2].transpose(1, 2), columns(d, k))

        return term

    return Rule(jvp, vjp, hvp_term if live_a and live_b else None, fresh=live_a or live_b)


def _used(A: Tensor) -> Tensor | None:
    """Columns of constant inputs that are not all zero, where leaving the others out pays: dark edges of images."""
    used = A.any(dim=0)
    number = int(used.sum())
    is_worth_it = A.numel() >= _LARGE and number <= _MOST_USED * A.shape[1]
    return used.nonzero()[:, 0] if is_worth_it else None


def _batches(site: Site) -> Rule:
    return _batch_product(site, 0, 1, None)


def _batches_added(site: Site) -> Rule:
    if site[3] != 1 or site[4] != 1:
        raise site.unknown("with a factor")
    return _batch_product(site, 1, 2, 0)


def _batch_product(site: Site, left: int, right: int, added_to: int | None) -> Rule:
    """A @ B + bias for b matrices (b, p, q) and (b, q, r)."""
    A, B, bias = site[left], site[right], None if added_to is None else site[added_to]
    live_a, live_b, live_bias = site.live(left), site.live(right), added_to is not None and site.live(added_to)
    shape = site.output.shape
    reduce = reducer(bias.shape, shape) if bias is not None else None
    At, Bt = A.transpose(1, 2), B.transpose(1, 2)

    def jvp(*tangents: Tensor) -> Tensor:
        terms: list[Tensor] = []
        if live_a:
            terms.append(tangents[int(live_bias)] @ B)
        if live_b:
            terms.append(A @ tangents[-1])
        if live_bias:
            terms.append(lifted(tangents[0], 3).expand(tangents[0].shape[0], *shape))
        return added(terms)

    def vjp(cotangent: Tensor, *accumulators: Accumulator) -> None:
        if live_bias and reduce is not None:
            part = reduce(cotangent)
            accumulators[0].add(part, owned=part is not cotangent)
        if live_a:
            accumulators[int(live_bias)].add(cotangent @ Bt)
        if live_b:
            accumulators[-1].add(At @ cotangent)

    def hvp_term(cotangent: Tensor) -> HvpTerm:
        def term(change: Tensor, tangents: tuple[Tensor, ...], accumulators: tuple[Accumulator, ...]) -> None:
            vjp(change, *accumulators)
            accumulators[-2].add(cotangent @ tangents[-1].transpose(2, 3))
            accumulators[-1].add(tangents[-2].transpose(2, 3) @ cotangent)

        return term

    return Rule(jvp, vjp, hvp_term if live_a and live_b else None)


BILINEAR: Final[Mapping[object, Builder]] = MappingProxyType(
    {
        aten.mul.Tensor: _multiplied,
        aten.div.Tensor: _divided,
        aten.mm.default: _matrices,
        aten.addmm.default: _matrices_added,
        aten.bmm.default: _batches,
        aten.baddbmm.default: _batches_added,
    }
)
"""Rules of products of two values."""
