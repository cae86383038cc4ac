"""One server process, as the supervisor sees it: started or forked, handed a job, asked what became of it."""

from __future__ import annotations

import contextlib
import fcntl
import math
import mmap
import os
import signal
import socket
import subprocess
import sys
import time
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Final, final

import torch

from hessbench.catalog import Catalog
from hessbench.workers import empty_folder, processes
from hessbench.workers.imports import import_all, without_threads
from hessbench.workers.job_process import PROGRESS
from hessbench.workers.messages import Cause, Ended, Failed, Job, Outcome, Ready, Stop
from hessbench.workers.server import MESSAGE_LIMIT, Server, prepare
from hessbench.workers.setup import Setup
from hessbench.workers.wire import Decoder, packet, read_packet

_ONE_THREAD: Final = {"OPENBLAS_NUM_THREADS": "1"}
_READY_S: Final = 300.0
_LEAVE_S: Final = 5.0
_GRACE_S: Final = 10.0


@dataclass(frozen=True)
class WorkerConfig:
    """What every server of a run needs to know.

    Attributes:
        plugins: Plugin files.
        modules: Modules imported once, before the first fork.
        spawn: Whether jobs run in a spawned worker, as devices need.
        catalog: Given, servers are forked from this process and use it: for functions no file defines.
        private: The run's folder: a server forked from this process keeps none of its files open.
        sealed: Whether methods may run in processes of their own.
    """

    plugins: tuple[str, ...] = ()
    modules: tuple[str, ...] = ()
    spawn: bool = False
    catalog: Catalog | None = None
    private: Path | None = None
    sealed: bool = False


