"""Calls of the kernel by which a sealed method could reach another process, refused by a filter.

Landlock keeps a process from files and signals; memory segments and queues that outlive a process, datagrams, and the
calls that read another's memory use neither.
"""

from __future__ import annotations

import ctypes
import platform
import struct
from collections.abc import Sequence
from typing import Final

_PR_SET_NO_NEW_PRIVS: Final = 38
_PR_SET_SECCOMP: Final = 22
_FILTER: Final = 2
_ALLOW: Final = 0x7FFF0000
_REFUSE: Final = 0x00050001
"""EPERM, as if a right were missing."""
_LOAD, _IS, _IS_AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06
_NUMBER, _ARCHITECTURE, _FIRST_ARGUMENT = 0, 4, 16
_AF_UNIX: Final = 1

# shmget shmat semget msgget mq_open, add_key request_key keyctl, ptrace process_vm_readv process_vm_writev pidfd_getfd
# kcmp, bpf perf_event_open userfaultfd io_uring_setup
_REFUSED: Final = {
    "x86_64": (29, 30, 64, 68, 240, 248, 249, 250, 101, 310, 311, 438, 312, 321, 298, 323, 425),
    "aarch64": (194, 196, 190, 186, 180, 217, 218, 219, 117, 270, 271, 438, 272, 280, 241, 282, 425),
}
_SOCKET: Final = {"x86_64": 41, "aarch64": 198}
_AUDIT: Final = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_OTHER_NUMBERS: Final = 0x40000000
"""From here on another table of calls begins on x86-64."""


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


def knows_calls() -> bool:
    """Whether the calls of this processor are known here."""
    return platform.machine() in _REFUSED


def refuse_calls() -> bool:
    """Have the kernel refuse these calls to this process and all that it starts.

    Returns:
        Whether it does: not on a processor whose calls are not known here, nor a kernel without filters.
    """
    if not knows_calls():
        return False
    steps = _steps(platform.machine())
    packed = b"".join(struct.pack("<HBBI", *step) for step in steps)
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    program = _Program(len(steps), packed)
    return libc.prctl(_PR_SET_SECCOMP, _FILTER, ctypes.byref(program), 0, 0) == 0


def _steps(machine: str) -> Sequence[tuple[int, int, int, int]]:
    """The filter: each step an operation, how many to skip where it holds and where not, and what it compares with."""
    refused = _REFUSED[machine]
    # Behind the list: the check of a socket's family, the two answers.
    checks: list[tuple[int, int, int, int]] = []
    for place, number in enumerate(refused):
        checks.append((_IS, len(refused) - place + 3, 0, number))
    return (
        (_LOAD, 0, 0, _ARCHITECTURE),
        (_IS, 0, len(refused) + 6, _AUDIT[machine]),
        (_LOAD, 0, 0, _NUMBER),
        (_IS_AT_LEAST, len(refused) + 4, 0, _OTHER_NUMBERS),
        *checks,
        (_IS, 0, 2, _SOCKET[machine]),
        (_LOAD, 0, 0, _FIRST_ARGUMENT),
        (_IS, 0, 1, _AF_UNIX),
        (_RETURN, 0, 0, _ALLOW),
        (_RETURN, 0, 0, _REFUSE),
    )
