"""One run of a method on a counted operator: what it yields, and what it has spent."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, cast, final

from hessbench.cells.cell import Cell
from hessbench.clock import Stopwatch
from hessbench.counting import CountingOperator
from hessbench.estimand.base import Estimate
from hessbench.ledger.costs import Costs
from hessbench.method import BoundMethod
from hessbench.operators import LinearOperator
from hessbench.seeding import make_generator
from hessbench.tally import TalliedOperator


@final
class CountedRun:
    """A run that begins: nothing is spent yet.

    Args:
        inner: The operator.
        cell: What is run.
        bound: The cell's method, bound to its estimand.
        on_charge: Told the products spent so far.
    """

    def __init__(
        self, inner: LinearOperator, cell: Cell, bound: BoundMethod, on_charge: Callable[[int], None] | None = None
    ) -> None:
        self.cell = cell
        self.bound = bound
        self.device = inner.device
        self.clock = Stopwatch()
        self._tally = TalliedOperator(inner)
        self.op = CountingOperator(self._tally, cell.budget, on_charge)
        self._generator = make_generator(cell.seed, self.device)
        self._undrawn = self._generator.get_state()

    def estimates(self) -> Iterator[Estimate]:
        """What the method yields, or the one estimate it returns.

        Raises:
            BudgetExceeded: If it asks for more products than are left.
            TypeError: If it hands back anything that is not an estimate.
        """
        result = self.bound.run(self.op, self.cell.budget, self._generator)
        if self.bound.method.is_anytime:
            yield from map(_checked, cast("Iterator[Any]", result))
        else:
            yield _checked(result)

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
        )

    @property
    def drew(self) -> bool:
        """Whether the method has drawn from the generator it was handed."""
        return not bool(self._generator.get_state().equal(self._undrawn))

    def doubt(self, dim: int) -> str:
        """Why the count of a run that ended well may be wrong; empty where both counts agree."""
        computed = self._tally.columns
        charged = self.op.matvecs - self.op.spending.outside
        if computed != charged:
            return f"{computed} products were computed and {charged} charged: the method went round the count"
        if not self.op.matvecs and self.bound.min_matvecs(dim) >= 1:
            return "no product was charged, and the method declares that it needs one"
        return ""


def _checked(estimate: Any) -> Estimate:
    if not isinstance(estimate, Estimate):
        raise TypeError(f"a method returns or yields Estimate, got {type(estimate).__name__}")
    return estimate