@final
class Slot:
    """One server process and the job it runs.

    Args:
        config: What the server needs to know.
        environment: Environment variables of the server.
    """

    def __init__(self, config: WorkerConfig, environment: dict[str, str]) -> None:
        # In the environment of all that the server starts and the name of a file all its forks hold open: finds what
        # a killed server left behind.
        self.mark = processes.new_mark()
        self._folder = empty_folder.folder_of(self.mark)
        self._channel, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._process: subprocess.Popen[bytes] | None = None
        self.pid = (
            _fork_server(there, config, config.catalog, self._folder)
            if config.catalog
            else self._start(there, config, environment)
        )
        there.close()
        self._is_ready = self._is_collected = False
        # Until when a server that is well has answered for a job with a limit; starting a worker is not the job's time.
        self._grace_s = _GRACE_S + (_READY_S if config.spawn else 0.0)
        # A spawned worker forks nothing, and what a fork of the caller brings along is the caller's.
        self._refuses_threads = not config.spawn and config.catalog is None
        self._started = 0.0
        self._leave_by: float | None = None
        self._is_overdue = False
        self._decoder = Decoder()
        self._result = -1
        self._page: mmap.mmap | None = None
        self.outcome: Outcome | None = None

    def _start(self, there: socket.socket, config: WorkerConfig, environment: dict[str, str]) -> int:
        told = config.plugins, config.modules, config.spawn, str(self._folder), config.sealed, str(config.private or "")
        text = Setup(os.getpid(), *told).text
        self._process = subprocess.Popen(
            [sys.executable, "-m", "hessbench.workers.serve", str(there.fileno()), text],
            stdin=subprocess.DEVNULL, pass_fds=[there.fileno()], start_new_session=True,
            env={**os.environ, **_ONE_THREAD, "HESSBENCH_RUN": self.mark, **environment},
        )  # fmt: skip
        return self._process.pid

    def wait_ready(self) -> None:
        """Wait for the server's first word.

        Raises:
            ValueError: If it said why it cannot start.
            ChildProcessError: If it ended instead; its message is on standard error.
        """
        if self._is_ready:
            return
        word = None
        self._channel.settimeout(_READY_S)
        with contextlib.suppress(OSError, ValueError):
            data = self._channel.recv(MESSAGE_LIMIT)
            word = read_packet(data) if data else None
        self._channel.settimeout(None)
        if isinstance(word, Failed):
            raise ValueError(f"a worker could not start: {word.reason}")
        if not isinstance(word, Ready):
            raise ChildProcessError("a worker could not start; its message is above")
        self._is_ready = True
        others = word.threads - 1
        if others and self._refuses_threads:
            raise ValueError(
                f"a plugin or module starts {others} thread{'s' if others > 1 else ''} when it is imported, "
                "which a forked cell would not survive; start them inside the method or the build"
            )

    def hand_out(self, job: Job) -> None:
        """Give the server a job.

        Raises:
            ValueError: If the server could not start, and said why.
            ChildProcessError: If it could not start and ended.
            OSError: If it is gone.
        """
        self.wait_ready()
        self._result, result_end = os.pipe()
        os.set_blocking(self._result, False)
        progress = os.memfd_create(self.mark, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        os.ftruncate(progress, PROGRESS.size)
        # A page cut away by the job would end this process at the next look at it.
        fcntl.fcntl(progress, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK)
        self._page = mmap.mmap(progress, PROGRESS.size)
        self._decoder = Decoder()
        self.outcome = Outcome(job)
        self._started = time.perf_counter()
        self._leave_by = None
        try:
            socket.send_fds(self._channel, [packet(job)], [result_end, progress])
        finally:
            os.close(result_end)
            os.close(progress)

    @property
    def matvecs(self) -> int:
        """Products spent by the job in progress."""
        return 0 if self._page is None else PROGRESS.unpack_from(self._page, 0)[0]

    @property
    def files(self) -> tuple[int, ...]:
        """Descriptors to wait on."""
        result = () if self._result < 0 else (self._result,)
        return (self._channel.fileno(), *result) if self.outcome else ()

    def advance(self) -> Outcome | None:
        """Take what has arrived; the outcome once the job has ended."""
        if self.outcome is None:
            return None
        self._read_result()
        try:
            data = self._channel.recv(MESSAGE_LIMIT, socket.MSG_DONTWAIT)
        except BlockingIOError:
            self._hurry()
            return None
        except OSError:
            data = b""
        self._read_result()
        outcome, self.outcome = self.outcome, None
        word = None
        with contextlib.suppress(ValueError):
            word = read_packet(data) if data else None
        cause = Cause.TIMEOUT if self._is_overdue else Cause.SERVER
        outcome.ended = word if isinstance(word, Ended) else Ended(cause)
        outcome.matvecs = self.matvecs
        outcome.elapsed_s = time.perf_counter() - self._started
        self._close_job()
        return outcome

    @property
    def is_lost(self) -> bool:
        """Whether the server was killed because it did not hold a job to its limit."""
        return self._is_overdue

    @property
    def is_alive(self) -> bool:
        """Whether the server can take another job."""
        if self._process is not None:
            return self._process.poll() is None
        if not self._is_collected:
            self._is_collected = os.waitpid(self.pid, os.WNOHANG) != (0, 0)
        return not self._is_collected

    def close(self) -> None:
        """End the server and everything below it."""
        self._channel.close()
        self._close_job()
        if self._process is not None:
            try:
                self._process.wait(5)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
                processes.kill_marked(self.mark)
        elif self.is_alive:
            os.kill(self.pid, signal.SIGTERM)
            os.waitpid(self.pid, 0)
            self._is_collected = True
        # A server that was killed has left it.
        empty_folder.remove(self._folder)

    def _hurry(self) -> None:
        """Have a job stopped that has handed in its result and does not end."""
        if self.outcome is None:
            return
        limit = self.outcome.job.timeout_s
        if limit is not None and time.perf_counter() - self._started > limit + self._grace_s:
            # The server itself holds the limit; one that a job has stopped does not.
            self._is_overdue = True
            os.kill(self.pid, signal.SIGKILL)
        if self.outcome.end is None:
            return
        if self._leave_by is None:
            self._leave_by = time.perf_counter() + _LEAVE_S
        elif time.perf_counter() > self._leave_by:
            self._leave_by = math.inf
            with contextlib.suppress(OSError):
                self._channel.send(packet(Stop()))

    def _read_result(self) -> None:
        if self.outcome is None or self._result < 0:
            return
        with contextlib.suppress(BlockingIOError):
            while data := os.read(self._result, 1 << 20):
                try:
                    self.outcome.add(self._decoder.feed(data))
                except ValueError:
                    self.outcome.damaged = True
                    break
            # Every writer is gone, or writes nothing of use: what is closed does not wake the selector again and again.
            self._close_result()

    def _close_result(self) -> None:
        if self._result >= 0:
            os.close(self._result)
            self._result = -1

    def _close_job(self) -> None:
        self._close_result()
        if self._page is not None:
            self._page.close()
            self._page = None


def _fork_server(there: socket.socket, config: WorkerConfig, catalog: Catalog, folder: Path) -> int:
    """Fork a server from this process; its children run on one thread, since a thread pool does not survive a fork.

    Args:
        there: The server's end of the socket.
        config: What it imports, and the folder of which it keeps no file open.
        catalog: Where it looks names up.
        folder: Empty folder in which methods run.
    """
    parent = os.getpid()
    with warnings.catch_warnings():
        # Later versions of Python warn of the caller's threads; none of them is used on the other side.
        warnings.simplefilter("ignore", DeprecationWarning)
        pid = os.fork()
    if pid == 0:
        code = 1
        try:
            prepare(parent, folder)
            if config.private is not None:
                processes.let_go_of(config.private)
            torch.set_num_threads(1)
            with without_threads():
                import_all(config.modules, but_missing=True)
            Server(there, catalog, folder).serve()
            code = 0
        finally:
            os._exit(code)
    return pid
