"""A dense GGN by the columns of the Jacobian: of samples that have more outputs than the network has parameters."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import torch
from torch import Tensor

from hessbench.problems.curvature.engines.micro_batches import pieces
from hessbench.problems.curvature.matrices import quiet_transforms
from hessbench.problems.networks.linearisation import Linearisation
from hessbench.problems.networks.network import Batch, Network
from hessbench.problems.references.rows import outputs_of, smallest
from hessbench.seeding import derive_seed, make_generator

_ENTRIES: Final = 2**24
"""Entries of a Jacobian held at a time, where a single sample has no more."""

_COLUMNS: Final = 64
_AGREES: Final = 1e-10


def ggn_by_columns(network: Network) -> Tensor:
    """GGN (n, n) in float64, scale times the sum over samples of J_i^T (H_i J_i), by explicit J_i (D, n).

    Columns of J are forward derivatives, and H_i multiplies them by autograd through the loss, so that nothing has the
    size of a square of the outputs. Where torch has no forward derivative, or a wrong one, they are those of the
    backward pass in its weights, one by one.

    Args:
        network: The network in float64, each sample by itself.

    Cost: n forward derivatives of all data, and as many products with the Hessian of the loss in the outputs.
    """
    n = network.parameters.numel()
    size = max(1, _ENTRIES // (n * outputs_of(network, smallest(network)).shape[1]))
    loss = replace(network.loss, product=None, root=None)
    G = torch.zeros(n, n, dtype=torch.float64)
    for batch in network.batches:
        for piece in pieces(batch, size):
            J = _jacobian(network, piece)
            try:
                bent = loss.bend(outputs_of(network, piece), piece.targets)(J)
            except ValueError:  # a loss that is linear in the outputs adds nothing
                continue
            G.addmm_(J.flatten(0, 1).T, bent.flatten(0, 1), alpha=network.scale)
    return (G + G.T) / 2


def _jacobian(network: Network, batch: Batch) -> Tensor:
    """J (m, D, n) of a batch."""
    parameters = network.parameters.detach()

    def column(direction: Tensor) -> Tensor:
        return torch.func.jvp(network.on(batch), (parameters,), (direction,))[1]

    eye = torch.eye(parameters.numel(), dtype=parameters.dtype)
    try:
        with quiet_transforms():
            J = torch.func.vmap(column, out_dims=-1, chunk_size=_COLUMNS)(eye)
        if _agrees(J, network, batch):
            return J
    except RuntimeError:
        pass  # no forward mode, or an operation that the transforms do not take
    return Linearisation(replace(network, batched=False, traced=False), network.on(batch)).jvp(eye)


def _agrees(J: Tensor, network: Network, batch: Batch) -> bool:
    """Whether random weights of the outputs have the gradient that a backward pass gives."""
    tracked = network.parameters.detach().clone().requires_grad_()
    with torch.enable_grad():
        outputs = network.forward(tracked, batch.inputs)
        weights = torch.randn(outputs.shape, generator=make_generator(derive_seed("columns")), dtype=outputs.dtype)
        (truth,) = torch.autograd.grad(outputs, tracked, weights)
    sizes = J.abs().flatten(0, 1).T @ weights.abs().flatten()
    return float((J.flatten(0, 1).T @ weights.flatten() - truth).norm()) <= _AGREES * float(sizes.norm())
