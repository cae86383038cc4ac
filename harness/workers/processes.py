"""Linux process control: parent-death signals, subreapers, process trees and what they hold in memory."""

from __future__ import annotations

import contextlib
import ctypes
import os
import re
import signal
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import psutil

_PR_SET_PDEATHSIG: Final = 1
_PR_SET_CHILD_SUBREAPER: Final = 36
_SHARED_MEMORY: Final = "/dev/shm"
_MARK: Final = re.compile(rb"hessbench-(\d+)-(\d+)-[0-9a-f]{32}")


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
    """Kill everything below a process with SIGKILL, until nothing new turns up, and collect what has ended.

    Args:
        root: Process whose descendants go.
        spare: Process ids neither killed nor collected; what is below them goes all the same.

    Returns:
        Number of processes killed.
    """
    killed: set[int] = set()
    quiet = 0
    for _ in range(200):
        living = [pid for pid in descendants(root) if pid not in spare and _is_running(pid)]
        # A process that forks while it is looked for can be missed once, so a second look confirms.
        quiet = 0 if living else quiet + 1
        if quiet > bool(killed):
            break
        for pid in living:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
                killed.add(pid)
        time.sleep(0.002)
    _collect(spare)
    return len(killed)


def new_mark() -> str:
    """A mark for all that a server starts, which tells whose it is: this process's id and start, and a number."""
    return f"hessbench-{os.getpid()}-{_started(os.getpid())}-{uuid.uuid4().hex}"


def kill_orphans() -> int:
    """Kill every marked process whose main process is gone, as one killed together with its servers leaves them.

    Returns:
        Number of processes killed.
    """
    killed = 0
    here = _namespace(Path("/proc/self"))
    for entry in Path("/proc").iterdir():
        # Ids in the mark of another container are not those of this one.
        if not entry.name.isdigit() or int(entry.name) == os.getpid() or _namespace(entry) != here:
            continue
        if _is_orphaned(entry):
            with contextlib.suppress(OSError):
                os.kill(int(entry.name), signal.SIGKILL)
                killed += 1
    return killed


def _namespace(entry: Path) -> str | None:
    """Where a process's id is one; None where it is gone or may not be looked at."""
    try:
        return str((entry / "ns" / "pid").readlink())
    except OSError:
        return None


def _is_orphaned(entry: Path) -> bool:
    owners = {(int(found[1]), found[2].decode()) for text in marks(entry) for found in _MARK.finditer(text)}
    return bool(owners) and all(_started(pid) != started for pid, started in owners)


def marks(entry: Path) -> Iterator[bytes]:
    """Where a mark can stand: a process's first environment, its working folder, and the names of its open files."""
    with contextlib.suppress(OSError):
        yield (entry / "environ").read_bytes()
        for link in (entry / "cwd", *(entry / "fd").iterdir()):
            with contextlib.suppress(OSError):
                yield str(link.readlink()).encode()


def _started(pid: int) -> str:
    """When a process started, in ticks since the machine did; empty when it is gone."""
    fields = _stat(pid)
    return fields[19].decode() if len(fields) > 19 and fields[0] not in (b"Z", b"X") else ""


def kill_marked(mark: str) -> None:
    """Kill every process with `mark` in its first environment, its working folder, or the name of an open file."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid() and _is_marked(entry, mark):
            with contextlib.suppress(OSError):
                os.kill(int(entry.name), signal.SIGKILL)


def _is_marked(entry: Path, mark: str) -> bool:
    return any(mark.encode() in text for text in marks(entry))


def _collect(spare: frozenset[int]) -> None:
    """Collect ended children of this process."""
    for pid in _children(os.getpid()):
        if pid not in spare:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)


def descendants(root: int) -> list[int]:
    """Process ids below a process."""
    by_parent = None if _tells_children() else _by_parent()
    found: list[int] = []
    waiting = [root]
    while waiting:
        pid = waiting.pop()
        children = _children(pid) if by_parent is None else by_parent.get(pid, [])
        found += children
        waiting += children
    return found


def own_bytes(pid: int) -> int:
    """Resident bytes of a process that no file backs; 0 when it is gone."""
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace")
    except OSError:
        return 0
    fields = dict(line.split(":", 1) for line in status.splitlines() if ":" in line)
    names = ("RssAnon", "RssShmem") if "RssAnon" in fields else ("VmRSS",)
    return sum(int(fields[name].split()[0]) * 1024 for name in names if name in fields)


def shared_out_bytes(pid: int) -> int:
    """Resident bytes of a process, those it shares divided among its sharers; `own_bytes` where nothing tells."""
    try:
        rollup = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii", errors="replace")
    except OSError:
        return own_bytes(pid)
    lines = (line.split() for line in rollup.splitlines())
    return sum(int(words[1]) * 1024 for words in lines if words[0] in ("Pss_Anon:", "Pss_Shmem:"))


def mapped_shared_bytes(pid: int) -> int:
    """Resident bytes of shared memory that a process has mapped; 0 when it is gone."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace").splitlines():
            if line.startswith("RssShmem:"):
                return int(line.split()[1]) * 1024
    return 0


