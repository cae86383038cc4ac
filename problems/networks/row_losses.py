"""A loss of single rows as the loss of samples that have many: the positions of a sequence, the pixels of an image."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from hessbench.problems.networks.losses import Loss


def by_rows(loss: Loss, width: int, factor: float = 1.0) -> Loss:
    """The loss of outputs (m, L W), the sum over the L rows of a sample of `loss` on rows (W,), times a factor.

    Args:
        loss: Takes outputs (m, W), and class numbers (m,) or values (m, W); here they are (m, L) and (m, L, W).
        width: Number W of outputs of a row.
        factor: Not negative; 1 / L for a mean over the rows.
    """

    def rows(outputs: Tensor) -> Tensor:
        return outputs.reshape(-1, width)

    def flat(targets: Tensor) -> Tensor:
        return targets.reshape(-1, width) if targets.is_floating_point() else targets.flatten()

    def total(outputs: Tensor, targets: Tensor) -> Tensor:
        return loss.total(rows(outputs), flat(targets)) * factor

    def root(outputs: Tensor, targets: Tensor) -> Tensor:
        assert loss.root is not None
        return loss.root(rows(outputs), flat(targets)) * factor**0.5

    def product(outputs: Tensor, targets: Tensor) -> Callable[[Tensor], Tensor]:
        multiply = loss.bend(rows(outputs), flat(targets))
        return lambda change: multiply(change.reshape(-1, width, change.shape[2])).reshape(change.shape) * factor

    def draw(outputs: Tensor, targets: Tensor, number: int, generator: torch.Generator) -> Tensor:
        assert loss.draw is not None
        slopes = loss.draw(rows(outputs), flat(targets), number, generator)
        return slopes.reshape(*outputs.shape, number) * factor**0.5

    return Loss(
        loss.name,
        total,
        loss.mean,
        None if loss.root is None else root,
        product,
        None if loss.draw is None else draw,
        loss.linear,
        width,
    )
