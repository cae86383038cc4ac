"""Exact products with the Hessian and the Gauss-Newton matrix (GGN) of any network's mean cross-entropy.

A network is a function from one flat vector of parameters and a batch of inputs to logits. Everything is differentiated
once, when the operator is built, and the graphs are kept: a Hessian product is then one backward pass through the graph
of the gradient (Pearlmutter, https://doi.org/10.1162/neco.1994.6.1.147), a GGN product one Jacobian-vector and one
vector-Jacobian product (Schraudolph, https://doi.org/10.1162/08997660260028683). The Jacobian-vector product is kept
in one of two ways: as the derivative of u -> J^T u, which is linear and costs nothing to set up, or, for convolutions,
as a traced linearisation, which takes seconds to set up but does half the convolutions per product.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Final

import torch
from torch import Tensor

from hessbench.operators import FunctionOperator, LinearOperator, OperatorInfo, ProductKind, multiply
from hessbench.problems.network import Network

OPERATORS: Final = ("hessian", "ggn")

_EXAMPLE_GRADIENT_ENTRIES: Final = 2**24
"""Entries of per-example gradients held at a time."""


@contextmanager
def quiet_transforms() -> Generator[None]:
    """Silence what forward mode and tracing warn of: deprecated parts of torch that torch itself uses in them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def curvature_operator(network: Network, operator: str) -> LinearOperator:
    """The Hessian or the GGN of a network.

    Args:
        network: The network, where the operator shall live and in its dtype.
        operator: "hessian" or "ggn".
    """
    return hessian_operator(network) if operator == "hessian" else GGNOperator(network)


def hessian_operator(network: Network) -> FunctionOperator:
    """Hessian of the mean loss by one backward pass through the kept graph of the gradient.

    Cost: one gradient to build; a product is about one more gradient's multiplications twice over, and the graph keeps
    the activations of both passes.
    """
    parameters = network.parameters.detach().clone().requires_grad_()
    with torch.enable_grad():
        (gradient,) = torch.autograd.grad(network.objective(parameters), parameters, create_graph=True)
    samples = network.num_samples
    way = "vectorised blocks" if network.batched else "looped blocks"
    return FunctionOperator(
        lambda block: _pull_columns(gradient, parameters, block, batched=network.batched),
        parameters.numel(),
        parameters.dtype,
        parameters.device,
        OperatorInfo(ProductKind.HESSIAN, samples, samples, f"backward through the kept gradient graph, {way}"),
    )


class GGNOperator:
    """G = J^T Lambda J of the mean cross-entropy, positive semi-definite, with its factor.

    J (N C, n) is the Jacobian of all logits; Lambda is block diagonal with blocks (diag(p) - p p^T) / N, p the
    softmax of a sample's logits.

    Cost: one gradient to build; a product is one Jacobian-vector and one vector-Jacobian product.
    """

    def __init__(self, network: Network) -> None:
        parameters = network.parameters.detach().clone().requires_grad_()
        with torch.enable_grad():
            logits = network.forward(parameters, network.batches[0].inputs)
        self._network = network
        self._parameters = parameters
        self._logits = logits
        self._push = _kept_push(logits, parameters) if network.batched else _linearised_push(network)
        self._probabilities = logits.detach().softmax(dim=1)
        self.dim = parameters.numel()
        self.dtype = parameters.dtype
        self.device = parameters.device
        samples = logits.shape[0]
        way = "kept JVP graph, vectorised blocks" if network.batched else "linearised JVP, looped blocks"
        self.info = OperatorInfo(ProductKind.GGN, samples, samples, f"kept VJP graph, {way}")
        self.factor = CrossEntropyFactor(network, self._probabilities, self._pull)

    def matmat(self, block: Tensor, /) -> Tensor:
        """Multiply a block of shape (dim, k)."""
        k = block.shape[1]
        change = self._push(block).reshape(*self._logits.shape, k)
        p = self._probabilities[:, :, None]
        scaled = p * (change - (p * change).sum(dim=1, keepdim=True)) / self._logits.shape[0]
        return self._pull(scaled.reshape(-1, k))

    def __matmul__(self, x: Tensor) -> Tensor:
        return multiply(self, x)

    def _pull(self, block: Tensor) -> Tensor:
        """J^T @ block, (N C, k) -> (n, k)."""
        return _pull_columns(self._logits, self._parameters, block, batched=self._network.batched)


