"""Gradients of weighted outputs of single samples: what the rows of curvature matrices are."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from hessbench.problems.curvature.factor import example_gradients
from hessbench.problems.networks.inputs import taken
from hessbench.problems.networks.linearisation import quiet_transforms
from hessbench.problems.networks.network import Batch, Network


def sample_rows(network: Network, batch: Batch, places: Tensor, weights: Tensor, *, at_once: bool) -> Tensor:
    """Gradients (r, n) in the parameters of <weights[j], outputs of sample places[j]>.

    Args:
        network: The network, each of whose samples stands by itself.
        batch: Holds the samples.
        places: Numbers of the samples in the batch, ascending, (r,).
        weights: Weights (r, C) of their outputs.
        at_once: Whether all rows are made in one vectorised pass, rather than in a loop in which the rows of one sample
            share its forward pass.
    """
    if at_once:
        try:
            with quiet_transforms():
                return example_gradients(network, taken(batch.inputs, places), weights)
        except RuntimeError:
            pass  # an operation that the transforms do not take; the loop says so if it is something else
    return torch.cat(list(_looped(network, batch, places, weights)))


def _looped(network: Network, batch: Batch, places: Tensor, weights: Tensor) -> Iterator[Tensor]:
    """Rows of one sample at a time, (r, n)."""
    found, counts = torch.unique_consecutive(places, return_counts=True)
    ends = counts.cumsum(0).tolist()
    for place, count, end in zip(found.tolist(), counts.tolist(), ends, strict=True):
        parameters = network.parameters.detach().clone().requires_grad_()
        with torch.enable_grad():
            outputs = network.forward(parameters, taken(batch.inputs, slice(place, place + 1)))
        rows = torch.empty(count, parameters.numel(), dtype=parameters.dtype, device=parameters.device)
        for j, weight in enumerate(weights[end - count : end].unbind()):
            (rows[j],) = torch.autograd.grad(outputs, parameters, weight[None], retain_graph=j < count - 1)
        yield rows
