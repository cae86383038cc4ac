"""Trace and diagonal of a Hessian whose residual has a zero diagonal: exactly those of the GGN."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Final

import numpy as np
import torch

from hessbench.estimand import Array, Diagonal, Reference, Source, Trace
from hessbench.estimand.from_dense import References
from hessbench.estimand.work import OwnWork
from hessbench.operators import LinearOperator
from hessbench.problems.curvature.matrices import curvature_operator
from hessbench.problems.curvature.rules.structure import is_affine_in_each
from hessbench.problems.networks.network import Network
from hessbench.problems.references.factor_diagonal import factor_entries
from hessbench.problems.references.statistical import statistical_trace
from hessbench.problems.references.trace_interval import Effort
from hessbench.seeding import derive_seed, make_generator

NOTE: Final = (
    "every output is affine in each parameter alone, so the residual's diagonal is zero and this is the GGN's, from "
    "its factor"
)
_DRAWN: Final = 8
_ZERO: Final = 1e-9
"""Part of the largest entry of a column that counts as rounding."""

_SCALE: Final = Effort(samples=2)
"""For the norm and sum |lambda|, which only scale an error."""


def is_flat(network: Network, name: str = "") -> bool:
    """Whether the residual has a zero diagonal: shown of what the network computes, and seen in what autograd does.

    That every output is affine in each parameter alone is read off the recorded operations, for all entries at once. It
    says nothing of a function with a backward pass of its own, so some entries drawn at random are computed by
    differentiating twice: where a part q of them were not zero, this misses it with probability (1 - q)^8.

    Args:
        network: The network.
        name: Problem that the entries are drawn from.

    Cost: one forward pass, and eight products with the residual.
    """
    if not is_affine_in_each(network):
        return False
    op = curvature_operator(network.to(torch.device("cpu"), torch.float64), "residual", "double-backward")
    generator = make_generator(derive_seed("flat", name))
    for place in torch.randint(op.dim, (_DRAWN,), generator=generator).tolist():
        column = op.matmat(torch.zeros(op.dim, 1, dtype=torch.float64).index_fill_(0, torch.tensor([place]), 1.0))
        if abs(float(column[place, 0])) > _ZERO * float(column.abs().max()):
            return False
    return True


def flat_references(
    network: Callable[[], Network],
    build: Callable[[], LinearOperator],
    rounding: float,
    name: str = "",
    shift: float = 0.0,
) -> References:
    """References of trace and diagonal of Hessian + shift I, for a network that `is_flat`.

    The bound is that of sums of n squares, eps sqrt(n) tr GGN. The scale of a trace's error, sum |lambda|, and the norm
    are estimated as in `hessbench.problems.references.statistical`.

    Args:
        network: Makes the network.
        build: Makes Hessian + shift I, in float64.
        rounding: Constant c in the rounding c eps ||A|| of the operator that is compared with these references.
        name: Problem that the probes of the scale are seeded from.
        shift: Weight decay.

    Cost: a backward pass of one sample for each row of the GGN's factor; some 160 products for the scale.
    """

    @cache
    def entries() -> tuple[Array, float]:
        return factor_entries(network, shift)

    @cache
    def scale() -> Reference:
        return statistical_trace(build(), rounding, name, effort=_SCALE)

    def trace(_: Trace) -> Reference:
        diagonal, bound = entries()
        exact, roughly = float(diagonal.sum()), scale()
        size = max(abs(exact), float(roughly.arrays["abs_sum"][0]))
        arrays = {"trace": np.asarray([exact]), "abs_sum": np.asarray([size])}
        note = f"{NOTE}; its scale sum |lambda|, about {size:.3g}, is estimated"
        return replace(roughly, arrays=arrays, source=Source.GRAM, bound=bound, note=note)

    def diagonal(_: Diagonal) -> Reference:
        found, bound = entries()
        return replace(scale(), arrays={"diagonal": found}, source=Source.GRAM, bound=bound, note=NOTE)

    return {Trace: OwnWork(trace), Diagonal: OwnWork(diagonal)}
