"""Squared gradients of single samples where every parameter belongs to a known layer: products for each layer."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from hessbench.problems.curvature.layer_calls import LayerCall, LayerCalls
from hessbench.problems.curvature.single_uses import is_all_that_reaches
from hessbench.problems.networks.inputs import Inputs
from hessbench.problems.networks.network import Network


def layer_squares(network: Network, inputs: Inputs, weights: Tensor, *, summed: bool = False) -> Tensor | None:
    """Sums (n, k) over samples of the squared gradients of <weights_i, outputs_i>; None where a layer is not known.

    Where the k columns are to be summed too, (n, 1): a dense layer is squared once then, since the sum over the columns
    is (sum_k d_k * d_k)^T (x * x).

    The gradient of a dense layer's weight for sample i is d_i x_i^T, d_i that of the layer's outputs and x_i its
    inputs, so that the sum of squares is (d * d)^T (x * x) (Dangel et al. 2020, https://arxiv.org/abs/1912.10985): one
    backward pass and one product for each layer in place of N gradients. That of a convolution is a product with the
    patches of its inputs, which all columns share. Batch norm on stored statistics is a layer of its own. That every
    parameter is used by one such layer only, and every row of a layer belongs to one sample, is for the caller to check
    against `example_gradients`.

    Args:
        network: The network; its parameters must be the storage of the layers' weights, in `as_written` where it has
            that.
        inputs: m of its inputs.
        weights: Weights (m, C, k) of their outputs.
        summed: Whether to sum over the columns.

    Cost: one forward pass, and for each column one backward pass through the activations and products of the size of
    the weight gradients.
    """
    parameters = network.parameters.detach().clone().requires_grad_()
    forward = network.forward if network.as_written is None else network.as_written
    with torch.enable_grad(), LayerCalls() as calls:
        outputs = forward(parameters, inputs)
    starts = starts_of(calls, parameters, outputs, weights.shape[0])
    if starts is None:
        return None
    columns = weights.permute(2, 0, 1).contiguous()
    squares = parameters.new_empty(1 if summed else columns.shape[0], parameters.numel()).detach()
    pulled = _pulled(outputs, calls.found, columns, batched=network.batched)
    for call, (weight, bias), gradients in zip(calls.found, starts, pulled, strict=True):
        of_weight, of_bias = _summed(call, gradients) if summed else call.squares(gradients)
        squares[:, weight : weight + of_weight.shape[1]] = of_weight
        if bias is not None and of_bias is not None:
            squares[:, bias : bias + of_bias.shape[1]] = of_bias
    return squares.T


@dataclass(frozen=True)
class LayerSize:
    """What squares of one sample in a layer take.

    Attributes:
        activations: Its outputs.
        multiplications: An entry of the weight for each place of the output; 0 for a normalisation.
        is_dense: Whether it is a dense layer on one row a sample, whose squares are summed before they are multiplied.
    """

    activations: int
    multiplications: int
    is_dense: bool


def layer_sizes(calls: LayerCalls) -> tuple[LayerSize, ...]:
    """Sizes of the layers that were called, in their order."""
    found: list[LayerSize] = []
    for call in calls.found:
        activations = call.outputs[0].numel()
        places = activations // call.weight.shape[0] if call.weight.ndim > 1 else 0
        found.append(LayerSize(activations, call.weight.numel() * places, call.rows is not None))
    return tuple(found)


def summed_work(layers: Sequence[LayerSize], columns: int) -> float:
    """Share of the price of `columns` squares that their sum takes, by multiplications.

    A square is priced as a backward pass: through each layer, and into its weight. Here nothing is sent through the
    first layer, and the forward pass that is made again is charged.

    Args:
        layers: The layers in their order.
        columns: k.
    """
    forward = sum(layer.multiplications for layer in layers)
    through = columns * (forward - next((layer.multiplications for layer in layers if layer.multiplications), 0))
    into = sum(layer.multiplications * (1 if layer.is_dense else columns) for layer in layers)
    return (forward + through + into) / (2 * columns * forward) if forward else 1.0


def _summed(layer: LayerCall, gradients: Sequence[Tensor]) -> tuple[Tensor, Tensor | None]:
    """Squares summed over the columns, (1, size), of the weight and of the bias."""
    if layer.rows is None:
        of_weight, of_bias = layer.squares(gradients)
        return of_weight.sum(dim=0, keepdim=True), None if of_bias is None else of_bias.sum(dim=0, keepdim=True)
    d = torch.stack(list(gradients)).square_().sum(dim=0)
    return (d.T @ layer.rows.square()).reshape(1, -1), None if layer.bias is None else d.sum(dim=0, keepdim=True)


def _pulled(outputs: Tensor, layers: list[LayerCall], columns: Tensor, *, batched: bool) -> Iterable[Sequence[Tensor]]:
    """The k gradients (m, ...) of the weighted outputs in the outputs of each layer."""
    reached = [layer.outputs for layer in layers]
    if batched:
        return [part.unbind() for part in torch.autograd.grad(outputs, reached, columns, is_grads_batched=True)]
    found = [torch.autograd.grad(outputs, reached, column, retain_graph=True) for column in columns.unbind()]
    return list(zip(*found, strict=True))


def starts_of(calls: LayerCalls, parameters: Tensor, outputs: Tensor, rows: int) -> list[tuple[int, int | None]] | None:
    """Where weight and bias of each call begin in the flat vector.

    None unless the weights and biases are the flat vector, each entry once, and the outputs depend on them by these
    calls alone; neither where outputs are written to in place: whether that shows depends on the samples that are
    tried.

    Args:
        calls: The calls of layers.
        parameters: The flat vector, a leaf.
        outputs: Outputs of the network, with their graph.
        rows: Samples of a batch.
    """
    if not calls.is_whole:
        return None
    found: list[tuple[int, int | None]] = []
    taken: list[tuple[int, int]] = []
    for call in calls.found:
        own = [part for part in (call.weight, call.bias) if part is not None]
        if call.outputs._version != call.version:  # written to since: they are the outputs of another operation now
            return None
        if call.outputs.shape[0] != rows or not all(_is_view(part, parameters) for part in own):
            return None
        places = [int(part.storage_offset() - parameters.storage_offset()) for part in own]
        taken += [(place, place + part.numel()) for place, part in zip(places, own, strict=True)]
        found.append((places[0], places[1] if len(own) > 1 else None))
    reached = 0
    for start, stop in sorted(taken):
        if start != reached:
            return None
        reached = stop
    if reached != parameters.numel():
        return None
    parts = [part for call in calls.found for part in (call.weight, call.bias) if part is not None]
    return found if is_all_that_reaches(outputs, [call.outputs for call in calls.found], parts) else None


def _is_view(part: Tensor, parameters: Tensor) -> bool:
    return part.is_contiguous() and part.untyped_storage().data_ptr() == parameters.untyped_storage().data_ptr()
