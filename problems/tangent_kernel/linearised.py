"""What the network linearised at its parameters says at others: f(theta_0) + J (theta - theta_0)."""

from __future__ import annotations

import torch
from torch import Tensor

from hessbench.operators import ProductKind
from hessbench.problems.networks.linearisation import Linearisation
from hessbench.problems.networks.network import Network
from hessbench.spending import Spending


def linearised_outputs(network: Network, parameters: Tensor, *, spending: Spending | None = None) -> Tensor:
    """Outputs of the linearised network on the data of the network.

    Args:
        network: The network at theta_0, such as the initial state.
        parameters: theta (n,), such as those of the same network when it is trained.
        spending: What is charged, such as `op.spending` of a counted operator.

    Returns:
        f(theta_0) + J (theta - theta_0), (N, C).

    Cost: one Jacobian-vector product, charged, and what sets it up: a forward and a backward pass.

    Raises:
        ValueError: If theta is no vector of that length, dtype and device.

    Source:
        Lee et al. 2019, https://arxiv.org/abs/1902.06720, equation (3).
    """
    start = network.parameters
    if parameters.shape != start.shape or parameters.dtype != start.dtype or parameters.device != start.device:
        raise ValueError(
            f"parameters takes a vector {tuple(start.shape)} of {start.dtype} on {start.device}, got "
            f"{tuple(parameters.shape)} of {parameters.dtype} on {parameters.device}"
        )
    if spending is not None:
        spending.charge(ProductKind.JVP, 1, network.num_samples, network.num_samples)
    change = (parameters.detach() - start.detach())[:, None]
    outputs: list[Tensor] = []
    for batch in network.batches:
        jacobian = Linearisation(network, network.on(batch))
        outputs.append(jacobian.outputs + jacobian.jvp(change)[..., 0].detach())
    return torch.cat(outputs)
