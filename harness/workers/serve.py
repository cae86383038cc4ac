"""Start a server: `python -m hessbench.workers.serve SOCKET_FD CONFIG`."""

from __future__ import annotations

import json
import os
import socket
import sys
from importlib import import_module
from typing import Any

from hessbench.catalog import load_catalog
from hessbench.workers.server import Server, prepare


def main(arguments: list[str]) -> None:
    """Serve the socket inherited as a file descriptor."""
    descriptor, text = arguments
    config: dict[str, Any] = json.loads(text)
    prepare(config["parent"])
    channel = socket.socket(fileno=int(descriptor))
    os.set_inheritable(int(descriptor), False)
    for name in config["modules"]:
        import_module(name)
    catalog = load_catalog(config["plugins"])
    spawn = [sys.executable, "-m", "hessbench.workers.spawned", text] if config["spawn"] else None
    Server(channel, catalog, spawn).serve()


if __name__ == "__main__":
    main(sys.argv[1:])
