"""Products by curvlinops (Dangel, Mucsanyi et al. 2025, https://arxiv.org/abs/2501.19183), version 3."""

from __future__ import annotations

from typing import Final, final
from warnings import catch_warnings, simplefilter

from torch import Tensor, nn

from hessbench.distributions import PEERS_REMEDY, library
from hessbench.operators import Matmat
from hessbench.problems.networks.losses import CROSS_ENTROPY
from hessbench.problems.networks.network import Network

_CLASSES: Final = {"hessian": "HessianLinearOperator", "ggn": "GGNLinearOperator"}


@final
class Flat(nn.Module):
    """A network as a module with one parameter, the flat vector."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.flat = nn.Parameter(network.parameters.detach().clone())
        self._forward = network.forward

    def forward(self, inputs: Tensor) -> Tensor:
        """Outputs (m, C)."""
        return self._forward(self.flat, inputs)


def curvlinops_products(network: Network, matrix: str) -> Matmat:
    """What multiplies a block with a matrix of a network, as the library does it; its own checks are off.

    Args:
        network: A network with cross-entropy.
        matrix: hessian or ggn.

    Raises:
        ImportError: With the remedy, if the library is not installed.
        RuntimeError: If the loss is not one that the library knows.
    """
    loss = network.loss
    if loss.name != CROSS_ENTROPY.name:
        raise RuntimeError(f"curvlinops is measured with cross-entropy only, not with {loss.name}")
    try:
        curvlinops = library("curvlinops")
    except ImportError as failure:
        raise ImportError(f"curvlinops cannot be imported ({failure}): {PEERS_REMEDY}") from failure
    module = Flat(network)
    data = [(batch.inputs, batch.targets) for batch in network.batches]
    criterion = nn.CrossEntropyLoss(reduction="mean" if loss.mean else "sum")
    operator = getattr(curvlinops, _CLASSES[matrix])(module, criterion, [module.flat], data, check_deterministic=False)

    def multiply(block: Tensor) -> Tensor:
        with catch_warnings():
            simplefilter("ignore")
            product: Tensor = operator @ (block[:, 0] if block.shape[1] == 1 else block)
        return product.detach().reshape(block.shape)

    return multiply
