"""Memory of a cell: what its operator keeps, and the peak around its run."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import os
from pathlib import Path
from typing import Final, final

import torch

from hessbench.clock import wait_for

_STATUS: Final = Path("/proc/self/status")
_PROCESSES: Final = Path("/proc")


@final
class KeptMeter:
    """Bytes that were made since it was, and are alive: of the C library's heap, or of the allocator of the device.

    The heap is asked what it has handed out, so that pages of libraries that a build is the first to touch count
    nothing, and neither does memory that was freed and not given back.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._begin = _handed_out(device)

    def kept_bytes(self) -> int | None:
        """Bytes alive now; None where the platform cannot say."""
        # Graphs may be held by circles of references, which only a collection frees.
        gc.collect()
        wait_for(self._device)
        now = _handed_out(self._device)
        return None if now is None or self._begin is None else max(now - self._begin, 0)


@final
class PeakMeter:
    """Peaks above the state at `start`: resident host memory from the kernel, device memory from the allocator.

    The kernel's high-water mark is reset by writing 5 to `clear_refs`; `ru_maxrss` would inherit the parent's.

    Args:
        device: Where the operator lives.
        method: Process of a sealed method, whose peak is added to that of this one.
    """

    def __init__(self, device: torch.device, method: int | None = None) -> None:
        self._device = device
        # Opened at once: a process that hides its memory may not open its own any more.
        self._processes = [_Process("self"), *([] if method is None else [_Process(str(method))])]
        self._on_device = 0
        self.notes: dict[str, str] = {}

    def start(self) -> None:
        """Give free memory back and take the base lines."""
        gc.collect()
        if self._device.type == "cuda":
            wait_for(self._device)
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats(self._device)
            self._on_device = torch.cuda.memory_allocated(self._device)
        trim_heap()
        are_reset = [process.start() for process in self._processes]
        if not all(are_reset):
            self.notes["host_peak_bytes"] = "this platform does not let a process reset its high-water mark"
        elif len(self._processes) > 1:
            self.notes["host_peak_bytes"] = (
                "the peaks of the method's process and the operator's, which may not coincide"
            )

    def host_peak(self) -> int | None:
        """Bytes of host memory above the base line at the peak; None where the platform cannot say."""
        peaks = [process.peak for process in self._processes]
        return None if None in peaks else sum(peak or 0 for peak in peaks)

    def device_peak(self) -> int | None:
        """Bytes of device memory above the base line at the peak; None without a device."""
        if self._device.type != "cuda":
            self.notes["device_peak_bytes"] = "the cell ran on the CPU"
            return None
        wait_for(self._device)
        return max(torch.cuda.max_memory_allocated(self._device) - self._on_device, 0)


@final
class _Process:
    """The resident memory of one process, by its id."""

    def __init__(self, pid: str) -> None:
        self._status = _PROCESSES / pid / "status"
        self._base: int | None = None
        self._file: int | None = None
        with contextlib.suppress(OSError):
            self._file = os.open(_PROCESSES / pid / "clear_refs", os.O_WRONLY | os.O_CLOEXEC)

    def start(self) -> bool:
        """Reset its high-water mark and take its base line; whether that is possible."""
        self._base = None
        if self._file is not None:
            with contextlib.suppress(OSError):
                os.write(self._file, b"5")
                self._base = _status_bytes("VmRSS", self._status)
        return self._base is not None and _status_bytes("VmHWM", self._status) is not None

    @property
    def peak(self) -> int | None:
        """Bytes above the base line at the peak; None where nobody can say."""
        with contextlib.suppress(OSError):
            peak = _status_bytes("VmHWM", self._status)
            return None if peak is None or self._base is None else max(peak - self._base, 0)
        return None

    def __del__(self) -> None:
        if self._file is not None:
            with contextlib.suppress(OSError):
                os.close(self._file)


def resident_bytes() -> int | None:
    """Host memory that this process holds now; None where the platform cannot say."""
    try:
        return _status_bytes("VmRSS")
    except OSError:
        return None


def file_bytes() -> int:
    """Memory of this process that is pages of files, most of them libraries that every process shares; 0 if unknown."""
    try:
        return _status_bytes("RssFile") or 0
    except OSError:
        return 0


class _HeapInfo(ctypes.Structure):
    """The `mallinfo2` of the C library."""

    _fields_ = tuple(
        (name, ctypes.c_size_t)
        for name in (
            "arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "uordblks", "fordblks", "keepcost"
        )
    )  # fmt: skip


def _handed_out(device: torch.device) -> int | None:
    """Bytes that the allocator has handed out and not got back; None where it does not say."""
    if device.type == "cuda":
        return torch.cuda.memory_allocated(device)
    ask = getattr(ctypes.CDLL(None), "mallinfo2", None)
    if ask is None:
        return None
    ask.restype = _HeapInfo
    found = ask()
    # On the heap, and in maps of their own.
    return int(found.uordblks) + int(found.hblkhd)


def _status_bytes(field: str, status: Path = _STATUS) -> int | None:
    for line in status.read_text(encoding="ascii", errors="replace").splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * 1024
    return None


def trim_heap() -> None:
    """Ask the C library to return free pages, where it can."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