class CrossEntropyFactor:
    """F = J^T S with G = F F^T; S has blocks S_i = (diag(sqrt p) - p sqrt(p)^T) / sqrt(N), S_i S_i^T = Lambda_i."""

    def __init__(self, network: Network, probabilities: Tensor, pull: Callable[[Tensor], Tensor]) -> None:
        self._network = network
        self._probabilities = probabilities
        self._pull = pull
        self.num_samples, self.num_outputs = probabilities.shape

    @property
    def num_columns(self) -> int:
        """N * C."""
        return self.num_samples * self.num_outputs

    def rmatmat(self, block: Tensor, /) -> Tensor:
        """F @ block by one vector-Jacobian product per column: (num_columns, k) -> (dim, k)."""
        return self._pull(self._spread(block).reshape(self.num_columns, -1))

    def squared_sum(self, block: Tensor, /) -> Tensor:
        """Sum over samples of the squared per-sample products: (num_columns, k) -> (dim, k).

        Gradients of single samples are made for many samples at once, as many as fit a fixed memory.
        """
        pulls = self._spread(block)
        network = self._network
        chunk = max(1, _EXAMPLE_GRADIENT_ENTRIES // network.parameters.numel())
        columns: list[Tensor] = []
        for column in range(pulls.shape[2]):
            total = torch.zeros_like(network.parameters)
            for start in range(0, self.num_samples, chunk):
                rows = slice(start, start + chunk)
                total += (
                    example_gradients(network, network.batches[0].inputs[rows], pulls[rows, :, column])
                    .square_()
                    .sum(dim=0)
                )
            columns.append(total)
        return torch.stack(columns, dim=1)

    def _spread(self, block: Tensor) -> Tensor:
        """S @ block as (N, C, k)."""
        p = self._probabilities[:, :, None]
        entries = block.reshape(self.num_samples, self.num_outputs, -1)
        root = p.sqrt()
        return (root * entries - p * (root * entries).sum(dim=1, keepdim=True)) / self.num_samples**0.5


def example_gradients(network: Network, inputs: Tensor, weights: Tensor) -> Tensor:
    """Gradients (m, n) of <weights_i, logits_i> for m samples, each by itself, in one vectorised pass.

    Args:
        network: The network.
        inputs: m of its inputs.
        weights: Weights of their logits, (m, C).
    """

    def weighted(parameters: Tensor, one_input: Tensor, one_weight: Tensor) -> Tensor:
        return (network.forward(parameters, one_input[None])[0] * one_weight).sum()

    return torch.func.vmap(torch.func.grad(weighted), in_dims=(None, 0, 0))(network.parameters, inputs, weights)


def _kept_push(logits: Tensor, parameters: Tensor) -> Callable[[Tensor], Tensor]:
    """J @ block, (n, k) -> (N C, k), as the derivative of u -> J^T u, every column in one vectorised pass."""
    with torch.enable_grad():
        weights = torch.zeros_like(logits, requires_grad=True)
        (pulled,) = torch.autograd.grad(logits, parameters, weights, create_graph=True)
    return lambda block: _pull_columns(pulled, weights, block, batched=True)


def _linearised_push(network: Network) -> Callable[[Tensor], Tensor]:
    """J @ block, (n, k) -> (N C, k), by a traced linearisation, column by column."""

    def outputs(parameters: Tensor) -> Tensor:
        return network.forward(parameters, network.batches[0].inputs)

    with quiet_transforms():
        _, push = torch.func.linearize(outputs, network.parameters.detach())
        push(torch.zeros_like(network.parameters))  # the first call computes what all others share
    return lambda block: torch.stack([push(column).flatten() for column in block.T.contiguous().unbind()], dim=1)


def _pull_columns(outputs: Tensor, inputs: Tensor, block: Tensor, *, batched: bool) -> Tensor:
    """(d outputs / d inputs)^T @ block through a kept graph; outputs and inputs of any shape, flattened."""
    rows = block.T.reshape(-1, *outputs.shape)
    if rows.shape[0] > 1 and batched:
        (pulled,) = torch.autograd.grad(outputs, inputs, rows, retain_graph=True, is_grads_batched=True)
    else:
        pulled = torch.stack([torch.autograd.grad(outputs, inputs, row, retain_graph=True)[0] for row in rows.unbind()])
    return pulled.reshape(rows.shape[0], -1).T
