"""What a cell says of itself while it runs: the state at each budget, and how it ended."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from hessbench.estimand import Arrays, parse_estimand
from hessbench.ledger.costs import Costs
from hessbench.ledger.record import Status
from hessbench.ledger.typed_fields import APART


@dataclass(frozen=True)
class Checkpoint:
    """An evaluated estimate, as the state at one budget of the grid.

    Attributes:
        budget: The budget.
        estimand: What was estimated.
        finite: Whether every number of it is.
        costs: What had been spent when it was yielded, its evaluation included.
        said_stderr: What the method says of its error.
        said_converged: Whether the method says that it has converged.
        said_matvecs: Products the method says that it took.
        diagnostics: What else it says, as plain values.
        arrays: The estimate.
    """

    budget: int
    estimand: str
    finite: bool
    costs: Costs
    said_stderr: float | None = None
    said_converged: bool | None = None
    said_matvecs: int | None = None
    diagnostics: Mapping[str, Any] = field(default_factory=dict[str, Any])
    arrays: Arrays = field(default_factory=dict[str, Any], compare=False, metadata=APART)

    def __post_init__(self) -> None:
        parse_estimand(self.estimand)
        _check(self.costs)
        if self.costs.wall_s is None or self.costs.operator_s is None:
            raise ValueError("has costs without a time")


@dataclass(frozen=True)
class End:
    """How a job ended; of a cell, its totals too.

    Attributes:
        status: How it ended.
        reason: Why, where not well.
        notes: Why a cost is missing, or what a reader must know of it, by column.
        costs: What the whole run cost; the time of the wall is that of its last estimate.
        busy_s: Seconds that the problem and the method took; the rest of a cell's time is the harness's own.
        engine: How products were made.
        drew: Whether the method drew from the generator it was handed; None where it never began.
    """

    status: Status
    reason: str = ""
    notes: Mapping[str, str] = field(default_factory=dict[str, str])
    costs: Costs = field(default_factory=Costs)
    busy_s: float | None = None
    engine: str = ""
    drew: bool | None = None

    def __post_init__(self) -> None:
        _check(self.costs)
        if self.busy_s is not None and self.busy_s < 0:
            raise ValueError("has a negative busy_s")


CellMessage: TypeAlias = Checkpoint | End
Emit = Callable[[CellMessage], None]


def _check(costs: Costs) -> None:
    if costs.below_zero:
        raise ValueError(f"has a negative {costs.below_zero}")
