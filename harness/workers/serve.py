"""Start a server: `python -m hessbench.workers.serve SOCKET_FD CONFIG`."""

from __future__ import annotations

import json
import os
import socket
import sys
from collections.abc import Generator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn, cast

import torch

from hessbench.catalog import load_catalog
from hessbench.redact import redact
from hessbench.workers.server import Server, prepare


def main(arguments: list[str]) -> NoReturn:
    """Serve the socket inherited as a file descriptor."""
    descriptor, text = arguments
    config: dict[str, Any] = json.loads(text)
    folder = Path(config["folder"])
    prepare(config["parent"], folder)
    channel = socket.socket(fileno=int(descriptor))
    os.set_inheritable(int(descriptor), False)
    # A plugin may compute while it is imported: a thread pool made here would hang every fork at its first use.
    torch.set_num_threads(1)
    try:
        with _without_threads():
            for name in config["modules"]:
                import_module(name)
            catalog = load_catalog(config["plugins"])
    except Exception as failure:  # noqa: BLE001 -- whatever a module raises is told in one sentence
        said = (str(failure).strip() or type(failure).__name__).splitlines()[0]
        channel.send(json.dumps({"event": "failed", "reason": redact(said)}).encode())
        os._exit(1)
    spawn = [sys.executable, "-m", "hessbench.workers.spawned", text] if config["spawn"] else None
    Server(channel, catalog, folder, spawn).serve()
    # Nothing is left to tidy up, and taking the interpreter down would take half a second.
    os._exit(0)


@contextmanager
def _without_threads() -> Generator[None, None, None]:
    """Import without pyarrow, which pandas takes when it is there and which starts a thread; a fork must meet none."""
    absent = "pyarrow" not in sys.modules
    if absent:
        sys.modules["pyarrow"] = cast("ModuleType", None)
    try:
        yield
    finally:
        if absent:
            del sys.modules["pyarrow"]


if __name__ == "__main__":
    main(sys.argv[1:])
