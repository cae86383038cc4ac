"""The Gram matrix of a GGN's factor: one row for each sample and output, and the GGN's nonzero eigenvalues."""

from __future__ import annotations

import torch
from torch import Tensor

from hessbench.operators import OperatorInfo, ProductKind, check_block, multiply
from hessbench.problems.curvature.factor import columns_of
from hessbench.problems.networks.linearisation import Linearisation
from hessbench.problems.networks.network import Network, refuse_infinite, root_of


class GramOperator:
    """K = F^T F (N R, N R) with GGN = F F^T and F = J^T S; row i R + r belongs to sample i and column r of its root.

    S is block diagonal with S_i S_i^T the Hessian of the loss of sample i in its outputs, over N for a mean; R is the
    number C of outputs for cross-entropy and the squared loss, of all positions of a sequence. K and the GGN have the
    same nonzero eigenvalues. Positive semi-definite.

    Cost: one gradient to build; a product is one vector-Jacobian product and one Jacobian-vector product, in this
    order, and is charged and priced as the GGN's.

    Raises:
        ValueError: If the loss has no root, or is not finite.
    """

    def __init__(self, network: Network) -> None:
        root = root_of(network)
        self._jacobians: list[Linearisation] = []
        self._roots: list[Tensor] = []
        for number, batch in enumerate(network.batches, 1):
            jacobian = Linearisation(network, network.on(batch))
            refuse_infinite(network.loss.total(jacobian.outputs, batch.targets), number)
            self._jacobians.append(jacobian)
            self._roots.append(root(jacobian.outputs, batch.targets) * network.scale**0.5)
        self._sizes = [S.shape[0] * S.shape[2] for S in self._roots]
        self._parameters = network.parameters.numel()
        self.dim = sum(self._sizes)
        self.dtype = network.parameters.dtype
        self.device = network.parameters.device
        samples = network.num_samples
        self.info = OperatorInfo(ProductKind.GGN, samples, samples, f"kept VJP graph, pulled first, {network.way}")

    def matmat(self, block: Tensor, /) -> Tensor:
        """Multiply a block of shape (N R, k)."""
        check_block(block, self.dim, self.dtype, self.device, least=0)
        if block.shape[1] == 0:
            return torch.empty_like(block)
        k = block.shape[1]
        pulled = block.new_zeros(self._parameters, k)
        for jacobian, S, part in zip(self._jacobians, self._roots, block.split(self._sizes), strict=True):
            weights = S @ part.reshape(S.shape[0], S.shape[2], k)
            pulled += jacobian.vjp(weights.reshape(*jacobian.outputs.shape, k))
        pushed = [
            (S.mT @ jacobian.jvp(pulled).reshape(*S.shape[:2], k)).reshape(-1, k)
            for jacobian, S in zip(self._jacobians, self._roots, strict=True)
        ]
        return torch.cat(pushed)

    def __matmul__(self, x: Tensor) -> Tensor:
        return multiply(self, x)


def gram_dim(network: Network) -> int:
    """Dimension N R of the Gram matrix.

    Cost: one forward pass of a sample, or of the batch where it is one group.

    Raises:
        ValueError: If the loss has no root.
    """
    batch = network.batches[0] if network.group else network.batches[0].part(slice(1))
    with torch.no_grad():
        outputs = network.forward(network.parameters, batch.inputs)
    return network.num_samples * columns_of(root_of(network)(outputs, batch.targets), batch.size)
