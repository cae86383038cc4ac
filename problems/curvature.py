"""Exact products with the curvature matrices of any network: what they are, and the Hessian and the GGN.

A network is a function from one flat vector of parameters and a batch of inputs to outputs, with a loss that is a sum
over samples. Everything is differentiated once, when the operator is built, and the graphs of all batches are kept: a
Hessian product is then one backward pass through the graph of the gradient (Pearlmutter,
https://doi.org/10.1162/neco.1994.6.1.147), a product with the Gauss-Newton matrix (GGN) one Jacobian-vector and one
vector-Jacobian product (Schraudolph, https://doi.org/10.1162/08997660260028683). Several batches are multiplied one
after the other and summed: they save nothing of what is kept, but each is a workspace of its own.

With N samples, C outputs, J_i (C, n) the Jacobian of the outputs of sample i, l_i its loss, g_i = grad l_i (n,), and
c = 1/N for a mean over the samples, 1 for a sum:

| operator | definition | product made of | price in gradients |
| --- | --- | --- | --- |
| hessian | H = c sum_i hess l_i | a gradient and its derivative | 2 |
| ggn | G = c sum_i J_i^T (hess of l_i in the outputs) J_i | a JVP, a VJP | 4/3 |
| residual | R = H - G = c sum_i sum_o (dl_i/do) hess of output o | as the Hessian, slopes fixed | 2 |
| gradient-second-moment | M = c sum_i g_i g_i^T, the empirical Fisher matrix | a JVP, a VJP | 4/3 |
| gradient-covariance | c sum_i (g_i - g)(g_i - g)^T, g their mean | a JVP, a VJP | 4/3 |
| monte-carlo-fisher | M with targets drawn from the model; on average G | a JVP, a VJP | 4/3 |
| ntk | K_ij = sum_o <grad output o of i, of j>, (N, N) | C VJPs, C JVPs | C 4/3 |
| gram | F^T F, (N C, N C), where G = F F^T | a VJP, a JVP | 4/3 |
"""

from __future__ import annotations

from functools import cached_property
from typing import Final

import torch
from torch import Tensor

from hessbench.operators import FunctionOperator, LinearOperator, OperatorInfo, ProductKind, multiply
from hessbench.problems.dense_layers import dense_squares
from hessbench.problems.gradient_covariance import GradientCovarianceOperator
from hessbench.problems.gram_operator import GramOperator, gram_dim
from hessbench.problems.linearisation import Linearisation, pull_columns
from hessbench.problems.linearisation import quiet_transforms as quiet_transforms
from hessbench.problems.losses import Loss, LossTotal
from hessbench.problems.monte_carlo_fisher import fisher_network
from hessbench.problems.network import Network, refuse_group, refuse_infinite
from hessbench.problems.ntk import NTKOperator
from hessbench.problems.residual import residual_network
from hessbench.problems.second_moment import SecondMomentOperator

OPERATORS: Final = (
    "hessian",
    "ggn",
    "residual",
    "gradient-second-moment",
    "gradient-covariance",
    "monte-carlo-fisher",
    "ntk",
    "gram",
)
"""Names of the matrices, as specs write them."""

BY_EXAMPLE: Final = ("gradient-second-moment", "gradient-covariance", "monte-carlo-fisher", "ntk")
"""Those made of single samples, which a network whose batch is one group does not have."""

BY_OUTPUT: Final = ("ntk", "gram")
"""Those whose rows are samples, or samples and outputs, rather than parameters."""

_EXAMPLE_GRADIENT_ENTRIES: Final = 2**24
"""Entries of per-example gradients held at a time."""

_ACTIVATIONS: Final = 1024
"""Activations of a sample that are reckoned with where no gradient of its own is made."""

_TRIED: Final = 3
"""Samples on which the two ways to squares are compared."""


def curvature_operator(network: Network, operator: str, *, mc_samples: int = 1, seed: int = 0) -> LinearOperator:
    """A curvature matrix of a network.

    Args:
        network: The network, where the operator shall live and in its dtype.
        operator: One of `OPERATORS`.
        mc_samples: Targets drawn for each sample, for monte-carlo-fisher alone.
        seed: Of those draws.

    Raises:
        ValueError: If there is no operator of that name, the loss is not finite or lacks what the operator needs, or
            the operator is made of single samples and the batch is one group.
    """
    if operator in BY_EXAMPLE:
        refuse_group(network, operator)
    if operator == "hessian":
        return hessian_operator(network)
    if operator == "residual":
        return hessian_operator(residual_network(network))
    if operator == "ggn":
        return ggn_operator(network)
    if operator == "monte-carlo-fisher":
        return ggn_operator(fisher_network(network, mc_samples, seed))
    if operator == "gradient-second-moment":
        return SecondMomentOperator(network)
    if operator == "gradient-covariance":
        return GradientCovarianceOperator(network)
    if operator == "ntk":
        return NTKOperator(network)
    if operator == "gram":
        return GramOperator(network)
    raise ValueError(f"operator must be one of {', '.join(OPERATORS)}, got {operator!r}")


