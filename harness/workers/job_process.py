"""A job in the process that it has to itself: what becomes of a fork, and what it says while it runs."""

from __future__ import annotations

import contextlib
import mmap
import os
import signal
import struct
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final, NoReturn

from hessbench.catalog import Catalog
from hessbench.cells.messages import End
from hessbench.ledger.record import Status
from hessbench.sealing.door import Door
from hessbench.workers import empty_folder, processes
from hessbench.workers.jobs import perform
from hessbench.workers.messages import Job, Message
from hessbench.workers.wire import frame

PROGRESS: Final = struct.Struct("<q")
"""The page on which a job counts its products."""


def run_job(
    job: Job, catalog: Catalog, result: int, progress: int, folder: Path, door: Door | None = None
) -> Status | None:
    """Perform a job in this process, writing its messages to the result pipe and its count to the progress page.

    Args:
        job: What to do.
        catalog: Where it looks names up.
        result: Pipe for its messages.
        progress: File of the page for its count.
        folder: Empty folder in which a method runs; this process is left standing in it.
        door: The way to the method, where that is in another process.

    Returns:
        The status it ended with; None where it did not say.
    """
    page = mmap.mmap(progress, PROGRESS.size)
    status: Status | None = None

    def on_charge(matvecs: int) -> None:
        PROGRESS.pack_into(page, 0, matvecs)

    def emit(message: Message) -> None:
        nonlocal status
        status = message.status if isinstance(message, End) else status
        data = memoryview(frame(message))
        while data:
            data = data[os.write(result, data) :]

    perform(job, catalog, emit, on_charge, partial(empty_folder.enter, folder), door)
    return status


def become_job(parent: int, output: int, work: Callable[[], object]) -> NoReturn:
    """Become a job's process: own session, output to the pipe, first in line when memory runs out."""
    code = 1
    try:
        os.setsid()
        processes.die_with_parent(parent, signal.SIGKILL)
        for signum in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD):
            signal.signal(signum, signal.SIG_DFL)
        null = os.open(os.devnull, os.O_RDONLY)
        os.dup2(null, 0)
        os.dup2(output, 1)
        os.dup2(output, 2)
        with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as score:  # noqa: PTH123
            score.write("1000")
        work()
        code = 0
    except SystemExit as leaving:
        code = leaving.code if isinstance(leaving.code, int) else int(leaving.code is not None)
        if not isinstance(leaving.code, int | None):
            sys.stderr.write(f"{leaving.code}\n")
    except BaseException as failure:  # noqa: BLE001 -- the last frame of the process: it must not return
        sys.stderr.write(f"{type(failure).__name__}: {failure}\n")
    finally:
        try:
            sys.stdout.flush()
            sys.stderr.flush()
        finally:
            os._exit(code & 0xFF)
