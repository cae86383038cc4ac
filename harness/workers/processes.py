"""Linux process control: parent-death signals, subreapers, process trees and what they hold in memory."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import time
from pathlib import Path
from typing import Final

import psutil

_PR_SET_PDEATHSIG: Final = 1
_PR_SET_CHILD_SUBREAPER: Final = 36
_PAGE: Final = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096


def die_with_parent(parent: int, signum: signal.Signals) -> None:
    """Ask the kernel for a signal when the parent dies; act at once if it already has.

    Args:
        parent: Process id the parent had when this process was started.
        signum: Signal to get.
    """
    _prctl(_PR_SET_PDEATHSIG, signum)
    if os.getppid() != parent:
        os.kill(os.getpid(), signum)


def become_subreaper() -> None:
    """Adopt every orphan among the descendants, double forks included."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def kill_descendants(root: int, spare: frozenset[int] = frozenset()) -> int:
    """Kill everything below a process with SIGKILL, until nothing new turns up.

    Args:
        root: Process whose descendants go.
        spare: Process ids neither killed nor collected; what is below them goes all the same.

    Returns:
        Number of processes killed.
    """
    killed: set[int] = set()
    for _ in range(100):
        living = [pid for pid in descendants(root) if pid not in spare and _is_running(pid)]
        if not living:
            break
        for pid in living:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
                killed.add(pid)
        time.sleep(0.002)
        _collect(spare)
    return len(killed)


def kill_marked(mark: str) -> None:
    """Kill every process that was started with `mark`, a text NAME=VALUE, in its environment."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            with contextlib.suppress(OSError):
                if mark.encode() in (entry / "environ").read_bytes().split(b"\0"):
                    os.kill(int(entry.name), signal.SIGKILL)


def _collect(spare: frozenset[int]) -> None:
    """Collect ended children of this process."""
    for pid in _children(os.getpid()):
        if pid not in spare:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)


def descendants(root: int) -> list[int]:
    """Process ids below a process."""
    found: list[int] = []
    waiting = [root]
    while waiting:
        children = _children(waiting.pop())
        found += children
        waiting += children
    return found


def tree_bytes(root: int) -> int:
    """Resident bytes of a process and its descendants."""
    return sum(_resident(pid) for pid in (root, *descendants(root)))


def resident_bytes(pid: int) -> int:
    """Resident bytes of one process; 0 when it is gone."""
    return _resident(pid)


def memory_left() -> float:
    """Fraction of the memory this process may use that is still free: the machine's, or the control group's."""
    machine = psutil.virtual_memory()
    left = machine.available / machine.total
    for limit, used in ((_cgroup("memory.max"), _cgroup("memory.current")),
                        (_cgroup("memory.limit_in_bytes"), _cgroup("memory.usage_in_bytes"))):  # fmt: skip
        if limit is not None and used is not None and 0 < limit < machine.total:
            left = min(left, 1 - used / limit)
    return left


def oom_kills() -> int:
    """Processes the kernel has killed for want of memory in this control group, as far as it tells."""
    for file in ("memory.events", "memory.oom_control"):
        for folder in _cgroup_folders():
            path = folder / file
            with contextlib.suppress(OSError):
                for line in path.read_text(encoding="ascii").splitlines():
                    name, _, count = line.partition(" ")
                    if name == "oom_kill":
                        return int(count)
    return 0


def _prctl(option: int, value: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(option, value, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl failed")


def _children(pid: int) -> list[int]:
    found: list[int] = []
    try:
        for task in Path(f"/proc/{pid}/task").iterdir():
            found += map(int, (task / "children").read_text(encoding="ascii").split())
    except (OSError, ValueError):
        with contextlib.suppress(psutil.Error):
            return [child.pid for child in psutil.Process(pid).children()]
    return found


def _is_running(pid: int) -> bool:
    """Whether a process is there and no zombie."""
    try:
        return (
            Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()[0] != "Z"
        )
    except (OSError, IndexError):
        return False


def _resident(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]) * _PAGE
    except (OSError, IndexError, ValueError):
        return 0


def _cgroup_folders() -> list[Path]:
    folders: list[Path] = []
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/cgroup").read_text(encoding="ascii").splitlines():
            _, controllers, path = line.split(":", 2)
            if controllers == "":
                folders.append(Path("/sys/fs/cgroup") / path.lstrip("/"))
            elif "memory" in controllers.split(","):
                folders += [Path("/sys/fs/cgroup/memory") / path.lstrip("/"), Path("/sys/fs/cgroup/memory")]
    return folders


def _cgroup(file: str) -> int | None:
    for folder in _cgroup_folders():
        with contextlib.suppress(OSError, ValueError):
            return int((folder / file).read_text(encoding="ascii"))
    return None
