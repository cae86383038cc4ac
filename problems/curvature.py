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
from hessbench.problems.factor import GGNFactor
from hessbench.problems.factor import example_gradients as example_gradients
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
