"""The server of one slot: imports once, then runs every job in a process of its own and watches over it.

Started by `hessbench.workers.serve`, or forked from the caller for functions that live only in its memory. It never
touches a device and creates no thread: on the CPU each job is a fork of it; for a device that does not survive a fork,
a worker is spawned afresh and kept until its first failure.
"""

from __future__ import annotations

import contextlib
import gc
import os
import select
import signal
import socket
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NoReturn, final

from hessbench.catalog import Catalog
from hessbench.workers import empty_folder, processes
from hessbench.workers.job_process import become_job, run_job
from hessbench.workers.messages import Cause, CellJob, Done, Ended, Job, Ready, Word
from hessbench.workers.sealed_methods import SealedMethods, StartedMethod
from hessbench.workers.wire import packet, read_packet

MESSAGE_LIMIT: Final = 1 << 17
_TAIL: Final = 4000
_POLL_S: Final = 0.02
_RESERVE: Final = 0.03
_START_S: Final = 300.0


@dataclass
class _Running:
    """The job in progress."""

    pid: int
    pidfd: int
    output: int
    base_bytes: int
    deadline: float | None
    cap_bytes: int | None
    oom_before: int
    started: float = field(default_factory=time.time)
    tail: bytearray = field(default_factory=bytearray)
    peak_bytes: int = 0
    next_look: float = 0.0
    cause: Cause = Cause.NONE
    retire: bool = False
    method: StartedMethod | None = None


