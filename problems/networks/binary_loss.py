"""Cross-entropy of single yes-or-no outputs, and the curvature it has in them."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from hessbench.problems.networks.losses import Loss


def binary_cross_entropy(*, mean: bool = True, weight: Tensor | None = None, positive: Tensor | None = None) -> Loss:
    """Cross-entropy of the sigmoids of the outputs (m, C) with targets (m, C) from 0 to 1, summed over the outputs.

    Of an output f with target y it is w (a y softplus(-f) + (1 - y) softplus(f)), whose second derivative is
    w (a y + 1 - y) p (1 - p), p the sigmoid of f. Each output is a row of its own.

    Args:
        mean: Whether a network's objective is the mean over samples. Weights are not part of the divisor.
        weight: Weights w (C,) of the outputs, not negative; 1 by default.
        positive: Factors a (C,) of the targets that are 1; 1 by default. With them the loss is the likelihood of no
            distribution, and there are no targets to draw.
    """

    def shares(outputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Parts w a y and w (1 - y), (m, C)."""
        ones, zeros = targets, 1 - targets
        if positive is not None:
            ones = ones * positive.to(outputs)
        return (ones, zeros) if weight is None else (ones * weight.to(outputs), zeros * weight.to(outputs))

    def total(outputs: Tensor, targets: Tensor) -> Tensor:
        """The sum, by what each output is away from its nearer side: no digits cancel where p is near 0 or 1."""
        ones, zeros = shares(outputs, targets)
        above = outputs.detach() > 0
        away = torch.where(above, -outputs, outputs).exp().log1p()
        missed = torch.where(above, zeros * outputs, -ones * outputs)
        return ((ones + zeros) * away + missed).sum()

    def bends(outputs: Tensor, targets: Tensor) -> Tensor:
        """Second derivatives (m, C)."""
        ones, zeros = shares(outputs, targets)
        return (ones + zeros) * outputs.sigmoid() * (-outputs).sigmoid()

    def root(outputs: Tensor, targets: Tensor) -> Tensor:
        """Numbers, as (m C, 1, 1)."""
        return bends(outputs, targets).sqrt().reshape(-1, 1, 1)

    def product(outputs: Tensor, targets: Tensor) -> Callable[[Tensor], Tensor]:
        found = bends(outputs, targets)[:, :, None]
        return lambda change: found * change

    def draw(outputs: Tensor, targets: Tensor, number: int, generator: torch.Generator) -> Tensor:
        """Columns sqrt(w) (p - y), y 1 with probability p and else 0."""
        del targets
        p, q = outputs.sigmoid()[:, :, None], (-outputs).sigmoid()[:, :, None]
        u = torch.rand(*outputs.shape, number, generator=generator, dtype=outputs.dtype, device=outputs.device)
        slopes = torch.where(u < p, -q, p)
        return slopes if weight is None else slopes * weight.to(outputs).sqrt().expand_as(outputs)[:, :, None]

    if positive is not None:
        return Loss("binary-cross-entropy with pos_weight", total, mean, root, product, width=1)
    return Loss("binary-cross-entropy", total, mean, root, product, draw, width=1)
