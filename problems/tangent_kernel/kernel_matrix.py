"""The whole tangent kernel of a network by gradients of single samples, and how far it has moved."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

import torch
from torch import Tensor

from hessbench.operators import ProductKind
from hessbench.problems.curvature.factor import example_gradients
from hessbench.problems.networks.network import Network, refuse_group, refuse_infinite
from hessbench.spending import Spending

GRADIENT_ENTRIES: Final = 2**27
"""Entries of gradients of single samples held at a time: 0.5 GiB in float32."""


def kernel_matrix(network: Network, *, spending: Spending | None = None, entries: int = GRADIENT_ENTRIES) -> Tensor:
    """K = sum_c J_c J_c^T (N, N) whole, as the operator `ntk` multiplies with.

    Row i of J_c (N, n) is the gradient of output c of sample i. Gradients of as many samples are held as fit; where
    that is not all of them, those of the other blocks are made again for each block.

    Args:
        network: The network, each of whose samples stands by itself.
        spending: What is charged, such as `op.spending` of a counted operator.
        entries: Most numbers of gradients held at a time.

    Returns:
        The kernel, symmetric, in the network's dtype.

    Cost: N C vector-Jacobian products of one sample each where all gradients fit, which is C passes over the data, and
    N C n + N^2 C n multiplications; N products of the operator cost N times as many passes. With b blocks each gradient
    is made (b + 1) / 2 times.

    Raises:
        ValueError: If the batch is one group, or an output is not finite.

    Source:
        Jacot, Gabriel and Hongler 2018, https://arxiv.org/abs/1806.07572, traced over the outputs.
    """
    refuse_group(network, "the tangent kernel")
    with torch.no_grad():
        outputs = [network.forward(network.parameters, batch.inputs) for batch in network.batches]
    for number, found in enumerate(outputs, 1):
        refuse_infinite(found.sum(), number)
    classes = outputs[0].shape[1]
    rows = max(1, entries // (2 * network.parameters.numel()))
    blocks = list(_blocks(network, rows))
    kernel = network.parameters.new_zeros(network.num_samples, network.num_samples)
    for output in range(classes):
        for place, (first, start) in enumerate(blocks):
            held = _gradients(first, output, classes, spending, network.num_samples)
            here = slice(start, start + held.shape[0])
            kernel[here, here] += held @ held.T
            for second, other in blocks[place + 1 :]:
                beside = _gradients(second, output, classes, spending, network.num_samples)
                kernel[here, other : other + beside.shape[0]] += held @ beside.T
    return kernel.triu() + kernel.triu(1).T


def kernel_drift(before: Tensor, after: Tensor) -> float:
    """How far a kernel has moved, ||K(t) - K(0)||_F / ||K(0)||_F.

    Args:
        before: K(0), (N, N), not zero.
        after: K(t), likewise.

    Raises:
        ValueError: If they are no matrices of one shape, or the first is zero.
    """
    if before.ndim != 2 or before.shape != after.shape:
        raise ValueError(f"kernels of one shape (N, N) are accepted, got {tuple(before.shape)}, {tuple(after.shape)}")
    norm = float(before.double().norm())
    if not norm > 0:
        raise ValueError("the kernel before must be finite and not zero")
    return float((after.double() - before.double()).norm()) / norm


def _blocks(network: Network, rows: int) -> Iterator[tuple[Network, int]]:
    """The network on some of its samples each, and the number of the first of them."""
    first = 0
    for batch in network.batches:
        for start in range(0, batch.size, rows):
            yield replace(network, batches=(batch.part(slice(start, start + rows)),)), first + start
        first += batch.size


def _gradients(part: Network, output: int, classes: int, spending: Spending | None, population: int) -> Tensor:
    """Gradients (m, n) of one output of each sample of a block, charged before they are made."""
    (batch,) = part.batches
    if spending is not None:
        spending.charge(ProductKind.VJP, batch.size, 1, population)
    weights = part.parameters.new_zeros(batch.size, classes)
    weights[:, output] = 1
    return example_gradients(part, batch.inputs, weights).detach()
