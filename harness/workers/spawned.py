"""A spawned worker: runs jobs one after another in one fresh process, for devices that do not survive a fork.

It is retired after a failure, and after a job that changed a global setting or a function that counts.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
from pathlib import Path

from hessbench.catalog import load_catalog
from hessbench.laws.global_settings import changes, functions, settings
from hessbench.ledger.record import Status
from hessbench.workers import processes
from hessbench.workers.imports import import_all
from hessbench.workers.job_process import run_job
from hessbench.workers.messages import Done, Ready, Word
from hessbench.workers.server import MESSAGE_LIMIT
from hessbench.workers.setup import Setup
from hessbench.workers.wire import packet, read_packet


def main(arguments: list[str]) -> None:
    """Run jobs from the socket until the server closes it.

    Args:
        arguments: Configuration, file descriptor of the socket, process id of the server.
    """
    text, descriptor, parent = arguments
    setup = Setup.parse(text)
    processes.die_with_parent(int(parent), signal.SIGKILL)
    channel = socket.socket(fileno=int(descriptor))
    catalog = load_catalog(setup.plugins)
    import_all(setup.modules)
    channel.send(packet(Ready()))
    before = settings() | functions()
    home = Path.cwd()
    while True:
        data, descriptors, _, _ = socket.recv_fds(channel, MESSAGE_LIMIT, 2)
        if not data:
            return
        job = read_packet(data)
        if isinstance(job, Word):
            continue
        result, progress = descriptors
        status = run_job(job, catalog, result, progress, Path(setup.folder))
        os.close(result)
        os.close(progress)
        # The next problem may name a file from here.
        os.chdir(home)
        # What a cell changes for good, such as the default dtype or the counter itself, ends with this process.
        retire = status is not Status.OK or bool(changes(before, settings() | functions()))
        channel.send(packet(Done(retire)))


if __name__ == "__main__":
    main(sys.argv[1:])
