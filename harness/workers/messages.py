"""What passes between the harness and its workers: jobs, what a job says, and what became of it.

What cannot be true, such as a negative cost, is refused as it is made; what has another type, as it is read (`wire`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, TypeAlias, TypeVar, cast

from hessbench.cells.cell import Cell
from hessbench.cells.messages import Checkpoint, End
from hessbench.estimand import Arrays, Reference, Source, parse_estimand
from hessbench.ledger.typed_fields import APART

M = TypeVar("M")


@dataclass(frozen=True)
class CellJob:
    """Run a cell, under the limits it has; `contended` says whether other work runs on the machine as it begins."""

    cell: Cell
    contended: bool = False

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
    """Hash a problem's content, and build the references that neither the folder of a run nor the cache holds."""

    problem: str
    estimands: tuple[str, ...]
    folder: str
    threads: int


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

    The runs are those of `methods[i]`, bound to `estimands[i]`, with `budgets[i]` products. What is not done within
    `limit_s` is left out.
    """

    methods: tuple[str, ...]
    estimands: tuple[str, ...]
    budgets: tuple[int, ...]
    limit_s: float


@dataclass(frozen=True)
class ConformanceJob(_Limited):
    """Check what every method must obey."""

    method: str


@dataclass(frozen=True)
class ProblemHash:
    """The hash of a problem's content; `of_content` where it is one of the content itself, not of a few products."""

    hash: str
    of_content: bool


@dataclass(frozen=True)
class BuiltReference:
    """A reference that was built."""

    estimand: str
    source: Source
    norm: float
    bound: float
    rounding: float
    note: str
    arrays: Arrays = field(default_factory=dict[str, Any], compare=False, metadata=APART)

    def __post_init__(self) -> None:
        parse_estimand(self.estimand)
        _refuse_negative(norm=self.norm, bound=self.bound, rounding=self.rounding)

    @property
    def reference(self) -> Reference:
        """The reference itself."""
        return Reference(self.arrays, self.source, self.norm, self.bound, self.rounding, self.note)


@dataclass(frozen=True)
class NoReference:
    """Why a reference could not be built."""

    estimand: str
    reason: str

    def __post_init__(self) -> None:
        parse_estimand(self.estimand)


@dataclass(frozen=True, kw_only=True)
class _Priced:
    """A product that was timed, and where; the columns of a price in the ledger are those of the two kinds of it."""

    problem: str
    measured_problem: str
    kind_of_product: str
    dim: int
    device: str
    dtype: str
    threads: int


@dataclass(frozen=True, kw_only=True)
class Price(_Priced):
    """The price of a product at one dimension, in seconds; bandwidth in bytes a second."""

    seconds: float
    predicted_seconds: float | None
    bandwidth: float

    def __post_init__(self) -> None:
        _refuse_negative(dim=self.dim, seconds=self.seconds, bandwidth=self.bandwidth)


@dataclass(frozen=True, kw_only=True)
class UnitPrice(_Priced):
    """The price of one column in gradients of the same problem: median, least and most."""

    nominal: float
    in_gradients: float
    in_gradients_min: float
    in_gradients_max: float
    column_seconds: float
    gradient_seconds: float

    def __post_init__(self) -> None:
        _refuse_negative(dim=self.dim, in_gradients=self.in_gradients, column_seconds=self.column_seconds)


@dataclass(frozen=True, kw_only=True)
class BuiltPrice:
    """What building an operator takes.

    Attributes:
        kind_of_product: Kind of its products.
        dim: Its dimension.
        engine: How products are made.
        build_s: Seconds of the build.
        build_peak_bytes: Memory at the peak of the build, above the process before it; null where nobody knows.
        operator_bytes: Memory that the operator keeps, likewise.
        base_bytes: Resident memory of the process before the build, likewise.
        bandwidth: Bytes a second, read and written; null where vectors are short.
    """

    kind_of_product: str
    dim: int
    engine: str
    build_s: float
    build_peak_bytes: int | None
    operator_bytes: int | None
    base_bytes: int | None
    bandwidth: float | None

    def __post_init__(self) -> None:
        _refuse_negative(dim=self.dim, build_s=self.build_s)


@dataclass(frozen=True, kw_only=True)
class BlockPrice:
    """What one product with a block takes: seconds, those with FLOPs counted, and memory at the peak."""

    kind_of_product: str
    width: int
    seconds: float
    counted_s: float | None
    working_bytes: int | None

    def __post_init__(self) -> None:
        _refuse_negative(width=self.width, seconds=self.seconds)


@dataclass(frozen=True, kw_only=True)
class Rehearsal:
    """What a run of a method takes beside its products, by a run on a small operator.

    Attributes:
        method: Spec of the method.
        estimand: Spec of the estimand.
        budget: Products that the run it stands for may spend.
        dim: Dimension of the small operator.
        allowed: Products that were allowed on it.
        spent: Products that were spent on it.
        own_s: Seconds outside of products.
        counted_own_s: Those with FLOPs counted.
        blocks: Number of products, by kind and width of the block, as in "product 4".
    """

    method: str
    estimand: str
    budget: int
    dim: int
    allowed: int
    spent: int
    own_s: float
    counted_own_s: float
    blocks: Mapping[str, int]

    def __post_init__(self) -> None:
        _refuse_negative(own_s=self.own_s, spent=self.spent)


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
    | Price
    | UnitPrice
    | BuiltPrice
    | BlockPrice
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


def _refuse_negative(**numbers: float) -> None:
    for name, number in numbers.items():
        if number < 0:
            raise ValueError(f"has a negative {name}")
