"""The covariance of the gradients of single samples: their second moment, centred."""

from __future__ import annotations

import torch
from torch import Tensor

from hessbench.operators import OperatorInfo, ProductKind, check_block, multiply
from hessbench.problems.network import Network
from hessbench.problems.second_moment import sample_losses


class GradientCovarianceOperator:
    """S = sum_i (g_i - g)(g_i - g)^T, over N for a mean loss; g_i is the gradient of sample i's loss, g their mean.

    For a mean loss S = M - g g^T with M the second moment of the gradients and g the gradient of the objective; for a
    sum it is N times that. Positive semi-definite of rank N - 1 at most. Every gradient is centred before it is
    multiplied, so that no digits cancel where g is large.

    Cost: three gradients to build; a product is one Jacobian-vector product of the losses of the samples and one
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
        self._mean = torch.zeros(self.dim, 1, dtype=self.dtype, device=self.device)
        for jacobian, batch in zip(self._jacobians, network.batches, strict=True):
            self._mean += jacobian.pull(self._mean.new_full((batch.size, 1), 1 / samples))
        self.info = OperatorInfo(
            ProductKind.GGN, samples, samples, f"kept VJP graph of the losses, centred, {network.way}"
        )

    def matmat(self, block: Tensor, /) -> Tensor:
        """Multiply a block of shape (dim, k)."""
        check_block(block, self.dim, self.dtype, self.device, least=0)
        if block.shape[1] == 0:
            return torch.empty_like(block)
        product = torch.zeros_like(block)
        mean = self._mean.T @ block
        for jacobian in self._jacobians:
            product += jacobian.pull((jacobian.push(block) - mean) * self._scale)
        return product

    def __matmul__(self, x: Tensor) -> Tensor:
        return multiply(self, x)
