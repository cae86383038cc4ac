"""The engines by forward-mode derivatives: `forward-over-reverse`, `reverse-over-forward` and `linearised`.

- `forward-over-reverse`: a Hessian product is the directional derivative of the gradient; a GGN product is a
  forward-mode JVP, and a VJP. Nothing is kept.
- `reverse-over-forward`: a Hessian product is the gradient of the loss's directional derivative. In a GGN product the
  VJP is the transpose of the forward-mode map u -> J u, which is linear: J^T is its derivative backwards, wherever it
  is taken. Nothing is kept.
- `linearised`: the derivative of the gradient, or of the outputs, traced once and kept. Tracing takes seconds on a deep
  network; a product then repeats none of the work that does not depend on its direction.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from hessbench.problems.curvature.engines.engine import EngineUnavailable, Products
from hessbench.problems.curvature.engines.kept_graph import between_jacobians
from hessbench.problems.networks.linearisation import Linearisation, quiet_transforms
from hessbench.problems.networks.network import Batch, Network


def forward_over_reverse_hessian(network: Network, batch: Batch) -> Products:
    """Hessian of a batch: one forward-mode pass over its gradient for each column, one for a block where batched."""
    parameters = network.parameters.detach()
    gradient = torch.func.grad(network.part_of(batch))

    def column(direction: Tensor) -> Tensor:
        return torch.func.jvp(gradient, (parameters,), (direction,))[1]

    def multiply(block: Tensor) -> Tensor:
        with quiet_transforms():
            return map_columns(column, block, batched=network.batched).detach()

    return Products(multiply)


def forward_over_reverse_ggn(network: Network, batch: Batch) -> Products:
    """GGN of a batch: a forward pass with its graph for each block, and a JVP and a VJP for each column."""
    parameters = network.parameters.detach()
    outputs_at = network.on(batch)

    def jvp(direction: Tensor) -> Tensor:
        return torch.func.jvp(outputs_at, (parameters,), (direction,))[1]

    def multiply(block: Tensor) -> Tensor:
        with quiet_transforms():
            outputs, vjp = outputs_and_vjp(outputs_at, parameters)
            changes = map_columns(jvp, block, batched=network.batched).detach()
            weights = network.loss.bend(outputs.detach(), batch.targets)(changes) * network.scale
            return map_columns(vjp, weights, batched=network.batched).detach()

    return Products(multiply)


def reverse_over_forward_hessian(network: Network, batch: Batch) -> Products:
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


def reverse_over_forward_ggn(network: Network, batch: Batch) -> Products:
    """GGN of a batch: a forward-mode pass and its transpose for each column."""
    parameters = network.parameters.detach()
    outputs_at = network.on(batch)

    def jvp(direction: Tensor) -> Tensor:
        return torch.func.jvp(outputs_at, (parameters,), (direction,))[1]

    def multiply(block: Tensor) -> Tensor:
        with torch.no_grad():
            outputs = outputs_at(parameters)
        with quiet_transforms():
            _, vjp = outputs_and_vjp(jvp, torch.zeros_like(parameters))
            changes = map_columns(jvp, block, batched=network.batched).detach()
            weights = network.loss.bend(outputs, batch.targets)(changes) * network.scale
            return map_columns(vjp, weights, batched=network.batched).detach()

    return Products(multiply)


def linearised_hessian(network: Network, batch: Batch) -> Products:
    """Hessian of a batch by the kept linearisation of its gradient.

    Cost: a trace of the gradient and of its derivative, in seconds rather than gradients.
    """
    parameters = network.parameters.detach()
    with quiet_transforms():
        _, jvp = torch.func.linearize(torch.func.grad(network.part_of(batch)), parameters)
        jvp(torch.zeros_like(parameters))  # the first call computes what all others share

    def multiply(block: Tensor) -> Tensor:
        return map_columns(lambda direction: jvp(direction), block, batched=network.batched).detach()

    return Products(multiply)


def linearised_ggn(network: Network, batch: Batch) -> Products:
    """GGN of a batch by a JVP of the kept linearisation of its outputs, and a VJP through their kept graph.

    Cost: a trace of the outputs and of their derivative, in seconds rather than gradients.
    """
    return between_jacobians(network, batch, Linearisation(replace(network, traced=True), network.on(batch)))


def map_columns(function: Callable[[Tensor], Tensor], block: Tensor, *, batched: bool) -> Tensor:
    """Apply a function to each column of a block: one by one, or all in one vectorised pass.

    Args:
        function: From a column to a tensor of any shape.
        block: Columns along the last axis, (..., k), k at least 1.
        batched: Whether more than one column are mapped in one vectorised pass.

    Returns:
        Results along the last axis.
    """
    if batched and block.shape[-1] > 1:
        # Out along the first axis: torch cannot put a result that is the same for every column along a negative one.
        return torch.func.vmap(function, in_dims=-1)(block).movedim(0, -1)
    return torch.stack([function(column.contiguous()) for column in block.unbind(dim=-1)], dim=-1)


def outputs_and_vjp(function: Callable[[Tensor], Tensor], at: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
    """Value of a function at a point, and its vector-Jacobian product there."""
    found = torch.func.vjp(function, at)
    backwards = found[1]
    return found[0], lambda weights: backwards(weights)[0]
