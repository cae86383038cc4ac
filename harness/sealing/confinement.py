"""A process that gives up what a sealed method must not have, before anything of a stranger's runs in it."""

from __future__ import annotations

import contextlib
import ctypes
import os
import sys
import tempfile
from collections.abc import Iterable, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Final

from typing_extensions import override

from hessbench.sealing.calls_refused import knows_calls, refuse_calls
from hessbench.sealing.landlock import LIST, OWN, READ, restrict, taken_away
from hessbench.source_files import source_files

_CALLS: Final = "sockets, memory of other processes"
_PR_SET_DUMPABLE: Final = 4
_PR_CAPBSET_DROP: Final = 24
_CAPABILITIES_3: Final = 0x20080522
_PASSED_ON: Final = (
    "PATH", "LANG", "LC_", "TZ", "PYTHON", "OMP_", "GOMP_", "KMP_", "MKL_", "OPENBLAS_", "MALLOC_", "LD_LIBRARY_PATH",
    "LD_PRELOAD", "TORCH_", "ATEN_", "NVIDIA_", "CUDA_", "HESSBENCH_RUN",
)  # fmt: skip


class _Absent(MetaPathFinder):
    """Finds no problem: a method that could build one could read its truth."""

    @override
    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname == "hessbench.problems" or fullname.startswith("hessbench.problems."):
            raise ModuleNotFoundError("hessbench.problems is not there in a sealed run", name=fullname)
        return None


def passed_on(environment: dict[str, str]) -> dict[str, str]:
    """The environment variables that tell how to compute, and nothing of where anything lies."""
    return {name: value for name, value in environment.items() if name.startswith(_PASSED_ON)}


def forget_problems() -> None:
    """Have no problem imported from now on, in this process and its forks."""
    sys.meta_path.insert(0, _Absent())
    for name in [name for name in sys.modules if name.startswith("hessbench.problems")]:
        del sys.modules[name]


def confine(readable: Iterable[tuple[str, int]], folder: Path, plugin: str) -> str:
    """Give up everything but computing: files, signals to others, the network, and every capability.

    Args:
        readable: What may be read; see `readable`.
        folder: Empty folder that may be written to.
        plugin: Python file of the method; empty where it is installed.

    Returns:
        What the kernel took away, in words; empty where it could take nothing.
    """
    for name in ("HOME", "TMPDIR"):
        os.environ[name] = str(folder)
    tempfile.tempdir = str(folder)
    own = [(str(file), READ) for file in source_files(Path(plugin))] if plugin else []
    listed = [(str(Path(plugin).parent), LIST)] if plugin else []
    taken = restrict([*readable, *own, *listed, (str(folder), OWN), ("/proc/self", READ)])
    _drop_capabilities()
    return ", ".join(filter(None, (taken, _CALLS if refuse_calls() else "")))


def kept_from() -> str:
    """What a sealed method is kept from on this machine, in words; empty where that is nothing."""
    return ", ".join(filter(None, (taken_away(), _CALLS if knows_calls() else "")))


def hide_memory() -> None:
    """Let no other process of this user look into this one's memory, environment or open files."""
    ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


def close_all_but(kept: Iterable[int]) -> None:
    """Close every file but some, and the standard ones."""
    last = 2
    for descriptor in sorted(kept):
        os.closerange(last + 1, descriptor)
        last = descriptor
    os.closerange(last + 1, os.sysconf("SC_OPEN_MAX") if os.sysconf("SC_OPEN_MAX") > 0 else 65536)


def _drop_capabilities() -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    for capability in range(64):
        libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0)
    header = (ctypes.c_uint32 * 2)(_CAPABILITIES_3, 0)
    with contextlib.suppress(AttributeError):
        libc.capset(header, (ctypes.c_uint32 * 6)())
