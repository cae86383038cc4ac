"""The ledger: append-only JSON Lines, one file per writer, read back as one view."""

from __future__ import annotations

import errno
import io
import json
import os
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypedDict, cast, final

import numpy as np

from hessbench.estimand.base import Arrays
from hessbench.files import DAMAGE, read_archive, write_whole
from hessbench.ledger.identity import id_now, renamed
from hessbench.ledger.record import (
    COLUMNS,
    SCHEMA,
    DamagedRowError,
    Kind,
    Record,
    Status,
    UnknownFieldError,
    finite_or_null,
)
from hessbench.ledger.shown import headline, html
from hessbench.ledger.typed_fields import field_checks

if TYPE_CHECKING:
    import pandas as pd

    from hessbench.ledger.answering import Answered, Ranking

ARRAY_LIMIT: Final = 1_000_000
"""Bytes above which an estimate is not kept for scoring again."""


class EnvironmentRow(TypedDict):
    """The conditions that rows refer to by `environment`."""

    environment: str
    facts: Mapping[str, Any]


class _PricedRow(TypedDict):
    problem: str
    measured_problem: str
    kind_of_product: str
    dim: int
    device: str
    dtype: str
    threads: int


class PriceRow(_PricedRow, total=False):
    """The measured price of one product at one dimension, as far as readers need it."""

    seconds: float
    predicted_seconds: float | None
    bandwidth: float
    in_gradients: float
    in_gradients_min: float
    in_gradients_max: float
    column_seconds: float
    gradient_seconds: float


@dataclass(frozen=True)
class Attempt:
    """One finished run of a cell: its terminal row and the checkpoint rows before it."""

    terminal: Record
    checkpoints: tuple[Record, ...] = ()


@dataclass(frozen=True, repr=False)
class Ledger:
    """Everything read from a folder: one attempt per cell.

    Attributes:
        records: The terminal row of every cell, after its checkpoint rows.
        environments: Facts by environment hash.
        prices: Measured prices of one product by dimension.
        torn: Lines that could not be read, most of them the last thing a killed writer wrote.
        damaged: Of those, the ones that are whole and yet no row: file, line and what does not fit.
        superseded: Attempts replaced by a later or better one.
        former: Ids of before, when limits were part of them, with the ids that stand for them now.
    """

    records: tuple[Record, ...]
    environments: Mapping[str, Mapping[str, Any]] = field(default_factory=dict[str, Mapping[str, Any]])
    prices: tuple[Mapping[str, Any], ...] = ()
    torn: int = 0
    superseded: int = 0
    damaged: tuple[str, ...] = ()
    former: Mapping[str, str] = field(default_factory=dict[str, str])

    @classmethod
    def read(cls, folder: str | Path) -> Ledger:
        """Read every file of a ledger folder.

        Args:
            folder: A run's folder, or its `ledger` folder itself.

        Raises:
            ValueError: If there is no ledger in it, or one of another schema.
        """
        tail = LedgerTail(folder)
        if not tail.files():
            raise ValueError(
                f"{Path(folder).name or 'the folder'} holds no ledger; a folder with ledger/*.jsonl is accepted"
            )
        tail.refresh()
        return tail.ledger()

    @property
    def terminals(self) -> dict[str, Record]:
        """Terminal row by cell id."""
        return {record.cell: record for record in self.records if record.kind is Kind.TERMINAL}

    def __repr__(self) -> str:
        return headline(self.records)

    def _repr_html_(self) -> str:
        return html(self.records)

    def answer(self, within: Sequence[float] = (0.1, 0.01, 0.001), by: Ranking = "seconds") -> tuple[Answered, ...]:
        """Which method answers each question within each tolerance, and what that costs, best first.

        Args:
            within: Tolerances, as shares: 0.01 is 1 %.
            by: What ranks: `seconds` (build and wall clock), `products`, `gradients` or `memory`.

        Raises:
            ValueError: If a tolerance is not above 0, or `by` is none of the four.
        """
        from hessbench.ledger.answering import answer

        return answer(self.records, within, by)

    def to_frame(self) -> pd.DataFrame:
        """The rows as a table; counts and errors become columns `counts.<kind>` and `errors.<name>`."""
        return to_frame(self.records)


