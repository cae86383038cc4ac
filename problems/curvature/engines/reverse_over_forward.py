"""The engine `reverse-over-forward`: backward passes through what forward mode computes; nothing is kept.

A Hessian product is the gradient of the loss's directional derivative. In a GGN product the vector-Jacobian product is
the transpose of the forward-mode map u -> J u, which is linear: J^T is its derivative backwards, wherever it is taken.
"""

from __future__ import annotations

import torch
from torch import Tensor

from hessbench.problems.curvature.engines.columns import map_columns, outputs_and_pull
from hessbench.problems.curvature.engines.engine import EngineUnavailable, Products
from hessbench.problems.networks.linearisation import quiet_transforms
from hessbench.problems.networks.network import Batch, Network


def hessian(network: Network, batch: Batch) -> Products:
    """Hessian of a batch: one gradient of a directional derivative for each column, one for a block where batched.

    Raises:
        EngineUnavailable: If the batch is one group: what torch 2.13 gives as the derivative of the forward derivative
            of batch norm in training mode is not that, and the product would be wrong.
    """
    if network.group:
        raise EngineUnavailable(
            "the engine reverse-over-forward makes no Hessian products with batch norm in training mode, whose forward "
            "derivative torch cannot differentiate"
        )
    parameters = network.parameters.detach()
    objective = network.part_of(batch)

    def column(direction: Tensor) -> Tensor:
        def slope(at: Tensor) -> Tensor:
            return torch.func.jvp(objective, (at,), (direction,))[1]

        return torch.func.grad(slope)(parameters)

    def multiply(block: Tensor) -> Tensor:
        with quiet_transforms():
            return map_columns(column, block, batched=network.batched).detach()

    return Products(multiply)


def ggn(network: Network, batch: Batch) -> Products:
    """GGN of a batch: a forward-mode pass and its transpose for each column."""
    parameters = network.parameters.detach()
    outputs_at = network.on(batch)

    def push(direction: Tensor) -> Tensor:
        return torch.func.jvp(outputs_at, (parameters,), (direction,))[1]

    def multiply(block: Tensor) -> Tensor:
        with torch.no_grad():
            outputs = outputs_at(parameters)
        with quiet_transforms():
            _, pull = outputs_and_pull(push, torch.zeros_like(parameters))
            changes = map_columns(push, block, batched=network.batched).detach()
            weights = network.loss.bend(outputs, batch.targets)(changes) * network.scale
            return map_columns(pull, weights, batched=network.batched).detach()

    return Products(multiply)
