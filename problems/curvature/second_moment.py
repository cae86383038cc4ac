"""The second moment of the gradients of single samples (the empirical Fisher matrix), and their covariance."""

from __future__ import annotations

import torch
from torch import Tensor

from hessbench.operators import OperatorInfo, ProductKind, check_block, multiply
from hessbench.problems.curvature.engines.output_rounding import norm_of
from hessbench.problems.networks.linearisation import Linearisation
from hessbench.problems.networks.network import Batch, Network, refuse_infinite


class SecondMomentOperator:
    """M = sum_i g_i g_i^T, over N for a mean loss; g_i (n,) is the gradient of the loss of sample i alone.

    M = D^T D with D (N, n) the Jacobian of the losses of the samples, and so positive semi-definite of rank N at most.
    D is that of <s_i, outputs_i> with s_i the gradient of the loss in the outputs, held fixed.

    The loss of a sample is its share of a mean: for a mean over samples and C outputs, as `nn.MSELoss` and
    `nn.BCEWithLogitsLoss` take, l_i is itself a mean over the outputs, and M is 1 / C of the `EFLinearOperator` of
    curvlinops, which sums a loss over the outputs before it squares: (1 / (N C)) sum_i h_i h_i^T, h_i = C g_i. For
    "squared", half the squared distance (g_i = h_i / 2), M is C / 4 of that operator with `nn.MSELoss()`. With
    reduction="sum", and of the cross-entropy, both are the same. A sample is what lies along the first axis of the
    data: of a sequence the sum over all of its positions, not each position by itself.

    Centred it is the covariance sum_i (g_i - g)(g_i - g)^T, g the mean of the gradients: M - g g^T for a mean loss, of
    rank N - 1 at most. Every gradient is centred before it is multiplied, so that no digits cancel where g is large.

    Cost: two gradients to build, three where it is centred; a product is one Jacobian-vector product of the losses of
    the samples and one vector-Jacobian product, and is charged and priced as the GGN's, which is made of the same two.

    Args:
        network: The network.
        centred: Whether the mean gradient is taken from each.

    Raises:
        ValueError: If the loss is not finite.
    """

    def __init__(self, network: Network, *, centred: bool = False) -> None:
        self._scale = network.scale
        self._jacobians = [sample_losses(network, batch, number) for number, batch in enumerate(network.batches, 1)]
        self.dim = network.parameters.numel()
        self.dtype = network.parameters.dtype
        self.device = network.parameters.device
        samples = network.num_samples
        self._mean: Tensor | None = None
        if centred:
            self._mean = torch.zeros(self.dim, 1, dtype=self.dtype, device=self.device)
            for jacobian, batch in zip(self._jacobians, network.batches, strict=True):
                self._mean += jacobian.vjp(self._mean.new_full((batch.size, 1), 1 / samples))
        losses = "the losses, centred" if centred else "the losses"
        self.info = OperatorInfo(ProductKind.GGN, samples, samples, f"kept VJP graph of {losses}, {network.way}")

    def matmat(self, block: Tensor, /) -> Tensor:
        """Multiply a block of shape (dim, k)."""
        check_block(block, self.dim, self.dtype, self.device, least=0)
        if block.shape[1] == 0:
            return torch.empty_like(block)
        product = torch.zeros_like(block)
        mean = None if self._mean is None else self._mean.T @ block
        for jacobian in self._jacobians:
            slopes = jacobian.jvp(block)
            product += jacobian.vjp((slopes if mean is None else slopes - mean) * self._scale)
        return product

    def __matmul__(self, x: Tensor) -> Tensor:
        return multiply(self, x)

    def rounding_size(self) -> float:
        """The norm of M, which a covariance is cut from: gradients that are all alike leave only its rounding."""
        return 0.0 if self._mean is None else norm_of(self._uncentred, self._mean)

    def _uncentred(self, block: Tensor) -> Tensor:
        return torch.stack([jacobian.vjp(jacobian.jvp(block) * self._scale) for jacobian in self._jacobians]).sum(0)


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
