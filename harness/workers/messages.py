"""What a worker may say to the supervisor: the fields of every message, and that their values can be true."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, TypedDict

from hessbench.cells.cell import Cell
from hessbench.estimand import Source, parse_estimand
from hessbench.ledger.reading import PriceRow
from hessbench.ledger.record import Status
from hessbench.ledger.typed_fields import field_checks


class Spent(TypedDict):
    """What had been spent."""

    matvecs: int
    calls: int
    counts: Mapping[str, int]
    gradient_equivalents: float
    samples: int
    operator_s: float
    wall_s: float


class CheckpointMessage(Spent):
    """An evaluated estimate, as the state at one budget of the grid."""

    type: str
    budget: int
    estimand: str
    finite: bool
    said_stderr: float | None
    said_converged: bool | None
    said_matvecs: int | None
    diagnostics: Mapping[str, Any]


class _Ended(TypedDict):
    type: str
    status: Status
    reason: str


class EndMessage(_Ended, total=False):
    """How a job ended; of a cell, its totals and peaks too."""

    notes: Mapping[str, str]
    busy_s: float
    matvecs: int
    calls: int
    counts: Mapping[str, int]
    gradient_equivalents: float
    samples: int
    operator_s: float
    wall_s: float
    final_wall_s: float
    build_s: float
    warmup_s: float
    flops: int
    host_peak_bytes: int | None
    device_peak_bytes: int | None
    engine: str
    exceeded: str


class ProblemMessage(TypedDict):
    """The hash of a problem's content."""

    type: str
    hash: str
    of_content: bool


class ReferenceMessage(TypedDict):
    """A reference; its arrays come with it."""

    type: str
    estimand: str
    source: Source
    norm: float
    bound: float
    rounding: float
    note: str


class NoReferenceMessage(TypedDict):
    """Why a reference could not be built."""

    type: str
    estimand: str
    reason: str


class PriceMessage(PriceRow, total=False):
    """The price of a product at one dimension: in seconds, or of one column in gradients of the same problem."""

    type: str
    nominal: float


class LawMessage(TypedDict):
    """Whether a law held."""

    type: str
    law: str
    passed: bool
    detail: str


MESSAGES: Final[Mapping[str, type]] = {
    "checkpoint": CheckpointMessage,
    "end": EndMessage,
    "problem": ProblemMessage,
    "reference": ReferenceMessage,
    "no-reference": NoReferenceMessage,
    "price": PriceMessage,
    "law": LawMessage,
}
"""Messages by their type."""

_NEVER_NEGATIVE: Final = (
    "matvecs", "calls", "samples", "gradient_equivalents", "operator_s", "wall_s", "final_wall_s", "busy_s", "build_s",
    "warmup_s", "flops", "host_peak_bytes", "device_peak_bytes", "seconds", "bound", "norm", "dim", "in_gradients",
)  # fmt: skip


def check_message(header: Mapping[str, Any], job: Mapping[str, Any]) -> None:
    """Refuse a message that the harness's own code in the worker cannot have sent.

    Raises:
        ValueError: Saying what does not fit.
    """
    kind = header.get("type")
    declared = MESSAGES.get(kind) if isinstance(kind, str) else None
    if declared is None:
        raise ValueError("a message of no known type was written")
    checks = field_checks(declared)
    required: frozenset[str] = getattr(declared, "__required_keys__")  # noqa: B009 -- unknown to the type checker
    lacking = sorted(required - header.keys())
    if lacking:
        raise ValueError(f"a message of type {kind} lacks {lacking[0]}")
    for name, value in header.items():
        if name not in checks or not checks[name](value):
            raise ValueError(f"a message of type {kind} has a {name} that does not fit")
        if name in _NEVER_NEGATIVE and value is not None and value < 0:
            raise ValueError(f"a message of type {kind} has a negative {name}")
    if "estimand" in header:
        parse_estimand(header["estimand"])
    if job.get("job") == "cell":
        _check_spending(header, Cell.from_json(job["cell"]))


def _check_spending(header: Mapping[str, Any], cell: Cell) -> None:
    budget = header.get("budget", cell.budget)
    if budget not in cell.budgets:
        raise ValueError(f"a checkpoint names the budget {budget}, which its cell has not")
    if header.get("matvecs", 0) > budget:
        raise ValueError(f"{header['matvecs']} products of a budget of {budget} were reported")
