"""A second count, of what an operator computed, to compare with what was charged for it."""

from __future__ import annotations

from typing import Any, final

import torch
from torch import Tensor

from hessbench.operator_parts import Parts, Rows, Units
from hessbench.operators import Factor, LinearOperator, drawn_squares, summed_squares, summed_work


@final
class TalliedOperator:
    """An operator that counts the columns it multiplies, whoever asks for them.

    Everything else it is asked for is that of the operator inside; its factor, rows, subsets and parts are counted too.

    Args:
        inner: The operator.
        whole: What counts for it, where it is a part of another.
    """

    def __init__(self, inner: LinearOperator, whole: TalliedOperator | None = None) -> None:
        self._inner = inner
        self._whole = self if whole is None else whole
        self.columns = 0
        self.dim = inner.dim
        self.dtype = inner.dtype
        self.device = inner.device

    def matmat(self, block: Tensor, /) -> Tensor:
        """Multiply a block of shape (dim, k)."""
        self._whole.columns += block.shape[1]
        return self._inner.matmat(block)

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        whole = self._whole
        if name == "factor":
            return _TalliedFactor(found, whole)
        if name == "rows":
            return _TalliedRows(found, whole)
        if name == "units":
            return _TalliedUnits(found, whole)
        if name == "subset":

            def subset(samples: Tensor, weights: Tensor | None = None, /) -> TalliedOperator:
                return TalliedOperator(found(samples, weights), whole)

            return subset
        if name == "parts":
            return Parts(TalliedOperator(found.ggn, whole), TalliedOperator(found.residual, whole), found.shift)
        return found


@final
class _TalliedRows:
    """Rows that count with the columns of their operator."""

    def __init__(self, inner: Rows, tally: TalliedOperator) -> None:
        self._inner = inner
        self._tally = tally
        self.num_samples = inner.num_samples

    @property
    def per_sample(self) -> int:
        return self._inner.per_sample

    def root_norms(self) -> Tensor:
        return self._inner.root_norms()

    def sample_norms(self) -> Tensor:
        return self._inner.sample_norms()

    def slope_norms(self) -> Tensor:
        return self._inner.slope_norms()

    def input_norms(self) -> Tensor:
        """Those of the rows inside."""
        return self._inner.input_norms()

    def __call__(self, indices: Tensor, /) -> Tensor:
        self._tally.columns += indices.numel()
        return self._inner(indices)


@final
class _TalliedUnits:
    """Units that count with the columns of their operator."""

    def __init__(self, inner: Units, tally: TalliedOperator) -> None:
        self._inner = inner
        self._tally = tally
        self.num_units = inner.num_units
        self.work = inner.work

    def diagonal(self) -> Tensor:
        self._tally.columns += self.num_units
        return self._inner.diagonal()


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

    def summed_squares(self, block: Tensor, /) -> Tensor:
        self._tally.columns += block.shape[1]
        return summed_squares(self._inner, block)

    def summed_work(self, columns: int, /) -> float:
        return summed_work(self._inner, columns)
