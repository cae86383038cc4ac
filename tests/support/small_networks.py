"""Small networks as plain formulas: dense, convolutions with batch norm and pooling, residual, attention on tokens."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import torch
from dense_oracle import FORMULAS, Formula, Oracle
from torch import Tensor
from torch.nn import functional

from hessbench.problems.curvature.monte_carlo_fisher import fisher_network
from hessbench.problems.networks.binary_loss import binary_cross_entropy
from hessbench.problems.networks.losses import CROSS_ENTROPY, SQUARED, Loss
from hessbench.problems.networks.network import Batch, Network
from hessbench.problems.networks.row_losses import by_rows

SAMPLES, CLASSES, TOKENS = 7, 3, 5
SPLITS = {"one batch": (7,), "ragged batches": (3, 3, 1)}


def dense(parameters: Tensor, inputs: Tensor) -> Tensor:
    """4 -> 3 tanh -> 3 ReLU -> 3, (m, 4) -> (m, 3)."""
    W1, b1, W2, b2, W3 = parameters.split([12, 3, 9, 3, 9])
    hidden = torch.tanh(functional.linear(inputs, W1.view(3, 4), b1))
    hidden = torch.relu(functional.linear(hidden, W2.view(3, 3), b2))
    return functional.linear(hidden, W3.view(3, 3))


def convolutions(parameters: Tensor, inputs: Tensor) -> Tensor:
    """Convolution, batch norm at fixed statistics, convolution, pooling and linear; 2 x 2 images -> (m, 3)."""
    first, second, W, scale, shift = parameters.split([8, 8, 6, 2, 2])
    mean, variance = torch.tensor([0.3, -0.2]).to(inputs), torch.tensor([0.5, 1.5]).to(inputs)
    x = functional.conv2d(inputs.view(-1, 1, 2, 2), first.view(2, 1, 2, 2), padding=1)
    x = torch.relu(functional.batch_norm(x, mean, variance, scale, shift))
    x = torch.tanh(functional.conv2d(x, second.view(2, 2, 1, 2)))
    return functional.linear(functional.max_pool2d(x, (3, 2)).flatten(1), W.view(3, 2))


def residual(parameters: Tensor, inputs: Tensor) -> Tensor:
    """x + W2 softplus(W1 x + b), the first matrix used again at the end, (m, 4) -> (m, 3)."""
    W1, b, W2, W3 = parameters.split([16, 4, 16, 12])
    hidden = functional.softplus(functional.linear(inputs, W1.view(4, 4), b))
    hidden = inputs + functional.linear(hidden, W2.view(4, 4))
    return functional.linear(torch.sigmoid(hidden) @ W1.view(4, 4), W3.view(3, 4))


def attention(parameters: Tensor, tokens: Tensor) -> Tensor:
    """Embedding, one head of attention and a decoder, (m, 3) class numbers -> (m, 3)."""
    table, Q, K, V, W = parameters.split([10, 4, 4, 4, 6])
    x = functional.embedding(tokens, table.view(TOKENS, 2))
    scores = (x @ Q.view(2, 2)) @ (x @ K.view(2, 2)).transpose(1, 2) / 2**0.5
    x = x + scores.softmax(dim=2) @ (x @ V.view(2, 2))
    return functional.linear(functional.gelu(x).mean(dim=1), W.view(3, 2))


def sequence(parameters: Tensor, inputs: Tensor) -> Tensor:
    """2 -> 2 tanh -> 3 at each of two positions, (m, 4) -> (m, 6)."""
    W1, b, W2 = parameters.split([4, 2, 6])
    hidden = torch.tanh(functional.linear(inputs.view(-1, 2, 2), W1.view(2, 2), b))
    return functional.linear(hidden, W2.view(3, 2)).flatten(1)


NETWORKS: dict[str, tuple[Formula, int, dict[str, Any]]] = {
    "dense": (dense, 36, {"batched": True}),
    "convolutions": (convolutions, 26, {"batched": False}),
    "residual": (residual, 48, {"batched": True}),
    "attention": (attention, 28, {"batched": False, "traced": False}),
    "sequence": (sequence, 12, {"batched": True}),
}
"""By name: the formula, its number of parameters, and how blocks are made."""

LOSSES = {
    f"{name} {'mean' if mean else 'sum'}": replace(loss, mean=mean)
    for name, loss in (
        ("cross-entropy", CROSS_ENTROPY), ("squared", SQUARED), ("log-cosh", Loss("log-cosh", FORMULAS["log-cosh"])),
        ("of-positions", replace(by_rows(CROSS_ENTROPY, CLASSES), name="of-positions")),
        ("binary-cross-entropy", binary_cross_entropy()),
    )
    for mean in (True, False)
}  # fmt: skip


def small_network(
    name: str = "dense",
    loss: str = "cross-entropy mean",
    sizes: tuple[int, ...] = (SAMPLES,),
    dtype: torch.dtype = torch.float64,
    **flags: Any,
) -> Network:
    """One of `NETWORKS` on seven samples.

    Args:
        name: In `NETWORKS`.
        loss: In `LOSSES`.
        sizes: Of the batches, in sum `SAMPLES`.
        dtype: Of weights and inputs, which fit float32 whatever it is.
        flags: Of `Network`, in place of those of the table.
    """
    forward, dim, usual = NETWORKS[name]
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(SAMPLES, 4, generator=generator)
    labels = torch.randint(0, CLASSES, (SAMPLES, 2) if name == "sequence" else (SAMPLES,), generator=generator)
    parameters = 0.7 * torch.randn(dim, generator=generator)
    if name == "attention":
        inputs = torch.randint(0, TOKENS, (SAMPLES, 3), generator=generator)
    if loss.startswith("binary"):
        labels = torch.eye(CLASSES)[labels]
    batches = tuple(Batch(*pair) for pair in zip(inputs.split(sizes), labels.split(sizes), strict=True))
    network = Network(forward, parameters, batches, LOSSES[loss], **{**usual, **flags})
    return network.to(torch.device("cpu"), dtype)


def takes(loss: str, operator: str) -> bool:
    """Whether the operator is defined for the loss: log-cosh has no root, and names no distribution of targets."""
    return not loss.startswith("log-cosh") or operator not in ("monte-carlo-fisher", "gram")


@cache
def oracle_of(name: str, loss: str) -> Oracle:
    """The oracle of one of `NETWORKS`, whatever its batches and its engine."""
    network = small_network(name, loss)
    (batch,) = network.batches
    drawn = drawn_targets(network) if network.loss.draw is not None else None
    return Oracle(
        network.forward, network.parameters, batch.inputs, batch.targets, FORMULAS[network.loss.name],
        1 / SAMPLES if network.loss.mean else 1.0, network.loss.root, drawn,
    )  # fmt: skip


def drawn_targets(network: Network, mc_samples: int = 1, seed: int = 0) -> Tensor:
    """The target drawn for each sample, read off the slope p - e_y or f - y that the operator keeps."""
    slopes = torch.cat([batch.targets for batch in fisher_network(network, mc_samples, seed).batches])[:, :, 0]
    if network.loss.name == "cross-entropy":
        return slopes.argmin(dim=1)
    if network.loss.name == "of-positions":
        return slopes.view(-1, 2, CLASSES).argmin(dim=2)
    if network.loss.name == "binary-cross-entropy":
        return (slopes < 0).to(slopes)
    return torch.cat([network.forward(network.parameters, batch.inputs) for batch in network.batches]) - slopes
