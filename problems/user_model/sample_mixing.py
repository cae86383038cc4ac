"""Which samples of a user's data a model is tried on, and whether it treats each of them by itself."""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor

from hessbench.problems.networks.inputs import Inputs, taken, tensors_of
from hessbench.problems.networks.network import Batch, Forward, Network
from hessbench.seeding import derive_seed, make_generator

SHOWN: Final = 8
"""Samples whose outputs are looked at, at least."""
TRIED: Final = 2
"""First samples that are differentiated, and as many of those whose loss bends most."""
LOOKED_AT: Final = 256
"""First samples among which those are sought."""
COMPARED: Final = 4096
"""Samples that are compared with each other at most."""
FORWARDS: Final = 2**24
"""Samples times parameters, and times their own numbers, up to which more are than are shown."""

_TOLERANCE: Final = 1e-8


def refuse_mixing(forward: Forward, parameters: Tensor, inputs: Inputs) -> None:
    """Refuse a model whose outputs for a sample depend on the others of its batch, or on its place among them.

    The first, a middle and the last sample are compared with themselves alone, and all against themselves in another
    order: the first one alone may not show it, as where samples are taken for steps of time.

    Args:
        forward: Outputs (m, ...).
        parameters: Where.
        inputs: Samples (m, ...).

    Cost: two passes over the samples, and three of one of them.

    Raises:
        ValueError: If a row differs by more than rounding.
    """
    m = next(tensors_of(inputs)).shape[0]
    order = torch.randperm(m, generator=make_generator(derive_seed("from-model-order")))
    together = forward(parameters, inputs)
    if not bool(together.isfinite().all()):
        return
    size = together.abs().max()
    pairs = [(order, forward(parameters, taken(inputs, order)))]
    for place in sorted({0, m // 2, m - 1}):
        pairs.append((torch.tensor([place]), forward(parameters, taken(inputs, slice(place, place + 1)))))
    for places, apart in pairs:
        # By the largest output of all: a row of small differences is no better than the numbers it is made of.
        if not bool(((together[places] - apart).abs() <= _TOLERANCE * size).all()):
            raise ValueError(
                "the outputs of a sample depend on the others of its batch, so no sample has a loss of its own"
            )


def compared(batch: Batch, parameters: Tensor) -> int:
    """How many samples of a batch are compared with each other: many where that is cheap."""
    held = sum(tensor[0].numel() for tensor in tensors_of(batch.inputs))
    return min(batch.size, COMPARED, max(SHOWN, min(FORWARDS // parameters.numel(), FORWARDS // max(held, 1))))


def telling_batch(network: Network) -> Batch:
    """The first two samples of the first batch, and the two among its first 256 whose loss bends most.

    The loss of a sample that a network is sure of hardly bends, and its curvature is rounding; those it is least sure
    of show what there is to see.

    Cost: one pass over those samples.
    """
    batch = network.batches[0]
    first = list(range(min(TRIED, batch.size)))
    some = batch.part(slice(LOOKED_AT)).to(torch.device("cpu"), torch.float64)
    with torch.no_grad():
        outputs = network.forward(network.parameters.double(), some.inputs)
    bends = _bends(network, outputs, some.targets)
    most = bends.argsort(descending=True, stable=True)[: 2 * TRIED].tolist()
    places = [*first, *[place for place in most if place not in first][:TRIED]]
    return batch.part(torch.tensor(places))


def _bends(network: Network, outputs: Tensor, targets: Tensor) -> Tensor:
    """How much the loss of each sample bends (m,): the size of its Hessian's product with one direction."""
    direction = torch.randn(outputs.shape[1], generator=make_generator(derive_seed("from-model-bend"))).to(outputs)
    try:
        bent = network.loss.bend(outputs, targets)(direction.expand_as(outputs)[:, :, None])
    except (RuntimeError, ValueError):  # linear, or not differentiable twice: the trial says which
        return torch.zeros(outputs.shape[0])
    return torch.nan_to_num(bent.flatten(1).norm(dim=1))
