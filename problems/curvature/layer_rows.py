"""Gradients of single samples where every parameter belongs to a dense layer: an outer product for each layer."""

from __future__ import annotations

import torch
from torch import Tensor

from hessbench.problems.curvature.layer_calls import LayerCalls
from hessbench.problems.curvature.layer_squares import starts_of
from hessbench.problems.networks.inputs import Inputs
from hessbench.problems.networks.network import Network


def layer_rows(network: Network, inputs: Inputs, weights: Tensor) -> Tensor | None:
    """Gradients (m, n) of <weights_i, outputs_i> of m samples, each by itself; None where a layer is not known.

    The gradient in the weight of a dense layer is d_i x_i^T, d_i that in the layer's outputs and x_i its inputs
    (Goodfellow 2015, https://arxiv.org/abs/1510.01799): one backward pass to the outputs of the layers for all samples.
    That every row of a layer belongs to one sample is for the caller to check against `example_gradients`.

    Args:
        network: The network.
        inputs: m of its inputs.
        weights: Weights (m, C) of their outputs.

    Cost: one forward and one backward pass through the activations, and what the rows hold.
    """
    parameters = network.parameters.detach().clone().requires_grad_()
    with torch.enable_grad(), LayerCalls() as calls:
        outputs = network.forward(parameters, inputs)
    starts = starts_of(calls, parameters, outputs, weights.shape[0])
    if starts is None or any(call.rows is None for call in calls.found):
        return None
    gradients = torch.autograd.grad(outputs, [call.outputs for call in calls.found], weights)
    rows = weights.new_empty(weights.shape[0], parameters.numel())
    for call, (weight, bias), d in zip(calls.found, starts, gradients, strict=True):
        assert call.rows is not None
        width = call.weight.numel()
        torch.mul(
            d[:, :, None],
            call.rows[:, None, :],
            out=rows[:, weight : weight + width].unflatten(1, (-1, call.rows.shape[1])),
        )
        if bias is not None:
            rows[:, bias : bias + d.shape[1]] = d
    return rows
