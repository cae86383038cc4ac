"""The engine `linearised`: the derivative of the gradient, or of the outputs, traced once and kept.

Tracing takes seconds on a deep network; a product then repeats none of the work that does not depend on its direction.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from hessbench.problems.curvature.engines.columns import map_columns
from hessbench.problems.curvature.engines.engine import Products
from hessbench.problems.curvature.engines.kept_graph import between_jacobians
from hessbench.problems.networks.linearisation import Linearisation, quiet_transforms
from hessbench.problems.networks.network import Batch, Network


def hessian(network: Network, batch: Batch) -> Products:
    """Hessian of a batch by the kept linearisation of its gradient.

    Cost: a trace of the gradient and of its derivative, in seconds rather than gradients.
    """
    parameters = network.parameters.detach()
    with quiet_transforms():
        _, push = torch.func.linearize(torch.func.grad(network.part_of(batch)), parameters)
        push(torch.zeros_like(parameters))  # the first call computes what all others share

    def column(direction: Tensor) -> Tensor:
        return push(direction)

    def multiply(block: Tensor) -> Tensor:
        return map_columns(column, block, batched=network.batched).detach()

    return Products(multiply)


def ggn(network: Network, batch: Batch) -> Products:
    """GGN of a batch by a JVP of the kept linearisation of its outputs, and a VJP through their kept graph.

    Cost: a trace of the outputs and of their derivative, in seconds rather than gradients.
    """
    return between_jacobians(network, batch, Linearisation(replace(network, traced=True), network.on(batch)))