@final
class Server:
    """Serves one supervisor over one socket.

    Args:
        channel: Sequenced-packet socket; each request carries the result pipe and the progress page.
        catalog: Where jobs look names up.
        folder: Empty folder in which methods run.
        spawn: Command of a spawned worker, for devices that do not survive a fork; None to fork.
        sealed: Starts the processes of sealed methods; None where none is asked for.
    """

    def __init__(
        self,
        channel: socket.socket,
        catalog: Catalog,
        folder: Path,
        spawn: list[str] | None = None,
        sealed: SealedMethods | None = None,
    ) -> None:
        self._channel = channel
        self._catalog = catalog
        self._folder = folder
        self._spawn = spawn
        self._sealed = sealed
        self._worker: tuple[subprocess.Popen[bytes], socket.socket, int] | None = None

    def serve(self) -> None:
        """Handle requests until the supervisor closes the socket."""
        # A collection in a job looks at what the job made alone: what is here already is imported, or the caller's,
        # whose finalisers are not ours to run.
        gc.freeze()
        self._send(Ready(len(os.listdir("/proc/self/task"))))  # noqa: PTH208
        while True:
            message, descriptors = _receive(self._channel)
            if message is None:
                break
            if isinstance(message, Word):
                continue  # asked to stop a job that had just ended
            result, progress = descriptors
            empty_folder.renew(self._folder)
            running = (
                self._start_spawned(message, result, progress) if self._spawn else self._fork(message, result, progress)
            )
            os.close(result)
            os.close(progress)
            self._watch(running)
            self._finish(running)
        clear(self._folder)

    def _fork(self, job: Job, result: int, progress: int) -> _Running:
        output, output_end = os.pipe()
        parent = os.getpid()
        base = processes.own_bytes(parent)
        method = self._sealed.start(output_end) if self._sealed and isinstance(job, CellJob) and job.sealed else None
        pid = os.fork()
        if pid == 0:
            self._channel.close()
            os.close(output)
            door = method.to_operator() if method else None
            become_job(parent, output_end, lambda: run_job(job, self._catalog, result, progress, self._folder, door))
        os.close(output_end)
        return self._running(job, pid, output, base, method)

    @property
    def _methods_pid(self) -> int:
        """Id of the server of sealed methods, which outlives every job; 0 where there is none."""
        return self._sealed.pid if self._sealed else 0

    def _start_spawned(self, job: Job, result: int, progress: int) -> _Running:
        """Hand the job to the spawned worker, started afresh after any failure."""
        if self._worker is None or self._worker[0].poll() is not None:
            self._retire()
            here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            output, output_end = os.pipe()
            process = subprocess.Popen(
                [*(self._spawn or []), str(there.fileno()), str(os.getpid())],
                stdin=subprocess.DEVNULL, stdout=output_end, stderr=output_end, pass_fds=[there.fileno()],
                start_new_session=True,
            )  # fmt: skip
            there.close()
            os.close(output_end)
            self._worker = (process, here, output)
            # Starting takes seconds and memory that are not the job's; one that cannot start ends, and is found so.
            select.select([here], [], [], _START_S)
            _receive(here)
        process, channel, output = self._worker
        with contextlib.suppress(OSError):
            socket.send_fds(channel, [packet(job)], [result, progress])
        return self._running(job, process.pid, os.dup(output), processes.own_bytes(process.pid))

    def _running(self, job: Job, pid: int, output: int, base: int, method: StartedMethod | None = None) -> _Running:
        limit = job.timeout_s
        return _Running(
            pid=pid,
            pidfd=os.pidfd_open(pid),
            output=output,
            base_bytes=base,
            deadline=None if limit is None else time.monotonic() + limit,
            cap_bytes=job.memory_cap_bytes,
            oom_before=processes.oom_kills(),
            method=method,
        )

    def _watch(self, running: _Running) -> None:
        """Wait for the job to end; drain what it prints; hold it to its time and memory."""
        done = self._worker[1] if self._spawn and self._worker else None
        watched: list[Any] = [running.pidfd, running.output, self._channel, *([done] if done else [])]
        while True:
            ready, _, _ = select.select(watched, [], [], _POLL_S)
            if running.output in ready:
                data = os.read(running.output, 1 << 16)
                running.tail = (running.tail + data)[-_TAIL:]
                if not data:
                    watched.remove(running.output)
            if self._channel in ready and not running.cause:
                # Nothing is sent while a job runs: the supervisor is gone, or wants the job stopped.
                message, _none = _receive(self._channel)
                if message is None:
                    self._die()
                self._kill(running, Cause.STOPPED)
            if running.pidfd in ready:
                return
            if done is not None and done in ready:
                message, _none = _receive(done)
                if message is not None:
                    running.retire = isinstance(message, Done) and message.retire
                    return
                watched.remove(done)
            if not running.cause:
                self._enforce(running)

    def _enforce(self, running: _Running) -> None:
        begin = time.monotonic()
        if running.deadline is not None and begin > running.deadline:
            self._kill(running, Cause.TIMEOUT)
            return
        if begin < running.next_look:
            return
        # Everything below this server is the job's; what it shares with its children counts once.
        method = running.method
        apart = (running.pid, self._methods_pid, method.pid if method else 0)
        others = (pid for pid in processes.descendants(os.getpid()) if pid not in apart)
        held = processes.own_bytes(running.pid) - running.base_bytes + sum(map(processes.shared_out_bytes, others))
        held += method.grown_bytes if method else 0
        files = processes.shared_files_bytes(running.started)
        held += max(0, files - processes.mapped_shared_bytes(running.pid)) if files else 0
        running.peak_bytes = max(running.peak_bytes, held)
        now = time.monotonic()
        running.next_look = now + max(_POLL_S, 10 * (now - begin))
        if (running.cap_bytes is not None and held > running.cap_bytes) or (
            held > (1 << 28) and processes.memory_left() < _RESERVE
        ):
            self._kill(running, Cause.MEMORY)

    def _kill(self, running: _Running, cause: Cause) -> None:
        running.cause = cause
        if running.method is not None:
            running.method.kill()
        processes.kill_descendants(running.pid, frozenset({running.pid}))
        with contextlib.suppress(ProcessLookupError):
            os.kill(running.pid, signal.SIGKILL)

    def _finish(self, running: _Running) -> None:
        """Collect the ended process, kill what it left behind, and report."""
        spawned = self._worker[0] if self._worker else None
        code: int | None = None
        if spawned is None:
            code = os.waitstatus_to_exitcode(os.waitpid(running.pid, 0)[1])
            if self._sealed is not None and running.method is not None:
                code = self._sealed.ended(running.method, code)
            left = processes.kill_descendants(os.getpid(), frozenset({self._methods_pid}))
        else:
            with contextlib.suppress(subprocess.TimeoutExpired):
                code = spawned.wait(5.0 if running.cause else 0.0)
            left = processes.kill_descendants(os.getpid(), frozenset({running.pid}))
        self._drain(running)
        os.close(running.pidfd)
        os.close(running.output)
        killed_for_memory = code == -signal.SIGKILL and not running.cause and processes.oom_kills() > running.oom_before
        self._send(
            Ended(
                cause=Cause.MEMORY if killed_for_memory else running.cause,
                code=code,
                left_behind=left,
                peak_bytes=running.peak_bytes,
                tail=running.tail.decode(errors="replace"),
            )
        )
        if code is not None or running.retire:
            self._retire()

    def _drain(self, running: _Running) -> None:
        """Read what is still in the pipe, without waiting for a process that keeps it open."""
        os.set_blocking(running.output, False)
        with contextlib.suppress(BlockingIOError):
            while data := os.read(running.output, 1 << 16):
                running.tail = (running.tail + data)[-_TAIL:]

    def _retire(self) -> None:
        if self._worker is not None:
            process, channel, output = self._worker
            process.kill()
            process.wait()
            channel.close()
            os.close(output)
            self._worker = None

    def _send(self, word: Word) -> None:
        try:
            self._channel.send(packet(word))
        except OSError:
            self._die()

    def _die(self) -> NoReturn:
        clear(self._folder)
        os._exit(1)


def _receive(channel: socket.socket) -> tuple[Job | Word | None, list[int]]:
    """Receive one packet and its descriptors; None when the other side is gone."""
    try:
        data, descriptors, _, _ = socket.recv_fds(channel, MESSAGE_LIMIT, 2)
    except OSError:
        return None, []
    return (read_packet(data) if data else None), list(descriptors)


def clear(folder: Path) -> None:
    """Kill everything below this server, and remove the folder in which it stood."""
    processes.kill_descendants(os.getpid())
    empty_folder.remove(folder)


def prepare(parent: int, folder: Path) -> None:
    """Make this process a server: it dies with the supervisor and takes everything below it along, and its folder."""

    def leave(_signum: int, _frame: object) -> None:
        clear(folder)
        os._exit(1)

    signal.signal(signal.SIGTERM, leave)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    processes.become_subreaper()
    processes.die_with_parent(parent, signal.SIGTERM)