def operator_dim(network: Network, operator: str) -> int:
    """Dimension of a curvature matrix: that of the parameters; of the NTK N, of the Gram matrix N C."""
    if operator == "gram":
        return gram_dim(network)
    return network.num_samples if operator == "ntk" else network.parameters.numel()


def is_psd(loss: Loss, operator: str) -> bool:
    """Whether a curvature matrix is known to be positive semi-definite; a GGN is where its loss has a root."""
    return operator in (*BY_EXAMPLE, "gram") or has_factor(loss, operator)


def has_factor(loss: Loss, operator: str) -> bool:
    """Whether a curvature matrix of a network that treats every sample by itself offers its factor."""
    return operator == "monte-carlo-fisher" or (operator == "ggn" and loss.root is not None)


def hessian_operator(network: Network) -> FunctionOperator:
    """Hessian of the objective by one backward pass for each batch through the kept graph of its gradient.

    Cost: one gradient to build; a product is about one more gradient's multiplications twice over, and the graphs keep
    the activations of both passes.

    Raises:
        ValueError: If the loss is not finite, or its gradient is constant.
    """
    parameters = network.parameters.detach().clone().requires_grad_()
    gradients: list[Tensor] = []
    for number, batch in enumerate(network.batches, 1):
        with torch.enable_grad():
            total = network.loss.total(network.forward(parameters, batch.inputs), batch.targets)
            refuse_infinite(total, number)
            (gradient,) = torch.autograd.grad(total * network.scale, parameters, create_graph=True)
        if not gradient.requires_grad:
            raise ValueError(
                "the gradient does not change with the parameters: the loss is linear in them, or an operation hides "
                "its derivative (detach, torch.no_grad, a custom autograd.Function), and there is no Hessian to measure"
            )
        gradients.append(gradient)

    def matmat(block: Tensor) -> Tensor:
        # One sum in place, so that no more than two products are held at a time.
        product = pull_columns(gradients[0], parameters, block, batched=network.batched)
        for gradient in gradients[1:]:
            product += pull_columns(gradient, parameters, block, batched=network.batched)
        return product

    samples = network.num_samples
    return FunctionOperator(
        matmat,
        parameters.numel(),
        parameters.dtype,
        parameters.device,
        OperatorInfo(
            ProductKind.HESSIAN, samples, samples, f"backward through the kept gradient graph, {network.blocks}"
        ),
    )


def ggn_operator(network: Network) -> GGNOperator:
    """The GGN, with its factor where its loss has a root and every sample stands by itself."""
    root = network.loss.root
    return GGNOperator(network) if root is None or network.group else FactoredGGNOperator(network, root)


class GGNOperator:
    """G = J^T Lambda J of the objective.

    J (N C, n) is the Jacobian of all outputs; Lambda is block diagonal, its blocks the Hessians of the losses of the
    samples in their outputs, over N for a mean: (diag(p) - p p^T) / N for cross-entropy, p the softmax of a sample's
    outputs. Where the loss has no closed form, Lambda is multiplied by autograd through the outputs.

    Cost: one gradient to build; a product is one Jacobian-vector and one vector-Jacobian product.

    Raises:
        ValueError: If the loss is not finite.
    """

    def __init__(self, network: Network) -> None:
        loss = network.loss
        self._scale = network.scale
        self._jacobians: list[Linearisation] = []
        for number, batch in enumerate(network.batches, 1):
            jacobian = Linearisation(network, network.on(batch))
            refuse_infinite(loss.total(jacobian.outputs, batch.targets), number)
            self._jacobians.append(jacobian)
        self._bends = [
            loss.bend(jacobian.outputs, batch.targets)
            for jacobian, batch in zip(self._jacobians, network.batches, strict=True)
        ]
        self.dim = network.parameters.numel()
        self.dtype = network.parameters.dtype
        self.device = network.parameters.device
        samples = network.num_samples
        self.info = OperatorInfo(ProductKind.GGN, samples, samples, f"kept VJP graph, {network.way}")

    def matmat(self, block: Tensor, /) -> Tensor:
        """Multiply a block of shape (dim, k)."""
        product = torch.zeros_like(block)
        for jacobian, bend in zip(self._jacobians, self._bends, strict=True):
            product += jacobian.pull(bend(jacobian.push(block)) * self._scale)
        return product

    def __matmul__(self, x: Tensor) -> Tensor:
        return multiply(self, x)


