"""Squared gradients of single samples where every parameter belongs to a dense layer: two products for each layer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from hessbench.problems.networks.inputs import Inputs
from hessbench.problems.networks.network import Network


@dataclass(frozen=True)
class DenseLayer:
    """One call of `torch.nn.functional.linear` on the rows of a batch.

    Attributes:
        inputs: Its inputs (m, a).
        outputs: Its outputs (m, b), with their graph.
        weight: Where its weight (b, a) starts in the flat vector.
        bias: Where its bias (b,) starts; None where it has none.
    """

    inputs: Tensor
    outputs: Tensor
    weight: int
    bias: int | None


def dense_squares(network: Network, inputs: Inputs, weights: Tensor) -> Tensor | None:
    """Sums (n, k) over samples of the squared gradients of <weights_i, outputs_i>; None where some layer is not dense.

    The gradient of a dense layer's weight for sample i is d_i x_i^T, d_i that of the layer's outputs and x_i its
    inputs, so that the sum of squares is (d * d)^T (x * x) (Dangel et al. 2020, https://arxiv.org/abs/1912.10985): one
    backward pass and one product for each layer in place of N gradients. That every parameter is used by one such layer
    only, and every row of a layer to one sample, is for the caller to check against `example_gradients`.

    Args:
        network: The network; its parameters must be the storage of the layers' weights.
        inputs: m of its inputs.
        weights: Weights (m, C, k) of their outputs.

    Cost: one forward pass, and for each column one backward pass through the activations and one product of the size
    of the weight gradient.
    """
    parameters = network.parameters.detach().clone().requires_grad_()
    with torch.enable_grad(), _LayerCalls() as calls:
        outputs = network.forward(parameters, inputs)
    layers = _layers(calls.found, parameters, weights.shape[0])
    if layers is None:
        return None
    columns = weights.permute(2, 0, 1).contiguous()
    squares = parameters.new_empty(columns.shape[0], parameters.numel()).detach()
    for layer, d in zip(layers, _pulled(outputs, layers, columns, batched=network.batched), strict=True):
        d = d.square()
        product = d.mT @ layer.inputs.detach().square()
        squares[:, layer.weight : layer.weight + product[0].numel()] = product.flatten(1)
        if layer.bias is not None:
            squares[:, layer.bias : layer.bias + d.shape[2]] = d.sum(dim=1)
    return squares.T


def _pulled(outputs: Tensor, layers: list[DenseLayer], columns: Tensor, *, batched: bool) -> Iterable[Tensor]:
    """Gradients (k, m, b) of the weighted outputs in the outputs of each layer."""
    reached = [layer.outputs for layer in layers]
    if batched:
        return torch.autograd.grad(outputs, reached, columns, is_grads_batched=True)
    found = [torch.autograd.grad(outputs, reached, column, retain_graph=True) for column in columns.unbind()]
    return [torch.stack(parts) for parts in zip(*found, strict=True)]


def _layers(found: list[tuple[Any, ...]], parameters: Tensor, rows: int) -> list[DenseLayer] | None:
    """The calls as layers; None unless their weights and biases are the flat vector, each entry once.

    Neither where outputs are written to in place: whether that shows depends on the samples that are tried.
    """
    layers: list[DenseLayer] = []
    taken: list[tuple[int, int]] = []
    for inputs, weight, bias, outputs, version in found:
        own = [part for part in (weight, bias) if part is not None]
        if outputs._version != version:  # written to since: they are the outputs of another operation now
            return None
        if inputs.ndim != 2 or inputs.shape[0] != rows or not all(_is_view(part, parameters) for part in own):
            return None
        starts = [part.storage_offset() - parameters.storage_offset() for part in own]
        taken += [(start, start + part.numel()) for start, part in zip(starts, own, strict=True)]
        layers.append(DenseLayer(inputs, outputs, starts[0], starts[1] if len(own) > 1 else None))
    reached = 0
    for start, stop in sorted(taken):
        if start != reached:
            return None
        reached = stop
    return layers if reached == parameters.numel() else None


def _is_view(part: Tensor, parameters: Tensor) -> bool:
    return part.is_contiguous() and part.untyped_storage().data_ptr() == parameters.untyped_storage().data_ptr()


class _LayerCalls(TorchFunctionMode):
    """Keeps the arguments, results and versions of the results of every dense layer that is called."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[Any, ...]] = []

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        named = dict(kwargs or {})
        result = func(*args, **named)
        if func is torch.nn.functional.linear:
            given = dict(zip(("input", "weight", "bias"), args, strict=False)) | named
            self.found.append((given["input"], given["weight"], given.get("bias"), result, result._version))
        return result
