"""What is written to a ledger: appended, one line a row and one file a writer."""

from __future__ import annotations

import errno
import json
import os
import time
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, final

from hessbench.estimand.base import Arrays
from hessbench.ledger.kept_arrays import save_arrays
from hessbench.ledger.record import SCHEMA, Kind, Record, finite_or_null


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
        # Under the writer's own name: another attempt at the cell, or a merged run, never takes its place.
        return save_arrays(self.folder, f"{self.path.stem}/{name}", arrays)

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


def now() -> str:
    """The time as the ledger writes it: UTC, to the microsecond."""
    return datetime.fromtimestamp(time.time(), UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
