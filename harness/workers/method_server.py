"""The server of sealed methods: `python -m hessbench.workers.method_server SOCKET_FD PARENT MODULES...`.

It imports the methods that are installed and is told nothing of any problem, so that its forks know of none. It runs
no code of a plugin: a fork does, once it is confined.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import select
import signal
import socket
import sys
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Final, NoReturn, final

import torch

from hessbench.method import Method
from hessbench.registry import Registry
from hessbench.sealing.confinement import forget_problems
from hessbench.workers import processes
from hessbench.workers.imports import import_all, without_threads
from hessbench.workers.job_process import become_job
from hessbench.workers.method_process import MethodProcess

PACKET: Final = 1 << 16


def main(arguments: list[str]) -> NoReturn:
    """Serve the socket inherited as a file descriptor until it is closed."""
    descriptor, parent, *modules = arguments
    processes.die_with_parent(int(parent), signal.SIGKILL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    channel = socket.socket(fileno=int(descriptor))
    os.set_inheritable(int(descriptor), False)
    torch.set_num_threads(1)
    with without_threads():
        import_all(modules)
        forget_problems()
        methods = _installed()
    gc.collect()
    gc.freeze()
    channel.send(b"{}")
    _MethodServer(channel, methods).serve()
    os._exit(0)


def _installed() -> Registry[Method]:
    """The methods of every entry point that can be loaded where no problem can."""
    found: Registry[Method] = Registry("method")
    for point in sorted(entry_points(group="hessbench.methods"), key=lambda p: (p.name != "built-in", p.name)):
        with contextlib.suppress(Exception):
            for method in point.load():
                found.add(method)
    return found


@final
class _MethodServer:
    def __init__(self, channel: socket.socket, methods: Registry[Method]) -> None:
        self._channel = channel
        self._methods = methods

    def serve(self) -> None:
        while True:
            data, descriptors, _, _ = socket.recv_fds(self._channel, PACKET, 3)
            if not data:
                return
            said: dict[str, Any] = json.loads(data)
            answer = self._fork(said, descriptors) if said["do"] == "fork" else _ended(said["pid"], said["wait_s"])
            self._channel.send(json.dumps(answer).encode())

    def _fork(self, said: dict[str, Any], descriptors: list[int]) -> dict[str, int]:
        door, output, listed = descriptors
        parent = os.getpid()
        pid = os.fork()
        if pid == 0:
            self._channel.close()
            with os.fdopen(listed) as file:
                file.seek(0)
                readable = [(str(path), int(what)) for path, what in json.load(file)]

            def work() -> None:
                os.chdir(said["folder"])
                MethodProcess(door, self._methods, readable, Path(said["folder"])).serve()

            become_job(parent, output, work)
        for descriptor in descriptors:
            os.close(descriptor)
        return {"pid": pid}


def _ended(pid: int, wait_s: float) -> dict[str, int]:
    """How a process ended: by itself within some seconds, or killed."""
    pidfd = os.pidfd_open(pid)
    by_itself = bool(select.select([pidfd], [], [], wait_s)[0])
    os.close(pidfd)
    if not by_itself:
        os.kill(pid, signal.SIGKILL)
    return {"code": os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])}


if __name__ == "__main__":
    main(sys.argv[1:])
