"""Claims: which process runs a cell, by file locks the kernel frees on death."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import final


@final
class CellLock:
    """A held lock on one cell."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self._path = path
        self._descriptor = descriptor

    def release(self) -> None:
        """Remove the file, then let go, so that no other process can lock a file that is gone and think it rules."""
        self._path.unlink(missing_ok=True)
        os.close(self._descriptor)


def try_claim(folder: Path, cell: str) -> CellLock | None:
    """Lock a cell without waiting.

    Args:
        folder: The run's folder.
        cell: Cell id.

    Returns:
        The claim, or None where another process holds it.

    Raises:
        OSError: If the folder cannot be written.
    """
    path = folder / "claims" / cell
    path.parent.mkdir(parents=True, exist_ok=True)
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        # The file may have been removed by its last owner between open and lock: then this lock rules nothing.
        with contextlib.suppress(FileNotFoundError):
            if os.fstat(descriptor).st_ino == path.stat().st_ino:
                os.pwrite(descriptor, str(os.getpid()).encode(), 0)
                return CellLock(path, descriptor)
        os.close(descriptor)


def stopped_holders(folder: Path, cells: Iterable[str]) -> list[int]:
    """Ids of the processes on this machine that have claimed one of the cells and are stopped."""
    found: set[int] = set()
    for cell in cells:
        with contextlib.suppress(OSError, ValueError):
            pid = int((folder / "claims" / cell).read_text(encoding="ascii"))
            state = (
                Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[0]
            )
            if state == "T":
                found.add(pid)
    return sorted(found)


def why_it_waits(folder: Path, cells: Sequence[str]) -> str:
    """What a run says while other processes have claimed the cells it has left."""
    waits = f"waiting for {len(cells)} cell{'s' * (len(cells) != 1)} that another process has claimed"
    stopped = stopped_holders(folder, cells)
    if not stopped:
        return waits
    named = " and ".join(map(str, stopped))
    return f"{waits}; {named} {'is' if len(stopped) == 1 else 'are'} stopped: let it go on (kill -CONT) or end it"
