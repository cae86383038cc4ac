"""Rows and units of an operator, charged to the spending of the operator they belong to."""

from __future__ import annotations

from collections.abc import Callable
from typing import final

import torch
from torch import Tensor

from hessbench.operator_checks import checked_numbers
from hessbench.operator_parts import Rows, Units
from hessbench.operators import OperatorInfo, ProductKind
from hessbench.spending import Single, Spending


@final
class CountingRows(Single):
    """The rows of a GGN: each is charged as a forward pass and a VJP of one sample, before it is made."""

    def __init__(self, inner: Rows, spending: Spending, dim: int, dtype: torch.dtype, device: torch.device) -> None:
        self._inner = inner
        self._spending = spending
        self._dim = dim
        self._witness = torch.zeros(1, dtype=dtype, device=device)
        self._found: dict[str, Tensor] = {}
        self.num_samples = inner.num_samples

    @property
    def per_sample(self) -> int:
        """Rows of each sample; found in the same forward pass as their norms."""
        return self.root_norms().numel() // self.num_samples

    @property
    def num_rows(self) -> int:
        """Number of rows; likewise."""
        return self.root_norms().numel()

    def root_norms(self) -> Tensor:
        """Norms ||s_r|| (num_rows,); the first of the norms to be asked for is charged as a pass over all samples.

        Raises:
            ValueError: If an output of the network is not finite.
        """
        return self._norms("root_norms", self._inner.root_norms)

    def sample_norms(self) -> Tensor:
        """Norms of the roots of the samples (num_samples,); charged as `root_norms`.

        Raises:
            ValueError: If an output of the network is not finite.
        """
        return self._norms("sample_norms", self._inner.sample_norms)

    def slope_norms(self) -> Tensor:
        """Norms of the slopes of the losses (num_samples,); charged as `root_norms`.

        Raises:
            ValueError: If an output of the network is not finite.
        """
        return self._norms("slope_norms", self._inner.slope_norms)

    def _norms(self, name: str, find: Callable[[], Tensor]) -> Tensor:
        """A copy of norms that are found once: all of them in the forward pass that the first one is charged for."""
        if name not in self._found:
            if not self._found:
                self._spending.charge_forward(self.num_samples, self.num_samples)
            found = self._spending.timed(lambda _: find(), self._witness).detach()
            self._spending.watch(self._witness, found)
            self._found[name] = found
        return self._found[name].clone()

    def input_norms(self) -> Tensor:
        """Norms of the inputs of the samples (num_samples,), which nothing is computed for."""
        return self._inner.input_norms().detach().clone()

    def __call__(self, indices: Tensor, /) -> Tensor:
        """Charge and make rows: numbers (r,) to a block (dim, r).

        Raises:
            ValueError: If the numbers are no integers (r,) with r at least 1, or one is out of range.
            BudgetExceeded: If r products are more than are left.
        """
        indices = checked_numbers(indices, self.num_rows, "rows")
        count = indices.numel()
        self._spending.charge(ProductKind.VJP, count, 1, self.num_samples)
        self._spending.charge_forward(count, self.num_samples)
        block = self._spending.timed(lambda _: self._inner(indices), self._witness)
        if block.shape != (self._dim, count):
            raise ValueError(f"the operator returned rows of shape {tuple(block.shape)}, expected {(self._dim, count)}")
        self._spending.watch(self._witness, block)
        return block.detach()


@final
class CountingUnits(Single):
    """Units in which a network is curved: the diagonal is charged as a per-example square of each, by its share.

    Args:
        make: Finds the units; charged as a forward pass of one sample, before it is called.
        spending: What is charged.
        info: What a product of the residual touches.
        dim: Dimension n.
        dtype: Of the operator.
        device: Where it lives.
    """

    def __init__(
        self,
        make: Callable[[], Units],
        spending: Spending,
        info: OperatorInfo,
        dim: int,
        dtype: torch.dtype,
        device: torch.device,
    ) -> None:
        self._spending = spending
        self._info = info
        self._dim = dim
        self._witness = torch.zeros(1, dtype=dtype, device=device)
        spending.charge_forward(1, info.population)
        self._inner = make()
        self.num_units = self._inner.num_units

    def diagonal(self) -> Tensor:
        """Charge and compute the diagonal of R, (n,).

        Raises:
            BudgetExceeded: If `num_units` products are more than are left.
            ValueError: If samples are curved in unlike units, or what is returned has another shape.
        """
        inner, info = self._inner, self._info
        if self.num_units:
            kind = ProductKind.PER_EXAMPLE_SQUARE
            self._spending.charge(kind, self.num_units, info.samples, info.population, inner.work)
        found = self._spending.timed(lambda _: inner.diagonal(), self._witness)
        if found.shape != (self._dim,):
            raise ValueError(f"the operator returned a diagonal of shape {tuple(found.shape)}, expected {(self._dim,)}")
        self._spending.watch(self._witness, found)
        return found.detach()
