"""Landlock: a process gives up what it may open, whom it may signal or trace, and the network.

No privilege is needed, and what is taken away comes back neither to it nor to what it starts. Linux 5.13 or later; see
the kernel's documentation, userspace-api/landlock. A confined process may look into no process outside of the
confinement: not by ptrace, nor its memory, environment or open files in /proc.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import stat
from collections.abc import Iterable
from typing import Final

_CREATE, _ADD, _RESTRICT = 444, 445, 446
_VERSION_FLAG: Final = 1
_PATH_BENEATH: Final = 1
_NO_NEW_PRIVS: Final = 38

_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1, 2, 4, 8
_TRUNCATE, _IOCTL = 1 << 14, 1 << 15
_RIGHTS: Final = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}
"""Number of rights over files that each version knows."""
_ONLY_FOLDERS: Final = ~(_EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL)
_NO_TCP: Final = 3
_OWN_SCOPE: Final = 3

READ: Final = _EXECUTE | _READ_FILE | _READ_DIR
"""Read what is there, list it and run it."""
LIST: Final = _READ_DIR
"""List folders alone."""
USE: Final = _READ_FILE | _WRITE_FILE | _IOCTL
"""Use a device."""
OWN: Final = (1 << 16) - 1
"""Everything."""


class _Ruleset(ctypes.Structure):
    _fields_ = (("files", ctypes.c_uint64), ("net", ctypes.c_uint64), ("scoped", ctypes.c_uint64))


class _Beneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("allowed", ctypes.c_uint64), ("parent", ctypes.c_int32))


def version() -> int:
    """The version of Landlock that the kernel offers; 0 where it offers none."""
    with contextlib.suppress(OSError):
        return _call(_CREATE, None, 0, _VERSION_FLAG)
    return 0


def restrict(allowed: Iterable[tuple[str, int]]) -> str:
    """Take away from this process, and all that it starts, whatever is not allowed.

    Args:
        allowed: Files, or folders with all that is below them, and what may be done with each; what is not there is
            left out.

    Returns:
        What was taken away, in words; empty where the kernel offers nothing.

    Raises:
        OSError: If the kernel refuses what it offers.
    """
    known = version()
    if not known:
        return ""
    rights = (1 << _RIGHTS.get(known, 16)) - 1
    asked = _Ruleset(rights, _NO_TCP if known >= 4 else 0, _OWN_SCOPE if known >= 6 else 0)
    size = 24 if known >= 6 else 16 if known >= 4 else 8
    ruleset = _call(_CREATE, ctypes.byref(asked), size, 0)
    try:
        for path, what in allowed:
            _allow(ruleset, path, what & rights)
        if ctypes.CDLL(None, use_errno=True).prctl(_NO_NEW_PRIVS, 1, 0, 0, 0):
            raise OSError(ctypes.get_errno(), "prctl failed")
        _call(_RESTRICT, ruleset, 0)
    finally:
        os.close(ruleset)
    return taken_away()


def taken_away() -> str:
    """What a confined process is kept from on this kernel, in words; empty where it offers nothing."""
    known = version()
    if not known:
        return ""
    return "files" + (", TCP" if known >= 4 else "") + (", signals" if known >= 6 else "")


def _allow(ruleset: int, path: str, what: int) -> None:
    try:
        opened = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    try:
        if not stat.S_ISDIR(os.fstat(opened).st_mode):
            what &= ~_ONLY_FOLDERS
        if what:
            _call(_ADD, ruleset, _PATH_BENEATH, ctypes.byref(_Beneath(what, opened)), 0)
    finally:
        os.close(opened)


def _call(number: int, *arguments: object) -> int:
    libc = ctypes.CDLL(None, use_errno=True)
    passed = [ctypes.c_long(argument) if isinstance(argument, int) else argument for argument in arguments]
    found = int(libc.syscall(ctypes.c_long(number), *passed))
    if found < 0:
        raise OSError(ctypes.get_errno(), "Landlock failed")
    return found
