"""What passes between the harness and its workers: jobs, what a job says, and what became of it.

What cannot be true, such as a negative cost, is refused as it is made; what has another type, as it is read (`wire`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeAlias, TypeVar, cast

from hessbench.cells.cell import Cell
from hessbench.cells.messages import Checkpoint, End
from hessbench.workers.price_messages import (
    BlockPrice,
    BuiltPrice,
    MemoryPassPrice,
    Price,
    Rehearsal,
    UnitPrice,
)
from hessbench.workers.reference_messages import BuiltReference as BuiltReference
from hessbench.workers.reference_messages import NoReference as NoReference
from hessbench.workers.reference_messages import ProblemHash as ProblemHash
from hessbench.workers.reference_messages import ReferenceProgress as ReferenceProgress

M = TypeVar("M")


@dataclass(frozen=True)
class CellJob:
    """Run a cell, under the limits it has.

    Attributes:
        cell: The cell.
        num_products: The largest budget that its run spends on the problem under the cell's conditions, by which the
            problem may choose how it multiplies; None for that of the cell.
        sealed: Whether its method runs in a process of its own.
        plugin: Python file that lists the method of a sealed cell; empty where it is installed.
    """

    cell: Cell
    num_products: int | None = None
    sealed: bool = False
    plugin: str = ""

    @property
    def timeout_s(self) -> float | None:
        """Seconds it may take."""
        return self.cell.timeout_s

    @property
    def memory_cap_bytes(self) -> int | None:
        """Memory it may take above its server's."""
        return self.cell.memory_cap_bytes


@dataclass(frozen=True, kw_only=True)
class _Limited:
    """Seconds a job may take, and memory above its server's."""

    timeout_s: float | None = None
    memory_cap_bytes: int | None = None


@dataclass(frozen=True)
class ReferenceJob(_Limited):
    """Hash a problem's content, and build the references that neither the folder of a run nor the cache holds.

    Those of `beside`, which methods answer and nobody asked for, are built where they take no work of their own.
    """

    problem: str
    estimands: tuple[str, ...]
    folder: str
    threads: int
    beside: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Pricing(_Limited):
    problem: str
    device: str
    dtype: str
    threads: int


@dataclass(frozen=True)
class PriceJob(_Pricing):
    """Time a product of a problem at growing dimensions."""


@dataclass(frozen=True)
class UnitJob(_Pricing):
    """Time every kind of product of a network problem beside its gradient."""


@dataclass(frozen=True)
class RunPriceJob(_Pricing):
    """Build a problem, time blocks of products with it, and rehearse the runs of methods on a small operator.

    The runs are those of `methods[i]`, bound to `estimands[i]`, with `budgets[i]` products; the widest of their blocks
    is the widest that is timed, and those with `rehearsed[i]` are rehearsed. What is not done within `limit_s` is left
    out.
    """

    methods: tuple[str, ...]
    estimands: tuple[str, ...]
    budgets: tuple[int, ...]
    rehearsed: tuple[bool, ...]
    limit_s: float


@dataclass(frozen=True)
class ConformanceJob(_Limited):
    """Check what every method must obey."""

    method: str


@dataclass(frozen=True)
class Law:
    """Whether a law held."""

    law: str
    passed: bool
    detail: str


class Cause(StrEnum):
    """What ended a job that did not end by itself."""

    NONE = ""
    TIMEOUT = "timeout"
    MEMORY = "memory"
    STOPPED = "stopped"
    SERVER = "server"


@dataclass(frozen=True)
class Ended:
    """What a server says of an ended job.

    Attributes:
        cause: What ended it.
        code: Exit code of its process; None where it goes on, or nobody knows.
        left_behind: Processes it left, now killed.
        peak_bytes: Most memory it was seen to hold.
        tail: The last it printed.
    """

    cause: Cause = Cause.NONE
    code: int | None = None
    left_behind: int = 0
    peak_bytes: int = 0
    tail: str = ""


@dataclass(frozen=True)
class Ready:
    """A server or a spawned worker takes jobs; `threads` counts those of its process."""

    threads: int = 1


@dataclass(frozen=True)
class Failed:
    """Why a server cannot start."""

    reason: str


@dataclass(frozen=True)
class Stop:
    """The job in progress is to be stopped."""


@dataclass(frozen=True)
class Done:
    """A spawned worker has done a job; `retire` where it must not do another."""

    retire: bool


Job: TypeAlias = CellJob | ReferenceJob | PriceJob | UnitJob | RunPriceJob | ConformanceJob
Message: TypeAlias = (
    Checkpoint
    | End
    | ProblemHash
    | BuiltReference
    | NoReference
    | ReferenceProgress
    | Price
    | UnitPrice
    | BuiltPrice
    | BlockPrice
    | MemoryPassPrice
    | Rehearsal
    | Law
)
Word: TypeAlias = Ended | Ready | Failed | Stop | Done


@dataclass
class Outcome:
    """What became of a job.

    Attributes:
        job: The job.
        messages: What it said, in order; the last is an `End` where it handed in its result.
        ended: The server's report.
        matvecs: Products spent, also where the job was killed.
        elapsed_s: From handing the job out to its end.
        damaged: Whether something else than messages came through the job's pipe.
    """

    job: Job
    messages: list[Message] = field(default_factory=list[Message])
    ended: Ended = field(default_factory=Ended)
    matvecs: int = 0
    elapsed_s: float = 0.0
    damaged: bool = False

    def add(self, messages: list[Message]) -> None:
        """Add messages that have arrived.

        Raises:
            ValueError: If one cannot be: something else than the job wrote it.
        """
        for message in messages:
            if self.end is not None:
                raise ValueError("a message came after the last one")
            if isinstance(self.job, CellJob):
                _check_spending(message, self.job.cell)
            self.messages.append(message)

    @property
    def end(self) -> End | None:
        """The last message; None where the process ended without handing in its result."""
        last = self.messages[-1] if self.messages else None
        return last if isinstance(last, End) else None

    def of_type(self, kind: type[M]) -> list[M]:
        """Messages of one kind."""
        return [cast("M", message) for message in self.messages if isinstance(message, kind)]


def _check_spending(message: Message, cell: Cell) -> None:
    if not isinstance(message, Checkpoint | End):
        return
    budget = message.budget if isinstance(message, Checkpoint) else cell.budget
    if budget not in cell.budgets:
        raise ValueError(f"a checkpoint names the budget {budget}, which its cell has not")
    if message.costs.matvecs > budget:
        raise ValueError(f"{message.costs.matvecs} products of a budget of {budget} were reported")
