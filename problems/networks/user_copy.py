"""A network as a module, a loss and a list of batches, for libraries that make products of their own."""

from __future__ import annotations

import math
from typing import cast, final

from torch import Tensor, nn

from hessbench.network_copy import NetworkCopy
from hessbench.operators import ProductKind
from hessbench.problems.networks.losses import CROSS_ENTROPY
from hessbench.problems.networks.network import Network
from hessbench.problems.networks.own_module import OwnModule, called_with_inputs


@final
class _CalledModule(nn.Module):
    """A module that is called in another way than with its inputs alone."""

    def __init__(self, own: OwnModule, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner
        self._call = own.call

    def forward(self, inputs: Tensor) -> Tensor:
        """Outputs (m, C)."""
        return self._call(self.inner, inputs)


def user_copy(network: Network, kind: ProductKind) -> NetworkCopy:
    """What a user of the network holds, where libraries take it: a module of its own and plain cross-entropy.

    Args:
        network: The network, where the copy shall live and in its dtype.
        kind: Which matrix it is made for.

    Raises:
        ValueError: If it is no module, is differentiated by parts of parameters, or has another loss.
    """
    own, loss = network.own, network.loss
    if own is None:
        raise ValueError("this network is a formula, not a module: libraries with products of their own need a module")
    if loss.name != CROSS_ENTROPY.name or loss.written is None:
        raise ValueError(f"libraries are run with plain cross-entropy, not with the loss {loss.name}")
    if sum(math.prod(shape) for shape in own.shapes.values()) != network.parameters.numel():
        raise ValueError("this matrix is that of single entries of parameters, which libraries cannot be told")
    model, parameters = own.placed(network.parameters)
    if own.call is not called_with_inputs:
        model = _CalledModule(own, model)
    return NetworkCopy(
        model,
        parameters,
        nn.CrossEntropyLoss(reduction="mean" if loss.mean else "sum"),
        [(cast("Tensor", batch.inputs), batch.targets) for batch in network.batches],
        kind,
        network.num_samples,
    )
