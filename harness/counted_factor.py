"""The factor of a GGN, charged to the spending of its operator."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import final

import torch
from torch import Tensor

from hessbench.operators import (
    Factor,
    OperatorInfo,
    ProductKind,
    check_block,
    drawn_squares,
    plain_block,
    summed_squares,
    summed_work,
)
from hessbench.spending import Single, Spending


@final
class CountingFactor(Single):
    """The factor of a GGN, charged to the spending of its operator."""

    def __init__(
        self, inner: Factor, spending: Spending, info: OperatorInfo, dtype: torch.dtype, device: torch.device
    ) -> None:
        self._inner = inner
        self._spending = spending
        self._dtype = dtype
        self._device = device
        self._population = info.population
        self.num_samples = inner.num_samples
        self.num_outputs = inner.num_outputs
        self.num_columns = inner.num_columns

    def rmatmat(self, block: Tensor, /) -> Tensor:
        """Charge and compute F @ block: (num_columns, k) -> (dim, k), k vector-Jacobian products."""
        return self._charged(ProductKind.VJP, self._inner.rmatmat, block)

    def squared_sum(self, block: Tensor, /) -> Tensor:
        """Charge and compute the per-sample squares: (num_columns, k) -> (dim, k), k per-example squares."""
        return self._charged(ProductKind.PER_EXAMPLE_SQUARE, self._inner.squared_sum, block)

    def drawn_squares(self, number: int, generator: torch.Generator, /) -> Tensor:
        """Charge and compute `number` columns of per-sample squares at drawn targets: (dim, number)."""
        self._spending.charge(ProductKind.PER_EXAMPLE_SQUARE, number, self.num_samples, self._population)
        witness = torch.zeros(1, dtype=self._dtype, device=self._device)
        product = self._spending.timed(lambda _: drawn_squares(self._inner, number, generator), witness)
        self._spending.watch(witness, product)
        return product.detach()

    def summed_squares(self, block: Tensor, /) -> Tensor:
        """Charge and compute the sum of the squares: (num_columns, k) -> (dim,), k per-example squares.

        Of their price what their sum takes is charged.
        """
        inner = self._inner
        return self._charged(
            ProductKind.PER_EXAMPLE_SQUARE, partial(summed_squares, inner), block, work=partial(summed_work, inner)
        )

    def _charged(
        self,
        kind: ProductKind,
        compute: Callable[[Tensor], Tensor],
        block: Tensor,
        work: Callable[[int], float] = lambda _: 1.0,
    ) -> Tensor:
        block = plain_block(block, "factor")
        check_block(block, self.num_columns, self._dtype, self._device, "factor")
        columns = block.shape[1]
        self._spending.charge(kind, columns, self.num_samples, self._population, work(columns))
        product = self._spending.timed(compute, block)
        self._spending.watch(block, product)
        return product.detach()
