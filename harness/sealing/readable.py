"""Which files the process of a sealed method may read: the system's, the installed packages, and no problem."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from hessbench.files import cache_folder
from hessbench.sealing.landlock import LIST, READ, USE

_SYSTEM: Final = (
    "/usr",
    "/lib",
    "/lib64",
    "/lib32",
    "/bin",
    "/sbin",
    "/opt",
    "/etc",
    "/sys/devices/system",
    "/nix/store",
)
_FACTS: Final = ("/proc/cpuinfo", "/proc/meminfo", "/proc/stat", "/proc/version", "/proc/sys/vm", "/proc/sys/kernel")
_DEVICES: Final = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")
_MODULES: Final = (".py", ".so", ".zip", ".dist-info", ".egg-info", ".libs")
_PROBLEMS: Final = "problems"


def readable(hidden: Iterable[str]) -> list[tuple[str, int]]:
    """What may be read, and how, with everything that is hidden left out.

    Args:
        hidden: Folders and files of which nothing may be read, such as the folder of the run.
    """
    here = Path(__file__).parents[1]
    # An editable installation is made of links, and the sources are elsewhere.
    behind = {Path(os.path.realpath(module)).parent for module in (here / _PROBLEMS).glob("*.py")}
    secret = {*map(os.path.realpath, hidden), *map(str, behind), os.path.realpath(here / _PROBLEMS)}
    secret |= {os.path.realpath(cache_folder("data").parent), *_named_folders()}
    installed = [os.path.realpath(entry) for entry in (*_SYSTEM, sys.prefix, sys.base_prefix)]
    found: dict[str, int] = {}
    for path in installed:
        found.update(_without(path, secret, set()))
    for entry in filter(os.path.isabs, sys.path):
        path = os.path.realpath(entry)
        if any(path == whole or path.startswith(f"{whole}{os.sep}") for whole in installed):
            continue
        # Such an entry may be a folder with anything in it, as one's home: only what can be imported is read.
        found.setdefault(path, LIST)
        for module in filter(_is_imported, _entries(path)):
            found.update(_without(os.path.realpath(module), secret, set()))
    for folder, folders, files in os.walk(here, followlinks=True):
        folders[:] = [name for name in folders if name != "__pycache__" and (Path(folder) != here or name != _PROBLEMS)]
        for path in {os.path.realpath(Path(folder, name)) for name in ("", *files)}:
            found.update(_without(path, secret, set()))
    found |= dict.fromkeys(_FACTS, READ) | dict.fromkeys(_DEVICES, USE)
    return list(found.items())


def _named_folders() -> Iterator[str]:
    for name, value in os.environ.items():
        if name.startswith("HESSBENCH_") and Path(value).is_absolute():
            yield os.path.realpath(value)


def _without(path: str, secret: set[str], seen: set[str]) -> Iterator[tuple[str, int]]:
    """A path as a whole, or, where something below it is hidden, what else is in it."""
    if path in seen or any(path == hidden or path.startswith(f"{hidden}{os.sep}") for hidden in secret):
        return
    seen.add(path)
    if not any(hidden.startswith(f"{path.rstrip(os.sep)}{os.sep}") for hidden in secret):
        # A link inside of it may lead to what is hidden: what counts is where a file lies.
        yield path, READ
        return
    yield path, LIST
    for entry in _entries(path):
        yield from _without(os.path.realpath(entry), secret, seen)


def _entries(folder: str) -> list[str]:
    try:
        return [os.path.join(folder, name) for name in os.listdir(folder)]  # noqa: PTH118, PTH208 -- thousands of them
    except OSError:
        return []


def _is_imported(path: str) -> bool:
    return path.endswith(_MODULES) or os.path.isfile(os.path.join(path, "__init__.py"))  # noqa: PTH113, PTH118
