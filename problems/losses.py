"""Losses of classifiers: their sum over samples, and the curvature they have in the outputs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeAlias

import torch
from torch import Tensor

LossTotal: TypeAlias = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Loss:
    """A loss that is a sum over samples, divided by their number where `mean` holds.

    Attributes:
        name: How specs and reports call it.
        total: Sum over samples of the loss of outputs (m, C) and targets (m, ...), a scalar.
        mean: Whether the objective of a network divides by the number of samples.
        root: S (m, C, R) with S_i S_i^T the Hessian of the loss of sample i in its outputs (m, C); None where no
            such root is known, and the GGN then has no factor.
    """

    name: str
    total: LossTotal
    mean: bool = True
    root: LossTotal | None = None

    def slope(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Gradients (m, C) of the losses of the samples in their outputs."""
        with torch.enable_grad():
            tracked = outputs.detach().requires_grad_()
            (gradient,) = torch.autograd.grad(self.total(tracked, targets), tracked)
        return gradient


def _cross_entropy(outputs: Tensor, targets: Tensor) -> Tensor:
    return torch.nn.functional.cross_entropy(outputs, targets, reduction="sum")


def _cross_entropy_root(outputs: Tensor, targets: Tensor) -> Tensor:
    """Columns of diag(sqrt p) - p sqrt(p)^T, p the softmax of a sample's outputs."""
    del targets
    p = outputs.softmax(dim=1)
    root = p.sqrt()
    return torch.diag_embed(root) - p[:, :, None] * root[:, None, :]


def _squared(outputs: Tensor, targets: Tensor) -> Tensor:
    """Half the squared distance to the targets, or to the unit vectors of class numbers."""
    if not targets.is_floating_point():
        targets = torch.nn.functional.one_hot(targets, outputs.shape[1]).to(outputs.dtype)
    return (outputs - targets).square().sum() / 2


def _squared_root(outputs: Tensor, targets: Tensor) -> Tensor:
    del targets
    classes = outputs.shape[1]
    return torch.eye(classes, dtype=outputs.dtype, device=outputs.device).expand(outputs.shape[0], classes, classes)


CROSS_ENTROPY: Final = Loss("cross-entropy", _cross_entropy, root=_cross_entropy_root)
"""Cross-entropy of the softmax of the outputs with class numbers."""

SQUARED: Final = Loss("squared", _squared, root=_squared_root)
"""Half the squared distance between the outputs and the targets: its Hessian in the outputs is the identity."""

LOSSES: Final = {loss.name: loss for loss in (CROSS_ENTROPY, SQUARED)}
