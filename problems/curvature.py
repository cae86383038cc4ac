"""Exact products with the curvature matrices of any network: what they are, and the Hessian and the GGN.

A network is a function from one flat vector of parameters and a batch of inputs to outputs, with a loss that is a sum
over samples. How products with the Hessian and the Gauss-Newton matrix (GGN) are made is the business of an engine
(`hessbench.problems.engines`), chosen when the operator is built. Several batches are multiplied one after the other
and summed: they save nothing of what is kept, but each is a workspace of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Final

import torch
from torch import Tensor

from hessbench.operators import LinearOperator
from hessbench.problems.engines.choosing import LIMITS, Limits
from hessbench.problems.engines.engine import MATRICES, Jacobian
from hessbench.problems.engines.operator import EngineOperator, check_engine
from hessbench.problems.engines.table import AUTO
from hessbench.problems.linearisation import KeptPull
from hessbench.problems.linearisation import quiet_transforms as quiet_transforms
from hessbench.problems.losses import Loss, LossTotal
from hessbench.problems.network import Network, refuse_group
from hessbench.problems.ntk import NTKOperator
from hessbench.problems.second_moment import SecondMomentOperator

OPERATORS: Final = ("hessian", "ggn", "gradient-second-moment", "ntk")
"""Names of the matrices, as specs write them."""

_EXAMPLE_GRADIENT_ENTRIES: Final = 2**24
"""Entries of per-example gradients held at a time."""


def curvature_operator(
    network: Network,
    operator: str,
    engine: str = AUTO,
    limits: Limits = LIMITS,
) -> LinearOperator:
    """A curvature matrix of a network.

    Args:
        network: The network, where the operator shall live and in its dtype.
        operator: One of `OPERATORS`.
        engine: How products with the Hessian and the GGN are made: a name of `hessbench.problems.engines.table`, or
            auto for the fastest one here. The other matrices have one way, and take auto only.
        limits: How many products are going to be made, for `auto`, and what they may take at a time.

    Raises:
        ValueError: If there is no operator or engine of that name, the loss is not finite, or the network's batches are
            groups and the operator needs their samples apart.
    """
    if operator not in OPERATORS:
        raise ValueError(f"operator must be one of {', '.join(OPERATORS)}, got {operator!r}")
    check_engine(operator, engine)
    if operator == "hessian":
        return hessian_operator(network, engine, limits)
    if operator == "ggn":
        return ggn_operator(network, engine, limits)
    if limits.micro_batch is not None:
        raise ValueError(f"micro_batch is not for the {operator}: its products take whole batches")
    refuse_group(network, operator)
    if operator == "gradient-second-moment":
        return SecondMomentOperator(network)
    return NTKOperator(network)


def exact_operator(network: Network, operator: str) -> LinearOperator:
    """A curvature matrix by the engine that references are computed with, whatever is fastest.

    Args: as of `curvature_operator`.
    """
    traced = MATRICES.get(operator) == "ggn" and network.traces
    engine = AUTO if operator not in MATRICES else "linearised" if traced else "kept-graph"
    return curvature_operator(network, operator, engine)


def operator_dim(network: Network, operator: str) -> int:
    """Dimension of a curvature matrix: the number of samples for the NTK, else that of the parameters."""
    return network.num_samples if operator == "ntk" else network.parameters.numel()


def is_psd(loss: Loss, operator: str) -> bool:
    """Whether a curvature matrix is known to be positive semi-definite; a GGN is where its loss has a root."""
    return operator in ("gradient-second-moment", "ntk") or has_factor(loss, operator)


def has_factor(loss: Loss, operator: str) -> bool:
    """Whether a curvature matrix offers its factor."""
    return operator == "ggn" and loss.root is not None


def hessian_operator(network: Network, engine: str = AUTO, limits: Limits = LIMITS) -> EngineOperator:
    """Hessian of the objective. Args: as of `curvature_operator`."""
    return EngineOperator(network, "hessian", engine, limits)


def ggn_operator(network: Network, engine: str = AUTO, limits: Limits = LIMITS) -> EngineOperator:
    """The GGN, with its factor where its loss has a root and every sample stands by itself.

    Args: as of `curvature_operator`.
    """
    root = network.loss.root
    if root is None or network.group:
        return EngineOperator(network, "ggn", engine, limits)
    return FactoredGGNOperator(network, root, engine, limits)


class FactoredGGNOperator(EngineOperator):
    """G = J^T Lambda J of the objective, of a loss with a root: positive semi-definite, with its factor.

    J (N C, n) is the Jacobian of all outputs; Lambda is block diagonal, its blocks the Hessians of the losses of the
    samples in their outputs, over N for a mean: (diag(p) - p p^T) / N for cross-entropy, p the softmax of a sample's
    outputs. Where the loss has no closed form, Lambda is multiplied by autograd through the outputs.

    Args: as of `EngineOperator`; `root` is the loss's.
    """

    def __init__(self, network: Network, root: LossTotal, engine: str = AUTO, limits: Limits = LIMITS) -> None:
        super().__init__(network, "ggn", engine, limits)
        self._root = root

    @cached_property
    def factor(self) -> GGNFactor:
        """F = J^T S with G = F F^T, made when it is first asked for."""
        network = self.network
        kept = self.jacobians or [KeptPull(network, network.on(batch)) for batch in network.batches]
        return GGNFactor(network, kept, self._root)


class GGNFactor:
    """F = J^T S with G = F F^T; S is block diagonal with S_i S_i^T = Lambda_i.

    For cross-entropy S_i = (diag(sqrt p) - p sqrt(p)^T) / sqrt(N).
    """

    def __init__(self, network: Network, jacobians: Sequence[Jacobian], root: LossTotal) -> None:
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

        Gradients of single samples are made for many samples at once, as many as fit a fixed memory.
        """
        network = self._network
        chunk = max(1, _EXAMPLE_GRADIENT_ENTRIES // network.parameters.numel())
        total = network.parameters.new_zeros(network.parameters.numel(), block.shape[1])
        for batch, weights in zip(network.batches, self._spread(block), strict=True):
            for start in range(0, batch.size, chunk):
                rows = slice(start, start + chunk)
                for column in range(block.shape[1]):
                    gradients = example_gradients(network, batch.inputs[rows], weights[rows, :, column])
                    total[:, column] += gradients.square_().sum(dim=0)
        return total

    def _spread(self, block: Tensor) -> list[Tensor]:
        """S @ block for each batch, (m, C, k)."""
        parts = block.split([S.shape[0] * self.num_outputs for S in self._roots])
        return [
            torch.einsum("mcr,mrk->mck", S, part.reshape(S.shape[0], self.num_outputs, -1))
            for S, part in zip(self._roots, parts, strict=True)
        ]


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
