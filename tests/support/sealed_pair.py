"""A cell run twice: with its method in this process, and sealed in a forked one."""

from __future__ import annotations

import os
import socket
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from hessbench import Problem
from hessbench.catalog import load_catalog
from hessbench.cells.cell import Cell
from hessbench.cells.execute import execute
from hessbench.cells.messages import Checkpoint, End
from hessbench.estimand import parse_estimand
from hessbench.method import Method, known_low
from hessbench.registry import Registry
from hessbench.sealing.door import Door
from hessbench.sealing.introduction import Introduction
from hessbench.sealing.line import SealedLine
from hessbench.sealing.readable import readable
from hessbench.workers.method_process import MethodProcess

COMPARED = ("matvecs", "calls", "counts", "gradient_equivalents", "samples")

_readable = cache(readable)


@contextmanager
def sealed_door(cell: Cell, problem: Problem, methods: Registry[Method]) -> Iterator[Door]:
    """The door to a forked process that holds a method of a registry."""
    here, there = socket.socketpair()
    with warnings.catch_warnings(), tempfile.TemporaryDirectory() as folder:
        warnings.simplefilter("ignore", DeprecationWarning)
        pid = os.fork()
        if pid == 0:
            try:
                MethodProcess(there.fileno(), methods, _readable(()), Path(folder)).serve()
            finally:
                os._exit(0)
        there.close()
        door = Door(SealedLine(here, gives=True), pid)
        try:
            low = known_low(parse_estimand(cell.estimand), problem)
            door.introduce(
                Introduction(cell.method, cell.estimand, problem.dim, cell.dtype, cell.device, cell.threads,
                             problem.traits, low, cell.budget)
            )  # fmt: skip
            yield door
        finally:
            door.close()
            os.waitpid(pid, 0)


def said_by(cell: Cell, problem: Problem, methods: Registry[Method], *, sealed: bool) -> list[Checkpoint | End]:
    """The messages of a cell."""
    said: list[Any] = []
    bound = methods.entry_of(cell.method).bind(cell.method, parse_estimand(cell.estimand))
    if not sealed:
        execute(cell, problem, bound, said.append)
        return said
    with sealed_door(cell, problem, methods) as door:
        execute(cell, problem, bound, said.append, door=door)
    return said


@cache
def installed() -> Registry[Method]:
    """The methods that are installed."""
    return load_catalog().methods
