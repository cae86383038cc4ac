"""The second moment of the gradients of single samples (the empirical Fisher matrix)."""

from __future__ import annotations

import torch
from torch import Tensor

from hessbench.operators import OperatorInfo, ProductKind, check_block, multiply
from hessbench.problems.linearisation import Linearisation
from hessbench.problems.network import Batch, Network, refuse_infinite


class SecondMomentOperator:
    """M = sum_i g_i g_i^T, over N for a mean loss; g_i (n,) is the gradient of the loss of sample i alone.

    It is not centred: the covariance of the gradients is M less the square of their mean. M = D^T D with D (N, n) the
    Jacobian of the losses of the samples, and so positive semi-definite of rank N at most. D is that of
    <s_i, outputs_i> with s_i the gradient of the loss in the outputs, held fixed.

    Cost: two gradients to build; a product is one Jacobian-vector product of the losses of the samples and one
    vector-Jacobian product, and is charged and priced as the GGN's, which is made of the same two.

    Raises:
        ValueError: If the loss is not finite.
    """

    def __init__(self, network: Network) -> None:
        self._scale = network.scale
        self._jacobians = [sample_losses(network, batch, number) for number, batch in enumerate(network.batches, 1)]
        self.dim = network.parameters.numel()
        self.dtype = network.parameters.dtype
        self.device = network.parameters.device
        samples = network.num_samples
        self.info = OperatorInfo(ProductKind.GGN, samples, samples, f"kept VJP graph of the losses, {network.way}")

    def matmat(self, block: Tensor, /) -> Tensor:
        """Multiply a block of shape (dim, k)."""
        check_block(block, self.dim, self.dtype, self.device, least=0)
        if block.shape[1] == 0:
            return torch.empty_like(block)
        product = torch.zeros_like(block)
        for jacobian in self._jacobians:
            product += jacobian.pull(jacobian.push(block) * self._scale)
        return product

    def __matmul__(self, x: Tensor) -> Tensor:
        return multiply(self, x)


def sample_losses(network: Network, batch: Batch, number: int) -> Linearisation:
    """The linearisation of <s_i, outputs_i>, (m,), whose gradients are those of the losses of the samples.

    Raises:
        ValueError: If the loss of the batch, its number counted from 1, is not finite.
    """
    with torch.no_grad():
        outputs = network.forward(network.parameters, batch.inputs)
    refuse_infinite(network.loss.total(outputs, batch.targets), number)
    slope = network.loss.slope(outputs, batch.targets)
    return Linearisation(network, lambda parameters: (slope * network.forward(parameters, batch.inputs)).sum(dim=1))
