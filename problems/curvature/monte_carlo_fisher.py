"""The Monte-Carlo Fisher matrix: the GGN with targets drawn from the model's own predictive distribution."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final

import torch
from torch import Tensor

from hessbench.problems.networks.losses import Loss
from hessbench.problems.networks.network import Batch, Network, refuse_infinite
from hessbench.seeding import derive_seed, make_generator

MAX_SAMPLES: Final = 1000
"""Most targets drawn for a sample."""


def fisher_network(network: Network, mc_samples: int = 1, seed: int = 0) -> Network:
    """The network whose GGN is the Monte-Carlo Fisher matrix F of the given one.

    F = scale / r * sum_i sum_j g_ij g_ij^T with g_ij = J_i^T s_ij (n,) and s_ij (C,) the gradient in the outputs of the
    loss of sample i at the j-th of r targets drawn from the model's own prediction: classes from the softmax for
    cross-entropy, one for each position of a sequence, zeros and ones from the sigmoid for binary cross-entropy, normal
    of unit variance around the outputs for the squared loss. The expectation over draws is the
    GGN (Martens 2020, https://arxiv.org/abs/1412.1193; Kunstner et al. 2019, https://arxiv.org/abs/1905.12558). Class
    weights and smoothing scale the Hessian of a sample's loss by a number, and its s by the root of that.

    The targets are drawn once, here, from outputs in float64 on the CPU: the same for every dtype and device. F is then
    J^T B J with B block diagonal, so that a product is one JVP and one VJP whatever r, and F has a factor of r columns
    a sample.

    Args:
        network: The network; its batches get the slopes (m, C, r) in place of targets.
        mc_samples: Targets r drawn for each sample, 1 to 1000.
        seed: Of the draws, 0 or more.

    Cost: one forward pass in float64.

    Raises:
        ValueError: If a number is out of range, the loss names no distribution, or the loss is not finite.
    """
    if not 1 <= mc_samples <= MAX_SAMPLES:
        raise ValueError(f"mc_samples must be between 1 and {MAX_SAMPLES}, got {mc_samples}")
    if seed < 0:
        raise ValueError(f"seed must be at least 0, got {seed}")
    if network.loss.draw is None:
        raise ValueError(
            f"the loss {network.loss.name} names no distribution that targets could be drawn from: monte-carlo-fisher "
            "takes cross-entropy, binary cross-entropy without pos_weight, or squared"
        )
    parameters = network.parameters
    cpu, exact = torch.device("cpu"), parameters.detach().cpu().double()
    outputs: list[Tensor] = []
    targets: list[Tensor] = []
    for number, own in enumerate(network.batches, 1):
        batch = own.to(cpu, torch.float64)
        with torch.no_grad():
            outputs.append(network.forward(exact, batch.inputs))
        refuse_infinite(network.loss.total(outputs[-1], batch.targets), number)
        targets.append(batch.targets)
    # All at once, so that the draws do not depend on how the data are cut into batches.
    generator = make_generator(derive_seed("monte-carlo-fisher", str(seed)))
    slopes = network.loss.draw(torch.cat(outputs), torch.cat(targets), mc_samples, generator).to(parameters)
    parts = slopes.split([batch.size for batch in network.batches])
    batches = tuple(Batch(batch.inputs, part) for batch, part in zip(network.batches, parts, strict=True))
    loss = Loss(f"drawn {network.loss.name}", _half_squares, network.loss.mean, _root, _product)
    return replace(network, batches=batches, loss=loss)


def _half_squares(outputs: Tensor, slopes: Tensor) -> Tensor:
    """A loss whose Hessian in the outputs is the mean of s s^T over the draws; its slope means nothing."""
    return torch.einsum("mc,mcr->mr", outputs, slopes).square().sum() / (2 * slopes.shape[2])


def _root(outputs: Tensor, slopes: Tensor) -> Tensor:
    del outputs
    return slopes / slopes.shape[2] ** 0.5


def _product(outputs: Tensor, slopes: Tensor) -> Callable[[Tensor], Tensor]:
    S = _root(outputs, slopes)
    if S.shape[1] < S.shape[2]:
        B = S @ S.mT
        return lambda change: B @ change
    return lambda change: S @ (S.mT @ change)
