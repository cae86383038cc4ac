"""One run of a method on a counted operator: what it yields, and what it has spent."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, cast, final

import numpy as np
import torch
from torch import Tensor

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
        handed: Vectors that are part of the question; made here, before the clock starts, where they are not given.
    """

    def __init__(
        self,
        inner: LinearOperator,
        cell: Cell,
        bound: BoundMethod,
        on_charge: Callable[[int], None] | None = None,
        handed: Mapping[str, Tensor] | None = None,
    ) -> None:
        self.cell = cell
        self.bound = bound
        self.device = inner.device
        self.clock = Stopwatch()
        self._handed = bound.handed(inner) if handed is None else handed
        self._tally = TalliedOperator(inner)
        self.op = CountingOperator(self._tally, cell.budget, on_charge)
        self._streams = _random_states(inner.device)
        self._generator: torch.Generator | None = None

    def estimates(self) -> Iterator[Estimate]:
        """What the method yields, or the one estimate it returns.

        Raises:
            BudgetExceeded: If it asks for more products than are left.
            TypeError: If it hands back anything that is not an estimate.
        """
        self._generator = generator = make_generator(self.cell.seed, self.device)
        result = self.bound.run(self.op, self.cell.budget, generator, self._handed)
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
    def drew_random(self) -> bool | None:
        """Whether a random number was drawn, from the generator handed in or a global one; None before the run."""
        if self._generator is None:
            return None
        untouched = make_generator(self.cell.seed, self.device).get_state()
        if not torch.equal(self._generator.get_state(), untouched):
            return True
        now = _random_states(self.device)
        return any(not np.array_equal(before, after) for before, after in zip(self._streams, now, strict=True))

    def doubt(self, dim: int) -> str:
        """Why the count of a run that ended well may be wrong; empty where both counts agree."""
        computed = self._tally.columns
        charged = self.op.matvecs - self.op.spending.outside
        if computed != charged:
            return f"{computed} products were computed and {charged} charged: the method went round the count"
        if not self.op.matvecs and self.bound.min_matvecs(dim) >= 1:
            return "no product was charged, and the method declares that it needs one"
        return ""


def _random_states(device: torch.device) -> list[Any]:
    """States of the global generators of torch and NumPy."""
    legacy = cast("tuple[Any, ...]", np.random.get_state())
    states = [torch.get_rng_state().numpy(), legacy[1], np.asarray(legacy[2])]
    return [*states, torch.cuda.get_rng_state(device).numpy()] if device.type == "cuda" else states


def _checked(estimate: Any) -> Estimate:
    if not isinstance(estimate, Estimate):
        raise TypeError(f"a method returns or yields Estimate, got {type(estimate).__name__}")
    return estimate
