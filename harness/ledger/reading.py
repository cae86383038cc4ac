"""The ledger: append-only JSON Lines, one file per writer, read back as one view."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast, final

from hessbench.ledger.attempts import Attempt, best_attempt
from hessbench.ledger.compressed import SUFFIX, unpacked
from hessbench.ledger.frame import to_frame as to_frame
from hessbench.ledger.identity import id_now, renamed
from hessbench.ledger.kept_arrays import load_arrays as load_arrays
from hessbench.ledger.record import SCHEMA, DamagedRowError, Kind, Record, UnknownFieldError
from hessbench.ledger.rows_beside import EnvironmentRow, PriceRow, check_row
from hessbench.ledger.shown import headline, html
from hessbench.ledger.writing import LedgerWriter as LedgerWriter

if TYPE_CHECKING:
    import pandas as pd

    from hessbench.ledger.answering import Answered, Ranking


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
            folder: A run's folder, its `ledger` folder itself, or a published ledger, whose rows are compressed.

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
        found = (path for pattern in ("*.jsonl", f"*{SUFFIX}") for path in self._folder.glob(pattern))
        return sorted(path for path in found if path.is_file()) if self._folder.is_dir() else []

    def refresh(self) -> None:
        """Read what was added.

        A line that is no row costs only itself.

        Raises:
            ValueError: If a file is of another schema, naming it and the line, or a compressed one is damaged.
        """
        for file in self.files():
            added = self._added(file)
            *lines, rest = (self._rest.get(file, b"") + added).split(b"\n")
            # The last line has no end yet: a whole one is taken, a partial one waits for the rest of its write.
            if is_json(rest):
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

    def _added(self, file: Path) -> bytes:
        """What was added to a file since it was read; nothing is ever added to a compressed one."""
        begin = self._offsets.get(file, 0)
        if file.name.endswith(SUFFIX):
            added = b"" if begin else unpacked(file)
        else:
            with file.open("rb") as stream:
                stream.seek(begin)
                added = stream.read()
        self._offsets[file] = begin + len(added)
        return added

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
            check_row(row, EnvironmentRow)
            self._environments[str(row["environment"])] = cast("Mapping[str, Any]", row["facts"])
        elif row.get("kind") == Kind.PRICE:
            check_row(row, PriceRow)
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


def is_json(line: bytes) -> bool:
    """Whether a line is whole: JSON, or nested too deep to be looked at."""
    try:
        json.loads(line)
    except RecursionError:
        return True
    except ValueError:
        return False
    return True
