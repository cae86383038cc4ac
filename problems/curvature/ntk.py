"""The neural tangent kernel of a network on its data, summed over the outputs."""

from __future__ import annotations

import torch
from torch import Tensor

from hessbench.operators import OperatorInfo, ProductKind, check_block, multiply
from hessbench.problems.networks.linearisation import Linearisation
from hessbench.problems.networks.network import Network, refuse_infinite


class NTKOperator:
    """K = sum_c J_c J_c^T, (N, N); row i of J_c (N, n) is the gradient of output c of sample i.

    K_ij is the inner product of the Jacobians of samples i and j (Jacot et al. 2018, https://arxiv.org/abs/1806.07572,
    traced over the outputs), without any factor for the mean. Positive semi-definite; the loss plays no part.

    Cost: one gradient to build; a product is C vector-Jacobian and C Jacobian-vector products, one pair for each
    output. It is charged as a GGN product, which is one such pair, that touches the data C times.

    Raises:
        ValueError: If an output is not finite.
    """

    def __init__(self, network: Network) -> None:
        self._jacobians = [Linearisation(network, network.on(batch)) for batch in network.batches]
        for number, jacobian in enumerate(self._jacobians, 1):
            refuse_infinite(jacobian.outputs.sum(), number)
        self._sizes = [batch.size for batch in network.batches]
        self._classes = self._jacobians[0].outputs.shape[1]
        self._dim = network.parameters.numel()
        self.dim = samples = network.num_samples
        self.dtype = network.parameters.dtype
        self.device = network.parameters.device
        self.info = OperatorInfo(
            ProductKind.GGN,
            samples * self._classes,
            samples,
            f"kept VJP graph, output by output, {network.way}",
        )

    def matmat(self, block: Tensor, /) -> Tensor:
        """Multiply a block of shape (N, k)."""
        check_block(block, self.dim, self.dtype, self.device, least=0)
        if block.shape[1] == 0:
            return torch.empty_like(block)
        product = torch.zeros_like(block)
        for output in range(self._classes):
            product += self._jvp(self._vjp(block, output), output)
        return product

    def __matmul__(self, x: Tensor) -> Tensor:
        return multiply(self, x)

    def _vjp(self, block: Tensor, output: int) -> Tensor:
        """J_c^T @ block: (N, k) -> (n, k)."""
        pulled = block.new_zeros(self._dim, block.shape[1])
        for jacobian, part in zip(self._jacobians, block.split(self._sizes), strict=True):
            weights = part.new_zeros(*jacobian.outputs.shape, part.shape[1])
            weights[:, output] = part
            pulled += jacobian.vjp(weights)
        return pulled

    def _jvp(self, block: Tensor, output: int) -> Tensor:
        """J_c @ block: (n, k) -> (N, k)."""
        return torch.cat([jacobian.jvp(block)[:, output] for jacobian in self._jacobians])
