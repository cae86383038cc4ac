"""The factor of a GGN, and the gradients of single samples and their squares."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from typing import Final

import torch
from torch import Tensor

from hessbench.operators import check_block
from hessbench.problems.curvature.engines.engine import Jacobian
from hessbench.problems.curvature.layer_calls import LayerCalls
from hessbench.problems.curvature.layer_squares import LayerSize, layer_sizes, layer_squares, summed_work
from hessbench.problems.networks.inputs import Inputs, mapped, taken
from hessbench.problems.networks.linearisation import KeptVjp
from hessbench.problems.networks.losses import LossTotal
from hessbench.problems.networks.network import Network

_EXAMPLE_GRADIENT_ENTRIES: Final = 2**24
"""Entries of per-example gradients held at a time."""

_ACTIVATION_ENTRIES: Final = 2**25
"""Entries of gradients in activations held at a time, where no gradient of a sample is made."""

_ACTIVATIONS: Final = 2048
"""Least activations of a sample that are reckoned with."""

_TRIED: Final = 3
"""Samples on which the two ways to squares are compared."""


class GGNFactor:
    """F = J^T S with G = F F^T; S is block diagonal with S_i S_i^T = Lambda_i, or a block for each row of its outputs.

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
        self.num_outputs = columns_of(self._roots[0], network.batches[0].size)

    @property
    def num_columns(self) -> int:
        """N * C."""
        return self.num_samples * self.num_outputs

    def rmatmat(self, block: Tensor, /) -> Tensor:
        """F @ block by one vector-Jacobian product per column: (num_columns, k) -> (dim, k)."""
        parameters = self._network.parameters
        check_block(block, self.num_columns, parameters.dtype, parameters.device, "factor", least=0)
        product = parameters.new_zeros(parameters.numel(), block.shape[1])
        if block.shape[1] == 0:
            return product
        for jacobian, weights in zip(self._jacobians, self._spread(block), strict=True):
            product += jacobian.vjp(weights)
        return product

    def squared_sum(self, block: Tensor, /) -> Tensor:
        """Sum over samples of the squared per-sample products: (num_columns, k) -> (dim, k).

        Where all layers are known, products for each; else gradients of single samples are made for many samples
        at once. Either way as many samples are taken at a time as fit a fixed memory.
        """
        parameters = self._network.parameters
        check_block(block, self.num_columns, parameters.dtype, parameters.device, "factor", least=0)
        if block.shape[1] == 0:
            return parameters.new_zeros(parameters.numel(), 0)
        return self._squares(self._spread(block))

    def summed_squares(self, block: Tensor, /) -> Tensor:
        """Sum over samples and columns of the squared per-sample products: (num_columns, k) -> (dim,).

        As `squared_sum`, but that dense layers are squared once for all columns.
        """
        parameters = self._network.parameters
        check_block(block, self.num_columns, parameters.dtype, parameters.device, "factor", least=0)
        if block.shape[1] == 0:
            return parameters.new_zeros(parameters.numel())
        return self._squares(self._spread(block), summed=True)[:, 0]

    def summed_work(self, columns: int, /) -> float:
        """Share of the price of `columns` squares that their sum takes; 1 where not all layers are known."""
        return summed_work(self._layers, columns) if self._layers else 1.0

    def drawn_squares(self, number: int, generator: torch.Generator, /) -> Tensor:
        """Sum over samples of squared gradients of the loss at targets drawn from the prediction: (dim, number).

        Raises:
            ValueError: If the loss names no distribution.
        """
        network = self._network
        draw = network.loss.draw
        if draw is None:
            raise ValueError(f"the loss {network.loss.name} names no distribution that labels could be drawn from")
        slopes = [
            draw(jacobian.outputs.detach(), batch.targets, number, generator) * network.scale**0.5
            for jacobian, batch in zip(self._jacobians, network.batches, strict=True)
        ]
        return self._squares(slopes)

    def _squares(self, combinations: list[Tensor], *, summed: bool = False) -> Tensor:
        """Sums (dim, k) of the squared gradients of single samples' outputs, combined by weights (m, C, k) a batch.

        Over the columns too, (dim, 1), where they are to be summed.
        """
        network, columns = self._network, combinations[0].shape[2]
        total = network.parameters.new_zeros(network.parameters.numel(), 1 if summed else columns)
        activations = self._activations
        if activations:
            chunk = max(1, _ACTIVATION_ENTRIES // (activations * columns))
        else:
            chunk = max(1, _EXAMPLE_GRADIENT_ENTRIES // network.parameters.numel())
        for batch, weights in zip(network.batches, combinations, strict=True):
            for start in range(0, batch.size, chunk):
                rows = slice(start, start + chunk)
                inputs, part = taken(batch.inputs, rows), weights[rows]
                found = layer_squares(network, inputs, part, summed=summed) if activations else None
                if found is None:
                    found = example_squares(network, inputs, part)
                total += found.sum(dim=1, keepdim=True) if summed else found
        return total

    @cached_property
    def _activations(self) -> int:
        """Activations of a sample where its layers are known; 0 elsewhere."""
        return max(sum(layer.activations for layer in self._layers), _ACTIVATIONS) if self._layers else 0

    @cached_property
    def _layers(self) -> tuple[LayerSize, ...]:
        """The layers where squares by them are those of single samples, tried on a few; none elsewhere."""
        network = self._network
        inputs = taken(network.batches[0].inputs, slice(_TRIED))
        weights = torch.ones_like(self._jacobians[0].outputs[:_TRIED, :, None]).cumsum(dim=1)
        with LayerCalls() as calls:
            found = layer_squares(network, inputs, weights)
        if found is None:
            return ()
        expected = _squares_in_turn(network, inputs, weights)
        if not float((found - expected).norm()) <= torch.finfo(found.dtype).eps ** 0.5 * float(expected.norm()):
            return ()
        return layer_sizes(calls)

    def _spread(self, block: Tensor) -> list[Tensor]:
        """S @ block for each batch, (m, C, k)."""
        parts = block.split([S.shape[0] * S.shape[2] for S in self._roots])
        return [
            torch.einsum("mcr,mrk->mck", S, part.reshape(S.shape[0], S.shape[2], -1)).reshape(
                *jacobian.outputs.shape, -1
            )
            for S, part, jacobian in zip(self._roots, parts, self._jacobians, strict=True)
        ]


def columns_of(root: Tensor, samples: int) -> int:
    """Columns of the factor that belong to one sample, of the root (m L, W, R) of m samples with L rows each."""
    return root.shape[0] // samples * root.shape[2]


def _squares_in_turn(network: Network, inputs: Inputs, weights: Tensor) -> Tensor:
    """`example_squares` of few samples and one column, by a backward pass for each: no transform has to be set up."""
    kept = KeptVjp(replace(network, batched=False), lambda parameters: network.forward(parameters, inputs))
    alone = torch.diag_embed(weights[:, :, 0].T).transpose(0, 1)  # (m, C, m): a column for each sample
    return kept.vjp(alone).square().sum(dim=1, keepdim=True)


def example_squares(network: Network, inputs: Inputs, weights: Tensor) -> Tensor:
    """Sums (n, k) over m samples of the squared gradients of <weights_i, outputs_i>, by gradients of single samples.

    Args:
        network: The network.
        inputs: m of its inputs.
        weights: Weights (m, C, k) of their outputs.
    """
    columns = [example_gradients(network, inputs, column).square_().sum(dim=0) for column in weights.unbind(dim=2)]
    return torch.stack(columns, dim=1)


def example_gradients(network: Network, inputs: Inputs, weights: Tensor) -> Tensor:
    """Gradients (m, n) of <weights_i, outputs_i> for m samples, each by itself, in one vectorised pass.

    Args:
        network: The network.
        inputs: m of its inputs.
        weights: Weights of their outputs, (m, C).
    """

    def weighted(parameters: Tensor, one_input: Inputs, one_weight: Tensor) -> Tensor:
        return (network.forward(parameters, mapped(lambda tensor: tensor[None], one_input))[0] * one_weight).sum()

    return torch.func.vmap(torch.func.grad(weighted), in_dims=(None, 0, 0))(network.parameters, inputs, weights)