def shared_files_bytes(since: float) -> int:
    """Bytes of this user's files in the machine's shared memory that have changed since a time.

    They are memory that belongs to no process. Another program of the same user that writes there meanwhile counts too.
    """
    total = 0
    with contextlib.suppress(OSError), os.scandir(_SHARED_MEMORY) as entries:
        for entry in entries:
            with contextlib.suppress(OSError):
                facts = entry.stat(follow_symlinks=False)
                if facts.st_uid == os.getuid() and facts.st_mtime >= since:
                    total += facts.st_blocks * 512
    return total


def let_go_of(folder: Path) -> None:
    """Put nothing in the place of every open file in a folder, such as the ledger; its object must not find another."""
    null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    for entry in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):
            if entry.readlink().is_relative_to(folder):
                os.dup2(null, int(entry.name), inheritable=False)
    os.close(null)


def memory_left() -> float:
    """Fraction of the memory this process may use that is still free: the machine's, or the control group's."""
    machine = psutil.virtual_memory()
    left = machine.available / machine.total
    for limit, used, cached in (
        (_cgroup("memory.max"), _cgroup("memory.current"), "inactive_file"),
        (_cgroup("memory.limit_in_bytes"), _cgroup("memory.usage_in_bytes"), "total_inactive_file"),
    ):
        if limit is not None and used is not None and 0 < limit < machine.total:
            # Cached file pages count as used, yet the kernel gives them back before it kills.
            left = min(left, 1 - (used - _cgroup_field("memory.stat", cached)) / limit)
    return left


def oom_kills() -> int:
    """Processes the kernel has killed for want of memory in this control group, as far as it tells."""
    return _cgroup_field("memory.events", "oom_kill") or _cgroup_field("memory.oom_control", "oom_kill")


def _prctl(option: int, value: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(option, value, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl failed")


def _tells_children() -> bool:
    """Whether the kernel lists the children of a process; otherwise every process is asked for its parent."""
    return Path(f"/proc/self/task/{os.getpid()}/children").exists()


def _children(pid: int) -> list[int]:
    if not _tells_children():
        return _by_parent().get(pid, [])
    found: list[int] = []
    with contextlib.suppress(OSError, ValueError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            found += map(int, (task / "children").read_text(encoding="ascii").split())
    return found


def _by_parent() -> dict[int, list[int]]:
    """Every process id under its parent's."""
    found: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):  # noqa: PTH208 -- in the loop of the watch: names alone, no objects
        if name.isdigit() and (fields := _stat(int(name))):
            found.setdefault(int(fields[1]), []).append(int(name))
    return found


def _stat(pid: int) -> list[bytes]:
    """State, parent and what follows the command in a process's `stat`; empty when it is gone."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:  # noqa: PTH123 -- see above
            return file.read().rpartition(b")")[2].split()
    except OSError:
        return []


def _is_running(pid: int) -> bool:
    """Whether a process is there and no zombie."""
    return _stat(pid)[:1] not in ([], [b"Z"], [b"X"])


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


def _cgroup_field(file: str, name: str) -> int:
    """A number by its name in a file of the control group; 0 where it is not told."""
    for folder in _cgroup_folders():
        with contextlib.suppress(OSError, ValueError):
            for line in (folder / file).read_text(encoding="ascii").splitlines():
                key, _, count = line.partition(" ")
                if key == name:
                    return int(count)
    return 0