def to_frame(records: Sequence[Record]) -> pd.DataFrame:
    """Rows as a table with the columns of the schema."""
    # Here and not above: importing pandas may start a thread (pyarrow's), and the fork server must have none.
    import pandas as pd

    rows: list[dict[str, Any]] = []
    for record in records:
        row = cast("dict[str, Any]", json.loads(record.to_line()))
        for name in ("counts", "errors"):
            row |= {f"{name}.{key}": value for key, value in row.pop(name).items()}
        row["traits"] = ",".join(row["traits"])
        row["budgets"] = ",".join(map(str, row["budgets"]))
        row["diagnostics"] = json.dumps(row["diagnostics"], sort_keys=True)
        row["notes"] = json.dumps(row["notes"], sort_keys=True)
        row["cost_at"] = json.dumps(row["cost_at"], sort_keys=True)
        rows.append(row)
    fixed = [name for name in COLUMNS if name not in ("counts", "errors")]
    extra = sorted({key for row in rows for key in row} - set(fixed))
    return pd.DataFrame(rows, columns=[*fixed, *extra])


@final
class LedgerTail:
    """Reads the files of a folder and, later, only what was added since."""

    def __init__(self, folder: str | Path) -> None:
        base = Path(folder)
        self._folder = base / "ledger" if (base / "ledger").is_dir() else base
        self._offsets: dict[Path, int] = {}
        self._open: dict[Path, dict[str, list[Record]]] = {}
        self._rest: dict[Path, bytes] = {}
        self._attempts: dict[str, list[Attempt]] = {}
        self._former: dict[str, str] = {}
        self._environments: dict[str, Mapping[str, Any]] = {}
        self._prices: list[Mapping[str, Any]] = []
        self._torn = 0
        self._lines: dict[Path, int] = {}
        self._damaged: list[str] = []
        # One writer makes a file: beside a row of this version, one of another is damage and no other version's work.
        self._ours: set[Path] = set()
        self._with_records: set[Path] = set()

    def files(self) -> list[Path]:
        """The ledger files, in order of name."""
        # Files only: a pipe of that name would be waited on for ever.
        return sorted(path for path in self._folder.glob("*.jsonl") if path.is_file()) if self._folder.is_dir() else []

    def refresh(self) -> None:
        """Read what was added.

        A line that is no row costs only itself.

        Raises:
            ValueError: If a file is of another schema, naming it and the line.
        """
        for file in self.files():
            with file.open("rb") as stream:
                stream.seek(self._offsets.get(file, 0))
                added = stream.read()
            self._offsets[file] = self._offsets.get(file, 0) + len(added)
            *lines, rest = (self._rest.get(file, b"") + added).split(b"\n")
            # The last line has no end yet: a whole one is taken, a partial one waits for the rest of its write.
            if _is_json(rest):
                lines.append(rest)
                rest = b""
            self._rest[file] = rest
            foreign: list[tuple[str, set[Path]]] = []
            for line in lines:
                self._lines[file] = self._lines.get(file, 0) + 1
                try:
                    self._take(file, line)
                except (DamagedRowError, RecursionError) as failure:
                    said = "nested too deep" if isinstance(failure, RecursionError) else str(failure)
                    self._torn += 1
                    self._damaged.append(f"{file.name}, line {self._lines[file]}: {said}")
                except ValueError as failure:
                    known = self._with_records if isinstance(failure, UnknownFieldError) else self._ours
                    foreign.append((f"{file.name}, line {self._lines[file]}: {failure}", known))
            for said, known in foreign:
                if file not in known:
                    raise ValueError(said)
                self._torn += 1
                self._damaged.append(said)

    def ledger(self) -> Ledger:
        """The view of what was read so far."""
        records: list[Record] = []
        superseded = 0
        for attempts in self._attempts.values():
            chosen = best_attempt(attempts)
            superseded += len(attempts) - 1
            records += [*chosen.checkpoints, chosen.terminal]
        torn = self._torn + sum(bool(rest.strip()) for rest in self._rest.values())
        return Ledger(
            tuple(records), dict(self._environments), tuple(self._prices), torn, superseded, tuple(self._damaged),
            dict(self._former),
        )  # fmt: skip

    def attempts(self, cell: str) -> Sequence[Attempt]:
        """Every finished attempt at a cell."""
        return self._attempts.get(cell, ())

    def next_attempt(self, cell: str) -> int:
        """Number of the next attempt at a cell, above that of every row read so far."""
        return 1 + max((attempt.terminal.attempt for attempt in self.attempts(cell)), default=0)

    def _take(self, file: Path, line: bytes) -> None:
        if not line.strip():
            return
        try:
            row = cast("dict[str, Any]", json.loads(line))
        except ValueError:
            self._torn += 1
            return
        if not isinstance(row, dict) or row.get("schema") != SCHEMA:  # pyright: ignore[reportUnnecessaryIsInstance]
            found = row.get("schema") if isinstance(row, dict) else None  # pyright: ignore[reportUnnecessaryIsInstance]
            raise ValueError(f"the row is of schema {found!r}; this version reads schema {SCHEMA}")
        if row.get("kind") == Kind.ENVIRONMENT:
            _check_row(row, EnvironmentRow)
            self._environments[str(row["environment"])] = cast("Mapping[str, Any]", row["facts"])
        elif row.get("kind") == Kind.PRICE:
            _check_row(row, PriceRow)
            self._prices.append(row)
        else:
            record = Record.from_row(row)
            self._with_records.add(file)
            pending = self._open.setdefault(file, {})
            if record.kind is Kind.CHECKPOINT:
                pending.setdefault(record.cell, []).append(record)
            else:
                self._take_attempt(record, pending.pop(record.cell, []))
        self._ours.add(file)

    def _take_attempt(self, terminal: Record, checkpoints: Sequence[Record]) -> None:
        """File an attempt under the id its cell has now."""
        cell = id_now(terminal)
        if cell != terminal.cell:
            self._former[terminal.cell] = cell
        *rows, last = renamed([*checkpoints, terminal], cell)
        self._attempts.setdefault(cell, []).append(Attempt(last, tuple(rows)))


