"""Start a server: `python -m hessbench.workers.serve SOCKET_FD CONFIG`."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path
from typing import NoReturn

import torch

from hessbench.catalog import load_catalog
from hessbench.exceptions import first_line
from hessbench.redact import redact
from hessbench.workers.imports import import_all, without_threads
from hessbench.workers.messages import Failed
from hessbench.workers.sealed_methods import SealedMethods
from hessbench.workers.server import Server, prepare
from hessbench.workers.setup import Setup
from hessbench.workers.wire import packet


def main(arguments: list[str]) -> NoReturn:
    """Serve the socket inherited as a file descriptor."""
    descriptor, text = arguments
    setup = Setup.parse(text)
    folder = Path(setup.folder)
    prepare(setup.parent, folder)
    channel = socket.socket(fileno=int(descriptor))
    os.set_inheritable(int(descriptor), False)
    counting = [module for module in setup.modules if module.startswith("torch.")]
    sealed = SealedMethods(filter(None, [setup.private]), folder, counting) if setup.sealed else None
    # A plugin may compute while it is imported: a thread pool made here would hang every fork at its first use.
    torch.set_num_threads(1)
    try:
        with without_threads():
            import_all(setup.modules)
            catalog = load_catalog(setup.plugins)
        if sealed is not None:
            sealed.wait()
    except Exception as failure:  # noqa: BLE001 -- whatever a module raises is told in one sentence
        channel.send(packet(Failed(redact(first_line(failure)))))
        os._exit(1)
    spawn = [sys.executable, "-m", "hessbench.workers.spawned", text] if setup.spawn else None
    Server(channel, catalog, folder, spawn, sealed).serve()
    # Nothing is left to tidy up, and taking the interpreter down would take half a second.
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1:])
