"""A second count, of what an operator computed, to compare with what was charged for it."""

from __future__ import annotations

from typing import Any, final

import torch
from torch import Tensor

from hessbench.operators import Factor, LinearOperator, drawn_squares


@final
class TalliedOperator:
    """An operator that counts the columns it multiplies, whoever asks for them.

    Everything else it is asked for is that of the operator inside, its factor counted too.

    Args:
        inner: The operator.
    """

    def __init__(self, inner: LinearOperator) -> None:
        self._inner = inner
        self.columns = 0
        self.dim = inner.dim
        self.dtype = inner.dtype
        self.device = inner.device

    def matmat(self, block: Tensor, /) -> Tensor:
        """Multiply a block of shape (dim, k)."""
        self.columns += block.shape[1]
        return self._inner.matmat(block)

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        return _TalliedFactor(found, self) if name == "factor" else found


@final
class _TalliedFactor:
    """A factor whose columns count with those of its operator."""

    def __init__(self, inner: Factor, tally: TalliedOperator) -> None:
        self._inner = inner
        self._tally = tally
        self.num_samples = inner.num_samples
        self.num_outputs = inner.num_outputs
        self.num_columns = inner.num_columns

    def rmatmat(self, block: Tensor, /) -> Tensor:
        self._tally.columns += block.shape[1]
        return self._inner.rmatmat(block)

    def squared_sum(self, block: Tensor, /) -> Tensor:
        self._tally.columns += block.shape[1]
        return self._inner.squared_sum(block)

    def drawn_squares(self, number: int, generator: torch.Generator, /) -> Tensor:
        self._tally.columns += number
        return drawn_squares(self._inner, number, generator)
