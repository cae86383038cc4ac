"""What has been charged to an operator so far, and what each kind of product is priced at."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Final, NoReturn, SupportsIndex, final

import torch
from torch import Tensor

from hessbench.operators import ProductKind

PRICES: Final[dict[ProductKind, float]] = {
    ProductKind.PRODUCT: 1.0,
    ProductKind.GRADIENT: 1.0,
    ProductKind.HESSIAN: 2.0,
    ProductKind.GGN: 4 / 3,
    ProductKind.JVP: 2 / 3,
    ProductKind.VJP: 2 / 3,
    ProductKind.PER_EXAMPLE_SQUARE: 2 / 3,
    ProductKind.FORWARD: 1 / 3,
}
"""Gradient-equivalents of one column over the whole data, by counting multiplications."""


class BudgetExceeded(RuntimeError):  # noqa: N818 -- the name others script against
    """A product was asked for that the budget does not hold; nothing was computed."""

    def __init__(self, columns: int, spent: int, budget: int) -> None:
        super().__init__(f"{columns} more products asked for with {spent} of {budget} spent")
        self.columns = columns
        self.spent = spent
        self.budget = budget


class Single:
    """What counts for one operator in one process, and so is neither copied nor pickled."""

    def __reduce_ex__(self, protocol: SupportsIndex) -> NoReturn:
        raise TypeError(
            "a counted operator cannot be copied or pickled: products with a copy would not be counted; "
            "hand blocks to the operator itself"
        )


@final
class Spending(Single):
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

    def charge(self, kind: ProductKind, columns: int, samples: int = 0, population: int = 0, work: float = 1.0) -> None:
        """Charge `columns` products in one call, before they are computed.

        Args:
            kind: What each column is.
            columns: Number of columns.
            samples: Data samples one column touches.
            population: Samples in the whole data set; the price is scaled by samples / population.
            work: Share of its price that a column takes, where columns share work.

        Raises:
            RuntimeError: In another process than the one that made the operator, whose products nobody would count.
            ValueError: If `columns` is below 1.
            BudgetExceeded: If they do not fit; nothing is charged then.
        """
        self._check_process()
        if columns < 1:
            raise ValueError(f"columns must be at least 1, got {columns}")
        if self.num_matvecs is not None and self.matvecs + columns > self.num_matvecs:
            raise BudgetExceeded(columns, self.matvecs, self.num_matvecs)
        self.matvecs += columns
        self.calls += 1
        self.counts[kind] = self.counts.get(kind, 0) + columns
        self.samples += samples * columns
        self.gradient_equivalents += PRICES[kind] * columns * work * (samples / population if population else 1.0)
        if self._on_charge is not None:
            self._on_charge(self.matvecs)

    def charge_forward(self, samples: int, population: int) -> None:
        """Charge one forward pass over some samples, before it is made: no product, and so not of the budget."""
        self.charge_beside(ProductKind.FORWARD, samples, population)

    def charge_beside(self, kind: ProductKind, samples: int, population: int) -> None:
        """Charge one pass that products need beside them, before it is made: no product, and so not of the budget.

        Args:
            kind: What it is.
            samples: Data samples it touches.
            population: Samples in the whole data set.

        Raises:
            RuntimeError: In another process than the one that made the operator.
        """
        self._check_process()
        self.counts[kind] = self.counts.get(kind, 0) + 1
        self.samples += samples
        self.gradient_equivalents += PRICES[kind] * samples / max(population, 1)

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

    def _check_process(self) -> None:
        if os.getpid() != self._process:
            raise RuntimeError("products are counted in the process that was handed the operator: multiply there")
