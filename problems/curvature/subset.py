"""A network on some of its samples, each with a weight: what a curvature matrix over a part of the data is made of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final

import torch
from torch import Tensor

from hessbench.operator_checks import checked_numbers
from hessbench.operators import LinearOperator, OperatorInfo
from hessbench.problems.curvature.engines.engine import EngineUnavailable
from hessbench.problems.curvature.engines.operator import EngineOperator
from hessbench.problems.networks.losses import Loss
from hessbench.problems.networks.network import Batch, Network, refuse_group


def subset_network(network: Network, samples: Tensor, weights: Tensor | None = None) -> Network:
    """The network whose objective is scale * sum_i w_i l_i over some samples, scale that of the whole objective.

    Its Hessian, GGN and residual are the parts of the samples in those of the whole network, weighted and summed. Where
    all weights are one, so is the loss but for a factor. Where they differ, each loss is replaced by what it is to
    second order in the outputs, <w s, o - o_0> + ||w^(1/2) S^T (o - o_0)||^2 / 2, which has the same curvature here.

    Args:
        network: The network, each of whose samples stands by itself.
        samples: Numbers of the samples, (m,).
        weights: Weights (m,); all 1 by default.

    Cost: where weights differ, a forward pass of the samples.

    Raises:
        ValueError: If a sample is named twice, there is none, a weight is negative or not finite, or weights differ and
            the loss has no root for all outputs of a sample.
    """
    refuse_group(network, "a subset of the samples")
    samples, weights = _checked(network, samples, weights)
    if bool((weights == weights[0]).all()):
        factor = float(weights[0]) * network.scale
        return replace(network, batches=_taken(network, samples, None), loss=_scaled(network.loss, factor))
    if network.loss.root is None or network.loss.width is not None:
        raise ValueError(
            f"weights that differ need a loss with a root for all outputs of a sample, and {network.loss.name} has none"
        )
    return replace(network, batches=_taken(network, samples, weights * network.scale), loss=_QUADRATIC)


def subset_operator(
    network: Network,
    matrix: str,
    samples: Tensor,
    weights: Tensor | None = None,
    *,
    compared: set[str] | None = None,
) -> LinearOperator:
    """A matrix that engines multiply with, over some samples.

    Args:
        network: The network.
        matrix: hessian or ggn.
        samples: Numbers of the samples, (m,).
        weights: Weights (m,); all 1 by default.
        compared: The losses under which the engine was compared with the kept graph on samples of this network, which
            are not compared again; that of this subset is added.

    Cost: that of `EngineOperator` on so many samples, by the engine `rules` where it takes the network: none is tried.
    """
    return part_operator(subset_network(network, samples, weights), matrix, network.num_samples, compared=compared)


def part_operator(part: Network, matrix: str, population: int, *, compared: set[str] | None = None) -> LinearOperator:
    """A matrix of a network whose samples are some of so many.

    Args:
        part: The network, on its samples.
        matrix: hessian or ggn.
        population: How many samples there are in all.
        compared: As of `subset_operator`.

    Cost: that of `subset_operator`.
    """
    known = set[str]() if compared is None else compared
    try:
        op = EngineOperator(part, matrix, "rules", compared=part.loss.name in known)
        known.add(part.loss.name)
    except EngineUnavailable:
        op = EngineOperator(part, matrix, "kept-graph")
    op.info = OperatorInfo(op.info.kind, part.num_samples, population, op.info.engine)
    return op


def _checked(network: Network, samples: Tensor, weights: Tensor | None) -> tuple[Tensor, Tensor]:
    """Numbers ascending, and their weights in float64.

    Raises:
        ValueError: Saying what is accepted.
    """
    ordered, order = checked_numbers(samples, network.num_samples, "a subset").sort(stable=True)
    if bool((ordered[1:] == ordered[:-1]).any()):
        raise ValueError("a subset takes each sample once, got one twice: add up its weights")
    if weights is None:
        return ordered, torch.ones(ordered.numel(), dtype=torch.float64)
    if not isinstance(getattr(weights, "dtype", None), torch.dtype):
        raise ValueError(
            f"weights takes a tensor of one number of at least 0 for each of {ordered.numel()} samples, "
            f"got {type(weights).__name__}"
        )
    found = weights.detach().cpu().double()
    if found.shape != ordered.shape or not bool((found >= 0).all()) or not bool(found.isfinite().all()):
        raise ValueError(
            f"weights takes one number of at least 0 for each of {ordered.numel()} samples, got {weights.tolist()[:10]}"
        )
    return ordered, found[order]


def _taken(network: Network, samples: Tensor, weights: Tensor | None) -> tuple[Batch, ...]:
    """The samples of each batch that has any; with weights, what the quadratic loss needs in place of targets."""
    batches: list[Batch] = []
    first = 0
    for batch in network.batches:
        inside = (samples >= first) & (samples < first + batch.size)
        if bool(inside.any()):
            places = (samples[inside] - first).to(network.parameters.device)
            part = batch.part(places)
            batches.append(part if weights is None else _expanded(network, part, weights[inside]))
        first += batch.size
    return tuple(batches)


def _scaled(loss: Loss, factor: float) -> Loss:
    """A loss times a positive number, or 0, which is no longer divided by the number of samples."""
    root, product = loss.root, loss.product

    def total(outputs: Tensor, targets: Tensor) -> Tensor:
        return loss.total(outputs, targets) * factor

    def scaled_root(outputs: Tensor, targets: Tensor) -> Tensor:
        assert root is not None
        return root(outputs, targets) * factor**0.5

    def scaled_product(outputs: Tensor, targets: Tensor) -> Callable[[Tensor], Tensor]:
        assert product is not None
        multiply = product(outputs, targets)
        return lambda change: multiply(change) * factor

    return Loss(
        loss.name,
        total,
        mean=False,
        root=None if root is None else scaled_root,
        product=None if product is None else scaled_product,
        linear=loss.linear,
        width=loss.width,
    )


def _expanded(network: Network, batch: Batch, weights: Tensor) -> Batch:
    """A batch whose targets (m, C, R + 2) are outputs, slopes and roots of the loss, weighted."""
    assert network.loss.root is not None
    with torch.no_grad():
        outputs = network.forward(network.parameters, batch.inputs)
    weights = weights.to(outputs)
    slopes = network.loss.slope(outputs, batch.targets) * weights[:, None]
    roots = network.loss.root(outputs, batch.targets) * weights.sqrt()[:, None, None]
    return Batch(batch.inputs, torch.cat([outputs[:, :, None], slopes[:, :, None], roots], dim=2))


def _quadratic_total(outputs: Tensor, packed: Tensor) -> Tensor:
    moved = outputs - packed[:, :, 0]
    return (moved * packed[:, :, 1]).sum() + torch.einsum("mc,mcr->mr", moved, packed[:, :, 2:]).square().sum() / 2


def _quadratic_root(outputs: Tensor, packed: Tensor) -> Tensor:
    del outputs
    return packed[:, :, 2:]


_QUADRATIC: Final = Loss("quadratic", _quadratic_total, mean=False, root=_quadratic_root)
