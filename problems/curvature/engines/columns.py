"""A function of one column over the columns of a block: one by one, or all in one vectorised pass."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


def map_columns(function: Callable[[Tensor], Tensor], block: Tensor, *, batched: bool) -> Tensor:
    """Apply a function to each column.

    Args:
        function: From a column to a tensor of any shape.
        block: Columns along the last axis, (..., k), k at least 1.
        batched: Whether more than one column are mapped in one vectorised pass.

    Returns:
        Results along the last axis.
    """
    if batched and block.shape[-1] > 1:
        # Out along the first axis: torch cannot put a result that is the same for every column along a negative one.
        return torch.func.vmap(function, in_dims=-1)(block).movedim(0, -1)
    return torch.stack([function(column.contiguous()) for column in block.unbind(dim=-1)], dim=-1)


def outputs_and_pull(function: Callable[[Tensor], Tensor], at: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
    """Value of a function at a point, and its vector-Jacobian product there."""
    found = torch.func.vjp(function, at)
    backwards = found[1]
    return found[0], lambda weights: backwards(weights)[0]