class FactoredGGNOperator(GGNOperator):
    """The GGN of a loss with a root, positive semi-definite, with its factor."""

    def __init__(self, network: Network, root: LossTotal) -> None:
        super().__init__(network)
        self._network = network
        self._root = root

    @cached_property
    def factor(self) -> GGNFactor:
        """F = J^T S with G = F F^T, made when it is first asked for."""
        return GGNFactor(self._network, self._jacobians, self._root)


class GGNFactor:
    """F = J^T S with G = F F^T; S is block diagonal with S_i S_i^T = Lambda_i.

    For cross-entropy S_i = (diag(sqrt p) - p sqrt(p)^T) / sqrt(N).
    """

    def __init__(self, network: Network, jacobians: list[Linearisation], root: LossTotal) -> None:
        self._network = network
        self._jacobians = jacobians
        self._roots = [
            root(jacobian.outputs, batch.targets) * network.scale**0.5
            for jacobian, batch in zip(jacobians, network.batches, strict=True)
        ]
        self.num_samples = network.num_samples
        self.num_outputs = self._roots[0].shape[2]

    @property
    def num_columns(self) -> int:
        """N * C."""
        return self.num_samples * self.num_outputs

    def rmatmat(self, block: Tensor, /) -> Tensor:
        """F @ block by one vector-Jacobian product per column: (num_columns, k) -> (dim, k)."""
        parameters = self._network.parameters
        product = parameters.new_zeros(parameters.numel(), block.shape[1])
        for jacobian, weights in zip(self._jacobians, self._spread(block), strict=True):
            product += jacobian.pull(weights)
        return product

    def squared_sum(self, block: Tensor, /) -> Tensor:
        """Sum over samples of the squared per-sample products: (num_columns, k) -> (dim, k).

        Where all layers are dense, two products for each; else gradients of single samples are made for many samples
        at once. Either way as many samples are taken at a time as fit a fixed memory.
        """
        network = self._network
        total = network.parameters.new_zeros(network.parameters.numel(), block.shape[1])
        held = _ACTIVATIONS * block.shape[1] if self._all_dense else network.parameters.numel()
        chunk = max(1, _EXAMPLE_GRADIENT_ENTRIES // held)
        for batch, weights in zip(network.batches, self._spread(block), strict=True):
            for start in range(0, batch.size, chunk):
                rows = slice(start, start + chunk)
                inputs, part = batch.inputs[rows], weights[rows]
                found = dense_squares(network, inputs, part) if self._all_dense else None
                total += example_squares(network, inputs, part) if found is None else found
        return total

    @cached_property
    def _all_dense(self) -> bool:
        """Whether squares by layers are those of single samples, tried on a few of them."""
        network = self._network
        inputs = network.batches[0].inputs[:_TRIED]
        weights = torch.ones_like(self._roots[0][:_TRIED, :, :1]).cumsum(dim=1)
        found = dense_squares(network, inputs, weights)
        if found is None:
            return False
        expected = example_squares(network, inputs, weights)
        return float((found - expected).norm()) <= torch.finfo(found.dtype).eps ** 0.5 * float(expected.norm())

    def _spread(self, block: Tensor) -> list[Tensor]:
        """S @ block for each batch, (m, C, k)."""
        parts = block.split([S.shape[0] * self.num_outputs for S in self._roots])
        return [
            torch.einsum("mcr,mrk->mck", S, part.reshape(S.shape[0], self.num_outputs, -1))
            for S, part in zip(self._roots, parts, strict=True)
        ]


def example_squares(network: Network, inputs: Tensor, weights: Tensor) -> Tensor:
    """Sums (n, k) over m samples of the squared gradients of <weights_i, outputs_i>, by gradients of single samples.

    Args:
        network: The network.
        inputs: m of its inputs.
        weights: Weights (m, C, k) of their outputs.
    """
    columns = [example_gradients(network, inputs, column).square_().sum(dim=0) for column in weights.unbind(dim=2)]
    return torch.stack(columns, dim=1)


def example_gradients(network: Network, inputs: Tensor, weights: Tensor) -> Tensor:
    """Gradients (m, n) of <weights_i, outputs_i> for m samples, each by itself, in one vectorised pass.

    Args:
        network: The network.
        inputs: m of its inputs.
        weights: Weights of their outputs, (m, C).
    """

    def weighted(parameters: Tensor, one_input: Tensor, one_weight: Tensor) -> Tensor:
        return (network.forward(parameters, one_input[None])[0] * one_weight).sum()

    return torch.func.vmap(torch.func.grad(weighted), in_dims=(None, 0, 0))(network.parameters, inputs, weights)
