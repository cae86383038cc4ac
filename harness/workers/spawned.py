"""A spawned worker: runs jobs one after another in one fresh process, for devices that do not survive a fork.

It is retired after a failure, and after a job that changed a global setting or a function that counts.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from hessbench.catalog import load_catalog
from hessbench.laws.global_settings import changes, functions, settings
from hessbench.workers import processes
from hessbench.workers.server import MESSAGE_LIMIT, run_job


def main(arguments: list[str]) -> None:
    """Run jobs from the socket until the server closes it.

    Args:
        arguments: Configuration, file descriptor of the socket, process id of the server.
    """
    text, descriptor, parent = arguments
    config: dict[str, Any] = json.loads(text)
    processes.die_with_parent(int(parent), signal.SIGKILL)
    channel = socket.socket(fileno=int(descriptor))
    catalog = load_catalog(config["plugins"])
    for name in config["modules"]:
        import_module(name)
    channel.send(json.dumps({"event": "ready"}).encode())
    before = settings() | functions()
    home = Path.cwd()
    while True:
        data, descriptors, _, _ = socket.recv_fds(channel, MESSAGE_LIMIT, 2)
        if not data:
            return
        result, progress = descriptors
        status = run_job(json.loads(data), catalog, result, progress, Path(config["folder"]))
        os.close(result)
        os.close(progress)
        # The next problem may name a file from here.
        os.chdir(home)
        # What a cell changes for good, such as the default dtype or the counter itself, ends with this process.
        retire = status != "ok" or bool(changes(before, settings() | functions()))
        channel.send(json.dumps({"event": "done", "retire": retire}).encode())


if __name__ == "__main__":
    main(sys.argv[1:])
