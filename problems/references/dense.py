"""Dense curvature matrices of networks in float64, by other routes than the products that are measured."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import torch
from torch import Tensor

from hessbench.estimand.base import Array
from hessbench.estimand.work import advance, part
from hessbench.problems.curvature.matrices import quiet_transforms
from hessbench.problems.curvature.monte_carlo_fisher import fisher_network
from hessbench.problems.curvature.residual import residual_network
from hessbench.problems.networks.network import Batch, Network
from hessbench.problems.references.columns import ggn_by_columns
from hessbench.problems.references.gram import gram_matrix, ntk_matrix
from hessbench.problems.references.rows import SampleRows, gradient_rows, jacobian_rows, outputs_of, smallest
from hessbench.seeding import derive_seed, make_generator

_COLUMNS: Final = 128
_ROW_ENTRIES: Final = 2**24
_AGREES: Final = 1e-8
_MANY_OUTPUTS: Final = 512
"""Outputs of a sample up to which its Jacobian is made row by row, however few the parameters."""


def dense_hessian(network: Network) -> Array:
    """Hessian (n, n), forward mode over reverse mode, made symmetric.

    Vectorised, 128 columns at a time, where the network is faster so; else row by row through the kept graph of the
    gradient, as also where an operation has no forward mode, or a wrong one: the two are compared on a random vector.
    """
    exact = _exact(network)
    n = exact.parameters.numel()
    H = torch.zeros(n, n, dtype=torch.float64)
    for place, batch in enumerate(exact.batches):
        with part(place / len(exact.batches), (place + 1) / len(exact.batches)):
            H.add_(_hessian_of(exact, batch), alpha=exact.scale)
    return ((H + H.T) / 2).numpy()


def dense_ggn(network: Network) -> Array:
    """GGN (n, n), scale times the sum over samples of J_i^T H_i J_i.

    J_i (C, n) are explicit Jacobians, H_i (C, C) the Hessians of the losses in the outputs by autograd: no root of the
    loss is used, and any loss that has second derivatives is taken. Where the loss is a sum over rows of the outputs of
    a sample, the blocks are those of the rows. Samples with many outputs have their Jacobians column by column, where
    those are fewer than the rows or a loss ties all outputs of a sample together.
    """
    exact = _exact(network)
    n = exact.parameters.numel()
    outputs = outputs_of(exact, smallest(exact)).shape[1]
    if not exact.group and outputs > _MANY_OUTPUTS and (outputs > n or exact.loss.width is None):
        return ggn_by_columns(exact).numpy()
    G = torch.zeros(n, n, dtype=torch.float64)
    jacobian = jacobian_rows(exact)
    bends = torch.cat([output_hessians(exact, batch) for batch in exact.batches])
    blocks, classes = bends.shape[:2]
    step = max(1, _ROW_ENTRIES // (n * classes))
    for start in range(0, blocks, step):
        advance(start, blocks)
        stop = min(start + step, blocks)
        J = jacobian.make(start * classes, stop * classes)
        G.addmm_(J.T, torch.bmm(bends[start:stop], J.view(-1, classes, n)).view(-1, n), alpha=exact.scale)
    return ((G + G.T) / 2).numpy()


def dense_residual(network: Network) -> Array:
    """Residual (n, n), Hessian less GGN, as the Hessian of the outputs weighted by fixed slopes: no digits cancel."""
    return dense_hessian(residual_network(_exact(network)))


def dense_second_moment(network: Network) -> Array:
    """Second moment (n, n) of the gradients of single samples, scale times the sum of g_i g_i^T."""
    return _outer(gradient_rows(_exact(network)))


def dense_covariance(network: Network) -> Array:
    """Covariance (n, n) of the gradients of single samples, scale times the sum of (g_i - g)(g_i - g)^T."""
    return _outer(gradient_rows(_exact(network), centred=True))


def dense_fisher(network: Network) -> Array:
    """Monte-Carlo Fisher matrix (n, n), the GGN of the network of drawn targets: one of each sample, of seed 0."""
    return dense_ggn(fisher_network(_exact(network)))


def _outer(rows: SampleRows) -> Array:
    """B^T B (n, n) of rows B."""
    n = rows.dim
    M = torch.zeros(n, n, dtype=torch.float64)
    step = max(1, _ROW_ENTRIES // n)
    for start in range(0, len(rows), step):
        B = rows.make(start, min(start + step, len(rows)))
        M.addmm_(B.T, B)
    return M.numpy()


def output_hessians(network: Network, batch: Batch) -> Tensor:
    """Hessians (m, C, C) of the losses of a batch's samples in their outputs, by autograd; zero for a linear loss.

    Of a loss with a width W those of the rows (m C / W, W, W).
    """
    outputs = outputs_of(network, batch)
    width = outputs.shape[1] if network.loss.width is None else network.loss.width
    with torch.enable_grad():
        outputs.requires_grad_()
        (slope,) = torch.autograd.grad(network.loss.total(outputs, batch.targets), outputs, create_graph=True)
    if not slope.requires_grad:
        return torch.zeros(outputs.numel() // width, width, width, dtype=outputs.dtype)
    # One sample's loss does not depend on another's outputs, so that one pass gives a row for each sample.
    columns = slope.reshape(-1, width).unbind(dim=1)
    rows = [torch.autograd.grad(column.sum(), outputs, retain_graph=True)[0].view(-1, width) for column in columns]
    return torch.stack(rows, dim=1)


DENSE: Final[dict[str, Callable[[Network], Array]]] = {
    "hessian": dense_hessian,
    "ggn": dense_ggn,
    "residual": dense_residual,
    "gradient-second-moment": dense_second_moment,
    "gradient-covariance": dense_covariance,
    "monte-carlo-fisher": dense_fisher,
    "ntk": ntk_matrix,
    "gram": gram_matrix,
}
"""The dense matrix by the name of the operator."""


def _exact(network: Network) -> Network:
    return network.to(torch.device("cpu"), torch.float64)


def _hessian_of(network: Network, batch: Batch) -> Tensor:
    """Hessian (n, n) of the summed loss of one batch, not yet symmetric."""

    def total(parameters: Tensor) -> Tensor:
        return network.loss.total(network.forward(parameters, batch.inputs), batch.targets)

    if not network.batched:
        return _row_by_row(total, network.parameters)
    try:
        H = _column_by_column(total, network.parameters)
    except RuntimeError:
        # No forward mode, or an operation that the transforms do not take: the other way says so if it is neither.
        return _row_by_row(total, network.parameters)
    return H if _agrees(H, total, network.parameters) else _row_by_row(total, network.parameters)


def _agrees(H: Tensor, total: Callable[[Tensor], Tensor], parameters: Tensor) -> bool:
    """Whether a matrix multiplies a random vector as double backward does: some forward modes of torch are wrong."""
    generator = make_generator(derive_seed("dense-hessian"))
    v = torch.randn(parameters.numel(), generator=generator, dtype=torch.float64)
    tracked = parameters.detach().clone().requires_grad_()
    with torch.enable_grad():
        (gradient,) = torch.autograd.grad(total(tracked), tracked, create_graph=True)
    product = torch.zeros_like(v)
    if gradient.requires_grad:
        (product,) = torch.autograd.grad(gradient, tracked, v)
    # The size before anything cancels, so that rounding alone is no difference.
    return float((H @ v - product).norm()) <= _AGREES * float((H.abs() @ v.abs()).norm())


def _column_by_column(total: Callable[[Tensor], Tensor], parameters: Tensor) -> Tensor:
    slope = torch.func.grad(total)

    def column(direction: Tensor) -> Tensor:
        return torch.func.jvp(slope, (parameters,), (direction,))[1]

    pieces: list[Tensor] = []
    with quiet_transforms():
        for columns in torch.eye(parameters.numel(), dtype=torch.float64).split(_COLUMNS):
            advance(len(pieces) * _COLUMNS, parameters.numel())
            pieces.append(torch.func.vmap(column)(columns))
    return torch.cat(pieces)


def _row_by_row(total: Callable[[Tensor], Tensor], parameters: Tensor) -> Tensor:
    tracked = parameters.detach().clone().requires_grad_()
    with torch.enable_grad():
        (gradient,) = torch.autograd.grad(total(tracked), tracked, create_graph=True)
        gradient = gradient + 0.0 * tracked  # entries that do not depend on the parameters have rows of 0
    H = torch.zeros(tracked.numel(), tracked.numel(), dtype=torch.float64)
    if gradient.requires_grad:
        for place, (row, entry) in enumerate(zip(H, gradient.unbind(), strict=True)):
            advance(place, len(H))
            row.copy_(torch.autograd.grad(entry, tracked, retain_graph=True)[0])
    return H
