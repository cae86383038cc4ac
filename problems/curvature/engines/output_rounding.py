"""How far the rounding of outputs, and of a loss's own formula, reaches into the products of a curvature matrix.

A product is right to c eps ||A|| where nothing cancels. Where a network fits its data, the slopes and the curvature of
the loss are small differences of large numbers, and what rounds is larger than what is left: the products are right to
eps times a size of its own, which is measured here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Final, TypeAlias

import torch
from torch import Tensor

from hessbench.problems.curvature.engines import kept_graph
from hessbench.problems.networks.linearisation import Linearisation
from hessbench.problems.networks.losses import Loss
from hessbench.problems.networks.network import Batch, Network
from hessbench.seeding import derive_seed, make_generator

_EPS: Final = 2.0**-23
_STEP: Final = 2.0**-20
_NEARER: Final = (1.0, 0.7, 0.5, 0.35, 0.25, 0.17, 0.12)
_STEPS: Final = 8

Terms: TypeAlias = tuple[Tensor, Tensor]
Product: TypeAlias = Callable[[Tensor], Tensor]


def rounding_size(network: Network, operator: str, norm: float = 0.0) -> float:
    """The norm of what rounds in the products of a matrix, in units of eps, beside what its own norm says.

    With e_i (C,) the rounding of the slopes of sample i in units of eps, and E_i the diagonal of that of the Hessian of
    its loss in the outputs: ||c sum_i J_i^T E_i J_i|| for the GGN, ||c sum_i sum_o e_io hess of output o|| for the
    residual, their sum for the Hessian, and 2 sqrt(||M|| ||N||) + eps(float32) ||N|| for the second moment M of the
    gradients J_i^T s_i, with N that of J_i^T e_i. A covariance rounds by the second moment as well.

    Args:
        network: The network.
        operator: One of `curvature.matrices.OPERATORS`, the Monte-Carlo Fisher matrix as the GGN it is.
        norm: Spectral norm of the matrix, which only those of single gradients need.

    Returns:
        The size; 0 for the NTK, which has no loss. Within some ten per cent, by power iteration in float64.

    Cost: 8 products of each kind that it is made of, and as many gradients; the graphs of one batch at a time.
    """
    if operator == "ntk":
        return 0.0
    exact = replace(network.to(network.parameters.device, torch.float64), traced=False)
    terms = [output_rounding(exact, batch) for batch in exact.batches]
    size = 0.0
    if operator in ("hessian", "ggn", "gram"):
        size += _norm(exact, [_of_bends(exact, batch, bends) for batch, (_, bends) in _each(exact, terms)])
    if operator in ("hessian", "residual"):
        size += _norm(exact, [_of_slopes(exact, batch, slopes) for batch, (slopes, _) in _each(exact, terms)])
    if operator in ("gradient-second-moment", "gradient-covariance"):
        N = _norm(exact, [_of_gradients(exact, batch, slopes) for batch, (slopes, _) in _each(exact, terms)])
        size += 2 * (norm * N) ** 0.5 + _EPS * N
    if operator == "gradient-covariance":
        size += second_moment_norm(exact)
    return size


def second_moment_norm(network: Network) -> float:
    """Spectral norm of the second moment of the gradients, which their covariance is cut from.

    Cost: as of `rounding_size`.
    """
    parts: list[Callable[[], Product]] = []
    for batch in network.batches:
        with torch.no_grad():
            outputs = network.forward(network.parameters, batch.inputs)
        parts.append(_of_gradients(network, batch, network.loss.slope(outputs, batch.targets)))
    return _norm(network, parts)


def output_rounding(network: Network, batch: Batch) -> Terms:
    """Roundings of slopes (m, C) and of the rows of Hessians in the outputs (m, C), in units of eps, of a batch.

    Two are added: that of the outputs, found by changing each by a part of itself; and that of the loss's own formula,
    by evaluating it in float32. Where that loses all digits, an output nearer to zero shows how much it rounds.
    """
    with torch.no_grad():
        outputs = network.forward(network.parameters, batch.inputs).double()
    generator = make_generator(derive_seed("output-rounding"))
    signs = torch.randn(3, *outputs.shape, generator=generator).sign().to(outputs)
    targets = batch.targets.double() if batch.targets.is_floating_point() else batch.targets
    here = _slope_and_bend(network.loss, outputs, targets, signs[0])
    moved = _slope_and_bend(network.loss, outputs * (1 + _STEP * signs[1]), targets, signs[0])
    formula = _formula_rounding(network.loss, outputs, targets, signs[2])
    slopes, bends = (
        torch.nan_to_num((b - a).abs() / _STEP + c, nan=0.0, posinf=0.0)
        for a, b, c in zip(here, moved, formula, strict=True)
    )
    return slopes, bends


def _formula_rounding(loss: Loss, outputs: Tensor, targets: Tensor, signs: Tensor) -> Terms:
    found = [torch.zeros_like(outputs), torch.zeros_like(outputs)]
    open_ = [torch.ones_like(outputs, dtype=torch.bool) for _ in found]
    rounded = targets.float() if targets.is_floating_point() else targets
    for part in _NEARER:
        single = (part * outputs).float()
        right = _slope_and_bend(loss, single.double(), rounded.double() if targets.is_floating_point() else rounded,
                                signs)  # fmt: skip
        got = _slope_and_bend(loss, single, rounded, signs.float())
        for kind in range(2):
            off = (got[kind].double() - right[kind]).abs()
            found[kind] = torch.where(open_[kind], torch.maximum(found[kind], off / _EPS), found[kind])
            open_[kind] &= off > 0.25 * right[kind].abs()
    return found[0], found[1]


def _slope_and_bend(loss: Loss, outputs: Tensor, targets: Tensor, direction: Tensor) -> Terms:
    """Slopes (m, C), and the Hessians of the losses in the outputs times directions (m, C), by autograd."""
    with torch.enable_grad():
        tracked = outputs.detach().clone().requires_grad_()
        (slope,) = torch.autograd.grad(loss.total(tracked, targets), tracked, create_graph=True)
    if not slope.requires_grad:
        return slope, torch.zeros_like(slope)
    try:
        (bend,) = torch.autograd.grad(slope, tracked, direction)
    except RuntimeError:  # no second derivative, which those of single gradients do without
        bend = torch.zeros_like(slope)
    return slope.detach(), bend.detach()


def _each(network: Network, terms: list[Terms]) -> Iterable[tuple[Batch, Terms]]:
    return zip(network.batches, terms, strict=True)


def _of_bends(network: Network, batch: Batch, bends: Tensor) -> Callable[[], Product]:
    """Products with c sum_i J_i^T E_i J_i of a batch, E_i diagonal."""
    loss = Loss("roundings", _half_squares, network.loss.mean, product=_scaled)
    return lambda: kept_graph.ggn(replace(network, loss=loss), Batch(batch.inputs, bends)).multiply


def _of_slopes(network: Network, batch: Batch, slopes: Tensor) -> Callable[[], Product]:
    """Products with c sum_i sum_o e_io hess of output o; zero where the network is linear in its parameters."""
    loss = Loss("roundings", _weighted, network.loss.mean)

    def make() -> Product:
        try:
            return kept_graph.hessian(replace(network, loss=loss), Batch(batch.inputs, slopes)).multiply
        except ValueError:  # a gradient that is constant
            return torch.zeros_like

    return make


def _of_gradients(network: Network, batch: Batch, slopes: Tensor) -> Callable[[], Product]:
    """Products with c sum_i g_i g_i^T, g_i = J_i^T e_i."""

    def make() -> Product:
        jacobian = Linearisation(
            network, lambda parameters: (slopes * network.forward(parameters, batch.inputs)).sum(dim=1)
        )
        return lambda block: jacobian.vjp(jacobian.jvp(block) * network.scale)

    return make


def norm_of(product: Callable[[Tensor], Tensor], like: Tensor) -> float:
    """Spectral norm of a symmetric matrix, within some ten per cent, by power iteration.

    Args:
        product: Multiplies (n, 1).
        like: A tensor of n numbers, of its dtype and device.

    Cost: 8 products.
    """
    generator = make_generator(derive_seed("norm"))
    x = torch.randn(like.numel(), 1, generator=generator, dtype=torch.float64).to(like)
    size = torch.zeros((), dtype=x.dtype, device=x.device)
    for _ in range(_STEPS):
        x = product(x / x.norm().clamp_min(torch.finfo(x.dtype).tiny))
        size = torch.maximum(size, x.norm())
    return float(size)


def _norm(network: Network, parts: list[Callable[[], Product]]) -> float:
    """Norm of a sum over batches: of a single one the graph is kept, of several made again, since all may not fit."""
    like = network.parameters.detach()
    if len(parts) == 1:
        return norm_of(parts[0](), like)
    return norm_of(lambda x: torch.stack([part()(x) for part in parts]).sum(dim=0), like)


def _half_squares(outputs: Tensor, sizes: Tensor) -> Tensor:
    return (sizes * outputs.square()).sum() / 2


def _scaled(outputs: Tensor, sizes: Tensor) -> Callable[[Tensor], Tensor]:
    del outputs
    return lambda change: sizes[:, :, None] * change


def _weighted(outputs: Tensor, slopes: Tensor) -> Tensor:
    return (outputs * slopes).sum()
