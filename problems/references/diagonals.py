"""Exact diagonals of curvature matrices."""

from __future__ import annotations

import torch
from torch import Tensor

from hessbench.operators import LinearOperator
from hessbench.problems.curvature.matrices import FactoredGGNOperator, curvature_operator, ggn_operator
from hessbench.problems.networks.network import Network


def diagonal_of_hessian(network: Network, block_size: int = 64) -> Tensor:
    """Diagonal (n,) of the Hessian.

    Args:
        network: The network.
        block_size: Columns of the identity multiplied at a time, 1 at least.

    Cost: n Hessian products.

    Raises:
        ValueError: If the block size is below 1, or as `curvature_operator`.
    """
    return diagonal_by_products(curvature_operator(network, "hessian"), block_size)


def diagonal_of_ggn(network: Network, block_size: int = 64) -> Tensor:
    """Diagonal (n,) of the GGN F F^T: entry p is the sum over samples i and outputs c of F[p, i C + c]^2.

    Where the loss has no root, or the batch is one group, there is no factor, and the identity is multiplied.

    Args:
        network: The network.
        block_size: Columns of the identity multiplied at a time, 1 at least; of no account with a factor.

    Cost: C per-example squares; n GGN products without a factor.

    Raises:
        ValueError: If the block size is below 1, or as `curvature_operator`.
    """
    op = ggn_operator(network)
    if not isinstance(op, FactoredGGNOperator):
        return diagonal_by_products(op, block_size)
    outputs = torch.eye(op.factor.num_outputs, dtype=op.dtype, device=op.device)
    return op.factor.squared_sum(outputs.repeat(op.factor.num_samples, 1)).sum(dim=1)


def diagonal_by_products(op: LinearOperator, block_size: int = 64) -> Tensor:
    """Diagonal (n,) of any operator, from its products with the identity, some columns at a time.

    Args:
        op: The operator.
        block_size: Columns multiplied at a time, 1 at least.

    Cost: n products in ceil(n / block_size) calls.

    Raises:
        ValueError: If the block size is below 1.
    """
    if block_size < 1:
        raise ValueError(f"block_size must be at least 1, got {block_size}")
    diagonal = torch.empty(op.dim, dtype=op.dtype, device=op.device)
    for start in range(0, op.dim, block_size):
        places = torch.arange(start, min(start + block_size, op.dim), device=op.device)
        block = torch.zeros(op.dim, places.numel(), dtype=op.dtype, device=op.device)
        columns = torch.arange(places.numel(), device=op.device)
        block[places, columns] = 1
        diagonal[places] = op.matmat(block)[places, columns]
    return diagonal
