"""One run of a method on a counted operator: what it yields, and what it has spent."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, cast, final

from torch import Tensor

from hessbench.cells.cell import Cell
from hessbench.cells.draws import Draws
from hessbench.clock import Stopwatch
from hessbench.counting import CountingOperator
from hessbench.estimand.base import Estimate
from hessbench.ledger.costs import Costs
from hessbench.method import BoundMethod
from hessbench.operators import LinearOperator
from hessbench.sealing.door import Door
from hessbench.tally import TalliedOperator


@final
class CountedRun:
    """A run that begins: nothing is spent yet.

    Args:
        inner: The operator.
        cell: What is run.
        bound: The cell's method, bound to its estimand.
        on_charge: Told the products spent so far.
        handed: Vectors that are part of the question; made here, before the clock starts, where they are not given.
        door: The way to the method, where that is in another process.
        count_flops: Whether that process counts what it computes.
    """

    def __init__(
        self,
        inner: LinearOperator,
        cell: Cell,
        bound: BoundMethod,
        on_charge: Callable[[int], None] | None = None,
        handed: Mapping[str, Tensor] | None = None,
        door: Door | None = None,
        *,
        count_flops: bool = False,
    ) -> None:
        self.cell = cell
        self.bound = bound
        self.device = inner.device
        self.clock = Stopwatch()
        self._handed = bound.handed(inner) if handed is None else handed
        self._tally = TalliedOperator(inner)
        self.op = CountingOperator(self._tally, cell.budget, on_charge)
        self._draws = Draws(cell.seed, inner.device)
        self._is_begun = False
        self._door = door
        self._count_flops = count_flops

    def estimates(self) -> Iterator[Estimate]:
        """What the method yields, or the one estimate it returns.

        Raises:
            BudgetExceeded: If it asks for more products than are left.
            TypeError: If it hands back anything that is not an estimate.
        """
        if self._door is not None:
            self._door.begin(self.op, self.clock)
            yield from self._door.estimates(
                self.cell.budget, self.cell.seed, self._handed, count_flops=self._count_flops
            )
            return
        self._is_begun = True
        result = self.bound.run(self.op, self.cell.budget, self._draws.generator, self._handed)
        if self.bound.method.is_anytime:
            yield from map(checked, cast("Iterator[Any]", result))
        else:
            yield checked(result)

    @property
    def costs(self) -> Costs:
        """What has been spent so far."""
        spending = self.op.spending
        # Reading device events would wait for the device: on a device product time is read only at the end.
        running = self.device.type == "cuda" and self.clock.is_running
        return Costs(
            matvecs=spending.matvecs,
            calls=spending.calls,
            counts={kind.value: count for kind, count in spending.counts.items()},
            gradient_equivalents=spending.gradient_equivalents,
            samples=spending.samples,
            operator_s=spending.operator_ns * 1e-9 if running else spending.operator_s,
            wall_s=self.clock.seconds,
            sealing_s=None if self._door is None else self._door.overhead_ns * 1e-9,
        )

    @property
    def door_ns(self) -> int:
        """Time so far that took the method's being in another process, none of it on the clock."""
        return 0 if self._door is None else self._door.overhead_ns

    def finish(self) -> int:
        """Hear what only the method's process knows, where it has one; off the clock: the FLOPs it counted."""
        return 0 if self._door is None else self._door.finish()

    @property
    def drew_random(self) -> bool | None:
        """Whether a random number was drawn, from the generator handed in or a global one; None before the run."""
        if self._door is not None:
            return self._door.drew_random
        return self._draws.happened if self._is_begun else None

    def doubt(self, dim: int) -> str:
        """Why the count of a run that ended well may be wrong; empty where both counts agree."""
        computed = self._tally.columns
        charged = self.op.matvecs - self.op.spending.outside
        if computed != charged:
            return f"{computed} products were computed and {charged} charged: the method went round the count"
        if not self.op.matvecs and self.bound.min_matvecs(dim) >= 1:
            return "no product was charged, and the method declares that it needs one"
        return ""


def checked(estimate: Any) -> Estimate:
    """What a method hands back, where that is an estimate.

    Raises:
        TypeError: If it is anything else.
    """
    if not isinstance(estimate, Estimate):
        raise TypeError(f"a method returns or yields Estimate, got {type(estimate).__name__}")
    return estimate