def best_attempt(attempts: Sequence[Attempt]) -> Attempt:
    """The attempt that stands: of the latest hashes, `ok` before anything else, then the latest.

    Attempts follow their number; the time decides only between rows of one number, as of two folders that were merged.
    A skipped row knows no hashes and never replaces a run.
    """
    ran = [attempt for attempt in attempts if attempt.terminal.status is not Status.SKIPPED] or list(attempts)
    latest = max(ran, key=_order).terminal
    current = [attempt for attempt in ran if _hashes(attempt.terminal) == _hashes(latest)]
    return max(current, key=lambda attempt: (attempt.terminal.status is Status.OK, *_order(attempt)))


@final
class LedgerWriter:
    """Appends to a file of its own in a folder.

    Args:
        folder: A run's folder; `ledger/` and `arrays/` are made in it.

    Raises:
        OSError: If the folder cannot be written.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        (self.folder / "ledger").mkdir(parents=True, exist_ok=True)
        stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S")
        self.path = self.folder / "ledger" / f"{stamp}-{uuid.uuid4().hex[:12]}.jsonl"
        self._file = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o644)

    def append(self, record: Record) -> None:
        """Write one row.

        Raises:
            OSError: If the disk is full, and what was written before stays readable; or if the file was removed.
        """
        self._write(record.to_line())

    def append_environment(self, environment: str, facts: Mapping[str, Any]) -> None:
        """Write the conditions that rows refer to by `environment`."""
        self._write_row({"schema": SCHEMA, "kind": Kind.ENVIRONMENT, "environment": environment, "facts": facts})

    def append_price(self, price: Mapping[str, Any]) -> None:
        """Write a measured price of one product."""
        self._write_row({"schema": SCHEMA, "kind": Kind.PRICE, **price})

    def save_arrays(self, name: str, arrays: Arrays) -> str:
        """Keep small arrays for scoring again; empty where they are above the limit.

        Returns:
            The file's path inside the run's folder.
        """
        if sum(array.nbytes for array in arrays.values()) > ARRAY_LIMIT:
            return ""
        buffer = io.BytesIO()
        np.savez(buffer, **cast("dict[str, Any]", arrays))
        # Under the writer's own name: another attempt at the cell, or a merged run, never takes its place.
        relative = f"arrays/{self.path.stem}/{name}.npz"
        write_whole(self.folder / relative, buffer.getvalue())
        return relative

    def close(self) -> None:
        """Close the file; one without rows is removed."""
        empty = os.fstat(self._file).st_size == 0
        os.close(self._file)
        if empty:
            self.path.unlink(missing_ok=True)

    def _write_row(self, row: Mapping[str, Any]) -> None:
        self._write(json.dumps(finite_or_null(row), ensure_ascii=True, separators=(",", ":")))

    def _write(self, line: str) -> None:
        if not os.fstat(self._file).st_nlink:
            raise OSError(
                errno.ENOENT, "the ledger file of this run was removed; what it would write is lost, so it stops"
            )
        # Newline first: a line torn by a full disk or a kill costs only itself.
        data = f"\n{line}".encode()
        if os.write(self._file, data) != len(data):
            raise OSError(28, "no space left on device")


def load_arrays(folder: str | Path, relative: str) -> Arrays:
    """Read arrays kept by `save_arrays`.

    Raises:
        ValueError: If the file is missing, damaged or outside of the folder.
    """
    base = Path(folder).resolve()
    path = (base / relative).resolve()
    if not path.is_relative_to(base):
        raise ValueError(f"{relative} points outside of the run's folder")
    try:
        return read_archive(io.BytesIO(path.read_bytes()))
    except DAMAGE as failure:
        raise ValueError(f"{relative} cannot be read: {type(failure).__name__}") from None


def merge(sources: Sequence[str | Path], out: str | Path) -> int:
    """Put the files of several run folders into one; nothing in the sources changes.

    Returns:
        Number of ledger files in `out`. A file that has grown since it was merged before takes the place of its
        beginning; references and arrays that are there already stay.

    Raises:
        ValueError: If a source holds no ledger or one of another schema, or `out` holds another ledger file of the
            same name.
    """
    for source in sources:
        Ledger.read(source)
    target = Path(out)
    for source in map(Path, sources):
        if source.resolve() == target.resolve():
            continue
        for name in ("ledger", "arrays", "references"):
            here = source if name == "ledger" and not (source / name).is_dir() else source / name
            for file in _files(here, "*.jsonl" if name == "ledger" else "*"):
                _take_over(file, target / name / file.relative_to(here), grows=name == "ledger")
    return len(list((target / "ledger").glob("*.jsonl")))


def _take_over(file: Path, destination: Path, *, grows: bool) -> None:
    data = file.read_bytes()
    if destination.exists():
        held = destination.read_bytes()
        if not grows or held.startswith(data):
            return
        # What follows a whole row begins a row of its own.
        if not data.startswith(held) or (
            data[len(held) : len(held) + 1] != b"\n" and _is_json(held.rpartition(b"\n")[2])
        ):
            raise ValueError(
                f"out holds another ledger file named {file.name}, which does not begin as the one to be merged does: "
                "merge into a new folder"
            )
    write_whole(destination, data)


def now() -> str:
    """The time as the ledger writes it: UTC, to the microsecond."""
    return datetime.fromtimestamp(time.time(), UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _files(folder: Path, pattern: str) -> Iterator[Path]:
    if folder.is_dir():
        yield from sorted(path for path in folder.rglob(pattern) if path.is_file() and not path.name.startswith("."))


def _order(attempt: Attempt) -> tuple[int, str]:
    return attempt.terminal.attempt, attempt.terminal.time


def _hashes(record: Record) -> tuple[str, str, str]:
    return record.problem_hash, record.method_hash, record.library_version


def _check_row(row: Mapping[str, Any], declared: type) -> None:
    """Refuse a row that lacks a field of its kind, or holds another type in it; what it adds is left as it is.

    Raises:
        DamagedRowError: Naming the field.
    """
    required: frozenset[str] = getattr(declared, "__required_keys__")  # noqa: B009 -- unknown to the type checker
    for name, fits in field_checks(declared).items():
        if not (fits(row[name]) if name in row else name not in required):
            raise DamagedRowError(f"{name} does not hold what it should")


def _is_json(line: bytes) -> bool:
    try:
        json.loads(line)
    except RecursionError:
        return True
    except ValueError:
        return False
    return True
