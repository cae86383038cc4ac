"""How far products are from those of the kept graph, and how far is too far.

Two right ways to a product differ by rounding, which grows with the depth and is relative to the size before
cancellation. In float64 it leaves some 1e-13 of the product, in float32 some 1e-4 on a deep network, while a lost or
doubled term is a share of it: `TOLERANCES` lie well between. Where the parts of a product cancel, or a saturated loss
rounds its curvature away, the product is small beside what it was made of, and its rounding is not: it is then
judged against the product of the same network under a loss that neither cancels nor saturates.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Final

import torch
from torch import Tensor

from hessbench.operators import Matmat
from hessbench.problems.curvature.engines import kept_graph
from hessbench.problems.networks.losses import Loss
from hessbench.problems.networks.network import Network
from hessbench.seeding import derive_seed, make_generator

TOLERANCES: Final[Mapping[torch.dtype, float]] = MappingProxyType({torch.float64: 1e-6, torch.float32: 1e-3})
"""Relative difference from the kept graph from which a product is wrong rather than rounded."""

_ROUNDINGS: Final = 1000
"""Roundings of the size before cancellation that two right products may be apart."""


def disagrees(difference: float, dtype: torch.dtype) -> bool:
    """Whether a relative difference from the kept graph is more than rounding, or not a number."""
    return not difference < TOLERANCES.get(dtype, TOLERANCES[torch.float32])


def gap_of(network: Network, multiply: Matmat, matrix: str, columns: int = 2) -> float:
    """Largest relative difference from the kept graph of a column and of a block, 0 where it is rounding alone.

    Args:
        network: The network, of one batch.
        multiply: The product with its matrix.
        matrix: hessian or ggn.
        columns: Columns of the block; 1 for no block.
    """
    block = _random(network.parameters, columns)
    truth = _kept(network, matrix, block)
    if not bool(truth.isfinite().all()):
        return 0.0  # nothing to compare it with
    differences = [multiply(part) - truth[:, : part.shape[1]] for part in (block[:, :1], block)[:columns]]
    distance = torch.stack([difference.norm(dim=0).max() for difference in differences]).max()
    if bool(distance <= _rounding(truth.dtype) * truth.norm()):
        return 0.0
    size = _kept(replace(network, loss=SMOOTH), matrix, block).norm() * network.scale * _largest(network)
    if bool(distance <= _ROUNDINGS * torch.finfo(truth.dtype).eps * size):
        return 0.0
    return float(distance / truth.norm())


def _rounding(dtype: torch.dtype) -> float:
    return _ROUNDINGS * torch.finfo(dtype).eps


def _largest(network: Network) -> Tensor:
    """Largest entry of the outputs and the targets, at least 1: what slopes of the loss are made of."""
    (batch,) = network.batches
    with torch.no_grad():
        outputs = network.forward(network.parameters, batch.inputs)
    parts = [outputs.abs().max(), outputs.new_ones(())]
    if batch.targets.is_floating_point():
        parts.append(batch.targets.abs().max())
    return torch.stack(parts).max()


def _kept(network: Network, matrix: str, block: Tensor) -> Tensor:
    """Product by the kept graph, column by column; zeros where its gradient is constant."""
    make = {"hessian": kept_graph.hessian, "ggn": kept_graph.ggn}[matrix]
    try:
        products = make(replace(network, batched=False), network.batches[0])
    except ValueError:
        return torch.zeros_like(block)
    return products.multiply(block)


def _random(like: Tensor, columns: int) -> Tensor:
    generator = make_generator(derive_seed("engine-comparison"), like.device)
    return torch.randn(like.numel(), columns, generator=generator, dtype=like.dtype, device=like.device)


def _smooth(outputs: Tensor, targets: Tensor) -> Tensor:
    """Slopes of order 1 that do not cancel, and a curvature of 1."""
    del targets
    slopes = torch.arange(outputs.numel(), dtype=outputs.dtype, device=outputs.device).sin().view_as(outputs)
    return (outputs * slopes).sum() + outputs.square().sum() / 2


def _unbent(outputs: Tensor, targets: Tensor) -> Matmat:
    del outputs, targets
    return torch.clone


SMOOTH: Final = Loss("slopes that do not cancel", _smooth, mean=False, product=_unbent)
"""A loss that tells of the derivatives of the network alone."""
