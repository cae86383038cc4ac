"""The one place a product is counted: the operator a method is handed."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Final, NoReturn, SupportsIndex, final

import torch
from torch import Tensor

from hessbench.operators import (
    Factor,
    Factored,
    LinearOperator,
    Multiplies,
    OperatorInfo,
    ProductKind,
    check_block,
    check_product,
    drawn_squares,
    info_of,
    plain_block,
)

PRICES: Final[dict[ProductKind, float]] = {
    ProductKind.PRODUCT: 1.0,
    ProductKind.GRADIENT: 1.0,
    ProductKind.HESSIAN: 2.0,
    ProductKind.GGN: 4 / 3,
    ProductKind.JVP: 2 / 3,
    ProductKind.VJP: 2 / 3,
    ProductKind.PER_EXAMPLE_SQUARE: 2 / 3,
}
"""Gradient-equivalents of one column over the whole data, by counting multiplications."""


class BudgetExceeded(RuntimeError):  # noqa: N818 -- the name others script against
    """A product was asked for that the budget does not hold; nothing was computed."""

    def __init__(self, columns: int, spent: int, budget: int) -> None:
        super().__init__(f"{columns} more products asked for with {spent} of {budget} spent")
        self.columns = columns
        self.spent = spent
        self.budget = budget


class _Single:
    """What counts for one operator in one process, and so is neither copied nor pickled."""

    def __reduce_ex__(self, protocol: SupportsIndex) -> NoReturn:
        raise TypeError(
            "a counted operator cannot be copied or pickled: products with a copy would not be counted; "
            "hand blocks to the operator itself"
        )


@final
class Spending(_Single):
    """What has been charged so far, by kind; shared by an operator and its factor."""

    def __init__(self, num_matvecs: int | None = None, on_charge: Callable[[int], None] | None = None) -> None:
        self.num_matvecs = num_matvecs
        self.matvecs = 0
        self.outside = 0
        self.calls = 0
        self.counts: dict[ProductKind, int] = {}
        self.samples = 0
        self.gradient_equivalents = 0.0
        self.operator_ns = 0
        self._on_charge = on_charge
        self._events: list[tuple[torch.cuda.Event, torch.cuda.Event]] = []
        self._checksum: Tensor | None = None
        self._met_nan = False
        self._process = os.getpid()

    def charge(self, kind: ProductKind, columns: int, samples: int = 0, population: int = 0) -> None:
        """Charge `columns` products in one call, before they are computed.

        Args:
            kind: What each column is.
            columns: Number of columns.
            samples: Data samples one column touches.
            population: Samples in the whole data set; the price is scaled by samples / population.

        Raises:
            RuntimeError: In another process than the one that made the operator, whose products nobody would count.
            ValueError: If `columns` is below 1.
            BudgetExceeded: If they do not fit; nothing is charged then.
        """
        if os.getpid() != self._process:
            raise RuntimeError("products are counted in the process that was handed the operator: multiply there")
        if columns < 1:
            raise ValueError(f"columns must be at least 1, got {columns}")
        if self.num_matvecs is not None and self.matvecs + columns > self.num_matvecs:
            raise BudgetExceeded(columns, self.matvecs, self.num_matvecs)
        self.matvecs += columns
        self.calls += 1
        self.counts[kind] = self.counts.get(kind, 0) + columns
        self.samples += samples * columns
        self.gradient_equivalents += PRICES[kind] * columns * (samples / population if population else 1.0)
        if self._on_charge is not None:
            self._on_charge(self.matvecs)

    @contextmanager
    def at_most(self, num_matvecs: int) -> Generator[None]:
        """Hold everything charged inside to a smaller budget."""
        before = self.num_matvecs
        self.num_matvecs = num_matvecs if before is None else min(before, num_matvecs)
        try:
            yield
        finally:
            self.num_matvecs = before

    def timed(self, compute: Callable[[Tensor], Tensor], block: Tensor) -> Tensor:
        """Run one product and add its time; on a device by events, read at the end, without a sync."""
        if block.is_cuda:
            start, stop = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
            start.record()
            product = compute(block)
            stop.record()
            self._events.append((start, stop))
            return product
        begin = time.perf_counter_ns()
        product = compute(block)
        self.operator_ns += time.perf_counter_ns() - begin
        return product

    def watch(self, block: Tensor, product: Tensor) -> None:
        """Fold a product into the running check for values that are not finite, without reading it on a device.

        A product of a block that is not finite itself says nothing about the operator.
        """
        if product.is_cuda:
            total = torch.where(block.detach().sum().isfinite(), product.detach().sum(), 0)
            self._checksum = total if self._checksum is None else self._checksum + total
        elif math.isnan(product.sum().item()) and bool(block.isfinite().all()):
            self._met_nan = True

    @property
    def is_finite(self) -> bool:
        """Whether every product so far was free of NaN; reads one number from the device."""
        return not self._met_nan and (self._checksum is None or not bool(torch.isnan(self._checksum)))

    @property
    def operator_s(self) -> float:
        """Seconds inside products so far; waits for the device."""
        if self._events:
            torch.cuda.synchronize()
            self.operator_ns += int(sum(start.elapsed_time(stop) for start, stop in self._events) * 1e6)
            self._events.clear()
        return self.operator_ns * 1e-9


@final
class CountingOperator(_Single, Multiplies):
    """An operator that charges every product before computing it.

    `op.matmat(block)`, `op @ x`, `x @ op` and the products of `op.to_scipy()` are all charged by the column, and
    `shape` is that of the matrix, so that libraries take the operator as it is. A product is that of the numbers in
    the block: no derivative, transform or copy of it goes round the count.

    Args:
        inner: The operator to count.
        num_matvecs: Products it may spend; unlimited when None.
        on_charge: Told the total after every charge.
    """

    def __init__(
        self,
        inner: LinearOperator,
        num_matvecs: int | None = None,
        on_charge: Callable[[int], None] | None = None,
    ) -> None:
        self._inner = inner
        self._matmat = inner.matmat
        self._info: OperatorInfo = info_of(inner)
        self.spending = Spending(num_matvecs, on_charge)
        self.dim = inner.dim
        self.dtype = inner.dtype
        self.device = inner.device

    def matmat(self, block: Tensor, /) -> Tensor:
        """Charge and multiply a block of shape (dim, k); the product carries no derivative.

        Raises:
            TypeError: If the block is no tensor.
            ValueError: If the block has another shape, dtype or device, or is no plain dense tensor: sparse, batched by
                a function transform, or with a tangent.
            BudgetExceeded: If k products are more than are left.
        """
        block = plain_block(block)
        shape, spending, info = block.shape, self.spending, self._info
        # Asked here at once, since a call more is felt in a product of a millisecond; the checks say which it was.
        if len(shape) != 2 or shape[0] != self.dim or block.dtype is not self.dtype or block.device != self.device:
            check_block(block, self.dim, self.dtype, self.device)
        spending.charge(info.kind, shape[1], info.samples, info.population)
        product = spending.timed(self._matmat, block)
        # A subclass of Tensor, or no tensor at all, takes the long way too.
        if (
            product.__class__ is not Tensor
            or product.shape != shape
            or product.dtype is not self.dtype
            or product.device != block.device
        ):
            check_product(self, block, product)
        spending.watch(block, product)
        return product.detach()

    def charge(self, kind: ProductKind, columns: int, samples: int = 0, population: int = 0) -> None:
        """Charge products computed outside of `matmat`, for adapters of other libraries; call it before them.

        Args:
            kind: What each column is.
            columns: Number of columns.
            samples: Data samples one column touches.
            population: Samples in the whole data set.

        Raises:
            BudgetExceeded: If they do not fit.
        """
        self.spending.charge(kind, columns, samples, population)
        self.spending.outside += columns

    @property
    def factor(self) -> CountingFactor:
        """The counted factor of a GGN.

        Raises:
            AttributeError: If the operator has none; a method that needs it requires the trait `factor`.
        """
        if not isinstance(self._inner, Factored):
            raise AttributeError("this operator has no factor: require the trait 'factor'")
        return CountingFactor(self._inner.factor, self.spending, self._info, self.dtype, self.device)

    @property
    def matvecs(self) -> int:
        """Products spent so far."""
        return self.spending.matvecs

    @property
    def calls(self) -> int:
        """Block products made so far."""
        return self.spending.calls

    @property
    def remaining(self) -> int | None:
        """Products left, or None without a budget."""
        budget = self.spending.num_matvecs
        return None if budget is None else budget - self.spending.matvecs


@final
class CountingFactor(_Single):
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

    def _charged(self, kind: ProductKind, compute: Callable[[Tensor], Tensor], block: Tensor) -> Tensor:
        block = plain_block(block, "factor")
        check_block(block, self.num_columns, self._dtype, self._device, "factor")
        self._spending.charge(kind, block.shape[1], self.num_samples, self._population)
        product = self._spending.timed(compute, block)
        self._spending.watch(block, product)
        return product.detach()
