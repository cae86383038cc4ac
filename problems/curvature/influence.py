"""Influence of training samples on a loss: one damped solve, and one Jacobian-vector product for all of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import torch
from torch import Tensor

from hessbench.operators import LinearOperator, ProductKind
from hessbench.problems.networks.linearisation import Linearisation
from hessbench.problems.networks.network import Network, refuse_group
from hessbench.spending import Spending

Solver: TypeAlias = Callable[[LinearOperator, Tensor], Tensor]
"""x (n,) with (A + damping I) x = b for an operator A and b (n,), such as conjugate gradients to their end."""


def influences(
    op: LinearOperator, train: Network, test: Network, solve: Solver, *, spending: Spending | None = None
) -> Tensor:
    """What leaving out each training sample does to a test loss, to first order.

    Without sample i, whose weight in the objective is c (1/N for a mean), the minimum moves by c A^-1 g_i, and the test
    loss by c g^T A^-1 g_i: g_i is the gradient of the loss of sample i, g that of the test loss. A is the Hessian of
    the training objective, or its GGN, plus damping I: conjugate gradients are not defined where that is indefinite.

    Args:
        op: A without the damping, of the training network; counted or not.
        train: The network on its training data, each sample by itself.
        test: The same network on the data of the test loss.
        solve: Solves the damped system; the damping is its.
        spending: What the gradient and the product over the training data are charged to, such as `op.spending` of a
            counted operator; the products of the solve are charged by the operator.

    Returns:
        Predicted changes of the test loss (N,), positive where the sample helps.

    Cost: one gradient over the test data, the products of the solve, and one Jacobian-vector product over the training
    data with a gradient to set it up.

    Raises:
        ValueError: If the networks or the operator have other numbers of parameters, or the batch is one group.

    Source:
        Cook and Weisberg, Technometrics 22 (1980), doi:10.1080/00401706.1980.10486199; Koh and Liang 2017,
        https://arxiv.org/abs/1703.04730.
    """
    if not op.dim == train.parameters.numel() == test.parameters.numel():
        raise ValueError(
            f"operator and networks must have the same parameters, got {op.dim}, {train.parameters.numel()} and "
            f"{test.parameters.numel()}"
        )
    if spending is not None:
        spending.charge(ProductKind.GRADIENT, 1, test.num_samples, test.num_samples)
    x = solve(op, test.gradient().to(device=op.device, dtype=op.dtype))
    return slopes_along(train, x[:, None].to(train.parameters), spending=spending)[:, 0] * train.scale


def slopes_along(network: Network, directions: Tensor, *, spending: Spending | None = None) -> Tensor:
    """Slopes g_i^T x of the losses of all samples along directions x, without the gradient of any sample.

    Args:
        network: The network, each of whose samples stands by itself.
        directions: Columns (n, k).
        spending: What is charged.

    Returns:
        Slopes (N, k).

    Cost: k Jacobian-vector products, and a forward and a backward pass to set them up.

    Raises:
        ValueError: If the batch is one group, or the columns have another length.
    """
    refuse_group(network, "the slope of one sample")
    if directions.ndim != 2 or directions.shape[0] != network.parameters.numel():
        raise ValueError(f"directions takes columns ({network.parameters.numel()}, k), got {tuple(directions.shape)}")
    if spending is not None:
        spending.charge(ProductKind.JVP, directions.shape[1], network.num_samples, network.num_samples)
    found: list[Tensor] = []
    for batch in network.batches:
        jacobian = Linearisation(network, network.on(batch))
        slopes = network.loss.slope(jacobian.outputs, batch.targets)
        found.append((slopes[..., None] * jacobian.jvp(directions)).flatten(1, -2).sum(dim=1).detach())
    return torch.cat(found)
