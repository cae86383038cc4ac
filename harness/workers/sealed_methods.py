"""The processes of sealed methods, as the server of a slot sees them."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, final

from hessbench.sealing.confinement import passed_on
from hessbench.sealing.door import Door
from hessbench.sealing.endings import METHOD_ENDED
from hessbench.sealing.line import SealedLine
from hessbench.sealing.readable import readable
from hessbench.workers import processes
from hessbench.workers.method_server import PACKET

_START_S: Final = 120.0
_LEAVE_S: Final = 1.0


@dataclass(frozen=True)
class StartedMethod:
    """A process that waits for a method to run.

    Attributes:
        pid: Its id.
        door: The operator's end of the socket to it.
        base_bytes: What it held as it began.
    """

    pid: int
    door: socket.socket
    base_bytes: int

    @property
    def grown_bytes(self) -> int:
        """Memory that it holds by now beyond that."""
        return max(processes.own_bytes(self.pid) - self.base_bytes, 0)

    def to_operator(self) -> Door:
        """The operator's side of the door, in the process that holds the operator."""
        return Door(SealedLine(self.door, gives=True), self.pid)

    def kill(self) -> None:
        """Kill it with all that is below it."""
        processes.kill_descendants(self.pid)
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)


@final
class SealedMethods:
    """Starts and ends processes of sealed methods.

    Args:
        hidden: Folders of which a method may read nothing.
        folder: Empty folder in which methods run.
        modules: Modules that are imported once.
    """

    def __init__(self, hidden: Iterable[str], folder: Path, modules: Sequence[str]) -> None:
        self._folder = folder
        self._modules = tuple(modules)
        self._listed = os.memfd_create("hessbench-readable", os.MFD_CLOEXEC)
        os.write(self._listed, json.dumps(readable(hidden)).encode())
        self._process: subprocess.Popen[bytes] | None = None
        self._channel: socket.socket | None = None
        self.prepare()

    @property
    def pid(self) -> int:
        """Id of the server of methods; 0 where there is none."""
        return self._process.pid if self._process else 0

    def prepare(self) -> None:
        """Start the server of methods where there is none, without waiting for it."""
        if self._process is not None and self._process.poll() is None:
            return
        if self._channel is not None:
            self._channel.close()
        self._channel, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._channel.settimeout(_START_S)
        path = os.pathsep.join(entry for entry in sys.path if Path(entry).is_absolute())
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "hessbench.workers.method_server", str(there.fileno()), str(os.getpid()),
             *self._modules],
            stdin=subprocess.DEVNULL, pass_fds=[there.fileno()], cwd="/",
            env={**passed_on(dict(os.environ)), "PYTHONPATH": path},
        )  # fmt: skip
        there.close()
        self._is_ready = False

    def wait(self) -> None:
        """Wait until the server of methods has imported what it needs.

        Raises:
            ChildProcessError: If it could not start.
            OSError: If it takes far too long.
        """
        if self._is_ready:
            return
        if self._channel is None or not self._channel.recv(PACKET):
            raise ChildProcessError("the server of sealed methods could not start; its message is above")
        self._is_ready = True

    def start(self, output: int) -> StartedMethod:
        """Start a process for a method.

        Args:
            output: Where it prints.

        Raises:
            OSError: If it cannot be started.
        """
        self.prepare()
        here, there = socket.socketpair()
        try:
            pid = self._ask({"do": "fork", "folder": str(self._folder)}, [there.fileno(), output, self._listed])["pid"]
        finally:
            there.close()
        return StartedMethod(pid, here, processes.own_bytes(self.pid))

    def ended(self, method: StartedMethod, code: int) -> int | None:
        """End a method's process once its operator's has ended, unless it does so by itself.

        Args:
            method: The process.
            code: Exit code of the operator's.

        Returns:
            How the cell ended: as the method's process did where that was the first, None where nobody knows how.
        """
        is_first = code == METHOD_ENDED
        method.door.close()
        try:
            asked = {"do": "end", "pid": method.pid, "wait_s": _LEAVE_S if is_first else 0.0}
            ended = self._ask(asked, [])["code"]
        except (OSError, LookupError, ValueError):
            ended = None
        return ended if is_first else code

    def close(self) -> None:
        """End the server of methods, and with it all that it has started."""
        if self._channel is not None:
            self._channel.close()
        if self._process is not None:
            processes.kill_descendants(self._process.pid)
            self._process.kill()
            self._process.wait()
        os.close(self._listed)

    def _ask(self, said: dict[str, Any], descriptors: list[int]) -> dict[str, Any]:
        channel = self._channel
        if channel is None:
            raise ProcessLookupError("there is no server of methods")
        self.wait()
        socket.send_fds(channel, [json.dumps(said).encode()], descriptors)
        data = channel.recv(PACKET)
        if not data:
            raise ChildProcessError("the server of sealed methods has ended")
        return json.loads(data)
