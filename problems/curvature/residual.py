"""The residual: what the Hessian has beside the GGN, the curvature of the network itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from hessbench.problems.networks.losses import Loss
from hessbench.problems.networks.network import Batch, Network, refuse_infinite


def residual_network(network: Network) -> Network:
    """The network whose Hessian is the residual R = Hessian - GGN of the given one.

    By the chain rule R = scale * sum_i sum_c s_ic H_ic, with s_i (C,) the gradient of the loss of sample i in its
    outputs and H_ic the Hessian of output c: the Hessian of scale * sum_i <s_i, outputs_i> with the slopes s held
    fixed. So a product with R costs what one with the Hessian does, not a Hessian's and a GGN's, and cancels no digits.
    Of a network that is linear in its parameters R is the zero matrix.

    Args:
        network: The network; its batches get the slopes in place of targets.

    Cost: one forward pass.

    Raises:
        ValueError: If the loss is not finite.
    """
    batches: list[Batch] = []
    for number, batch in enumerate(network.batches, 1):
        with torch.no_grad():
            outputs = network.forward(network.parameters, batch.inputs)
        refuse_infinite(network.loss.total(outputs, batch.targets), number)
        batches.append(Batch(batch.inputs, network.loss.slope(outputs, batch.targets)))
    loss = Loss(f"slopes of {network.loss.name}", _weighted, network.loss.mean, product=_flat, linear=True)
    return replace(network, batches=tuple(batches), loss=loss)


def _weighted(outputs: Tensor, slopes: Tensor) -> Tensor:
    return (outputs * slopes).sum()


def _flat(outputs: Tensor, slopes: Tensor) -> Callable[[Tensor], Tensor]:
    """A sum weighted by fixed slopes is linear in the outputs."""
    del outputs, slopes
    return torch.zeros_like
