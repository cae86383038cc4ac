"""The engine `forward-over-reverse`: forward-mode derivatives of what backward passes compute; nothing is kept.

A Hessian product is the directional derivative of the gradient. A GGN product is a forward-mode JVP, and a VJP.
"""

from __future__ import annotations

import torch
from torch import Tensor

from hessbench.problems.curvature.engines.columns import map_columns, outputs_and_pull
from hessbench.problems.curvature.engines.engine import Products
from hessbench.problems.networks.linearisation import quiet_transforms
from hessbench.problems.networks.network import Batch, Network


def hessian(network: Network, batch: Batch) -> Products:
    """Hessian of a batch: one forward-mode pass over its gradient for each column, one for a block where batched."""
    parameters = network.parameters.detach()
    gradient = torch.func.grad(network.part_of(batch))

    def column(direction: Tensor) -> Tensor:
        return torch.func.jvp(gradient, (parameters,), (direction,))[1]

    def multiply(block: Tensor) -> Tensor:
        with quiet_transforms():
            return map_columns(column, block, batched=network.batched).detach()

    return Products(multiply)


def ggn(network: Network, batch: Batch) -> Products:
    """GGN of a batch: a forward pass with its graph for each block, and a JVP and a VJP for each column."""
    parameters = network.parameters.detach()
    outputs_at = network.on(batch)

    def push(direction: Tensor) -> Tensor:
        return torch.func.jvp(outputs_at, (parameters,), (direction,))[1]

    def multiply(block: Tensor) -> Tensor:
        with quiet_transforms():
            outputs, pull = outputs_and_pull(outputs_at, parameters)
            changes = map_columns(push, block, batched=network.batched).detach()
            weights = network.loss.bend(outputs.detach(), batch.targets)(changes) * network.scale
            return map_columns(pull, weights, batched=network.batched).detach()

    return Products(multiply)
