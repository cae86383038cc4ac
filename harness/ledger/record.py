"""One row of the ledger, its schema and its text form.

Schema 1. A change to a field's name, type or meaning needs a new number and a reader for the old one;
`tests/harness/golden/` holds the text of every schema.
"""

from __future__ import annotations

import dataclasses
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final, cast

from hessbench.ledger.costs import Costs
from hessbench.ledger.typed_fields import field_checks

SCHEMA: Final = 1

ROWS_ALONE: Final = "rows"
"""Stands for the engine of a cell that took rows of a matrix and made no whole product."""

FACTOR_ALONE: Final = "factor"
"""Likewise, of a cell that multiplied by the factor of a GGN alone."""

OWN_PRODUCTS: Final = "own"
"""Stands for the engine of a cell whose method multiplies by a library's operator on a copy of the network."""

WITHOUT_ENGINE: Final = frozenset({ROWS_ALONE, FACTOR_ALONE, OWN_PRODUCTS})


class Status(StrEnum):
    """How a cell ended."""

    OK = "ok"
    SKIPPED = "skipped"
    OVER_BUDGET = "over-budget"
    DIVERGED = "diverged"
    TIMEOUT = "timeout"
    OOM_HOST = "oom-host"
    OOM_DEVICE = "oom-device"
    CRASH = "crash"
    ERROR = "error"


class Kind(StrEnum):
    """What a row of a ledger file is."""

    CHECKPOINT = "checkpoint"
    TERMINAL = "terminal"
    ENVIRONMENT = "environment"
    PRICE = "price"


@dataclass(frozen=True)
class Asked:
    """The columns of a row that say what was asked and what row of it this is."""

    kind: Kind
    cell: str
    problem: str
    method: str
    estimand: str
    status: Status
    suite: str = ""
    problem_hash: str = ""
    dim: int = 0
    traits: tuple[str, ...] = ()
    method_hash: str = ""
    library_version: str = ""
    repeat: int = 0
    seed: int = 0
    pass_: str = "time"
    device: str = "cpu"
    dtype: str = "float32"
    threads: int = 1
    memory_cap_bytes: int | None = None
    timeout_s: float | None = None
    contended: bool = False
    budget: int = 0
    budgets: tuple[int, ...] = ()
    checkpoint: int | None = None


@dataclass(frozen=True)
class Record(Costs, Asked):
    """One row: what was asked, what it cost, how wrong it was, how it ended.

    Counts are exact. Seconds and bytes are null where nothing was measured, and `notes` then says why, by field name.
    A `checkpoint` row holds the state at one budget of the grid; the `terminal` row holds totals and peaks, and in
    `cost_at`, by dimension, the products, own vectors and own passes that the same cell would take there. `attempt`
    counts the attempts at a cell from 1, so that no clock decides which is the last; 0 in rows from before there was
    the column. `drew_random` says in a terminal row whether the method drew a random number; null where it did not come
    to an end, and in rows from before. `sealed` says whether the method ran in a process of its own, away from the
    operator; null in rows from before.
    """

    engine: str = ""
    own_vectors: float | None = None
    own_passes: float | None = None
    cost_at: Mapping[str, Sequence[float | None]] = field(default_factory=dict[str, Sequence[float | None]])
    error: float | None = None
    errors: Mapping[str, float | None] = field(default_factory=dict[str, float | None])
    reference_source: str = ""
    reference_bound: float | None = None
    said_stderr: float | None = None
    said_converged: bool | None = None
    said_matvecs: int | None = None
    diagnostics: Mapping[str, Any] = field(default_factory=dict[str, Any])
    arrays: str = ""
    notes: Mapping[str, str] = field(default_factory=dict[str, str])
    reason: str = ""
    environment: str = ""
    time: str = ""
    attempt: int = 0
    drew_random: bool | None = None
    sealed: bool | None = None
    schema: int = SCHEMA

    @property
    def engine_name(self) -> str:
        """First word of the engine, without what it says of itself beside its name."""
        return re.split(r"[ ;,:]", self.engine, maxsplit=1)[0]

    @property
    def has_engine(self) -> bool:
        """Whether products were made by an engine that is named: not where a method needs none."""
        return self.engine_name not in ("", *WITHOUT_ENGINE)

    def to_line(self) -> str:
        """Write the row as one line of JSON; NaN and infinities become null."""
        row = {_key(f.name): getattr(self, f.name) for f in dataclasses.fields(self)}
        return json.dumps(finite_or_null(row), ensure_ascii=True, separators=(",", ":"))

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Record:
        """Rebuild a row read from a ledger.

        Raises:
            DamagedRowError: If a value is of another type than its field.
            UnknownFieldError: If it has a field that this version does not know.
            ValueError: If the row is of another schema.
        """
        if row.get("schema") != SCHEMA:
            raise ValueError(f"ledger row of schema {row.get('schema')!r}: this version reads schema {SCHEMA}")
        names = {_key(f.name): f.name for f in dataclasses.fields(cls)}
        unknown = sorted(set(row) - set(names))
        if unknown:
            raise UnknownFieldError(f"ledger row has fields that schema {SCHEMA} does not: {', '.join(unknown)}")
        values = {names[key]: value for key, value in row.items()}
        checks = field_checks(cls)
        for name, value in values.items():
            if not checks[name](value):
                raise DamagedRowError(
                    f"ledger row is not of schema {SCHEMA}: {_key(name)} does not hold what it should"
                )
        lacking = [name for name in ("kind", "cell", "problem", "method", "estimand", "status") if name not in values]
        if lacking:
            raise DamagedRowError(f"ledger row is not of schema {SCHEMA}: {lacking[0]} is missing")
        values |= {"kind": Kind(values["kind"]), "status": Status(values["status"])}
        values |= {name: tuple(values[name]) for name in ("traits", "budgets") if name in values}
        return cls(**values)


class UnknownFieldError(ValueError):
    """A row with fields that this version does not know, as of a later one."""


class DamagedRowError(ValueError):
    """A row whose values are not of the types of their fields, whoever wrote it."""


COLUMNS: Final = tuple("pass" if f.name == "pass_" else f.name for f in dataclasses.fields(Record))
"""The fields of a row by the names they have in files and frames."""


def finite_or_null(value: Any) -> Any:
    """Replace every NaN and infinity inside a JSON-like value by None, and tuples by lists."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        mapping = cast("Mapping[Any, Any]", value)
        return {str(key): finite_or_null(inner) for key, inner in mapping.items()}
    if isinstance(value, list | tuple):
        return [finite_or_null(inner) for inner in cast("list[Any]", value)]
    return value


def _key(name: str) -> str:
    return "pass" if name == "pass_" else name
