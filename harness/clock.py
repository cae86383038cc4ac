"""The one clock: a stopwatch, and the wait for a device without which its reading is not true."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import final

import torch


def wait_for(device: torch.device) -> None:
    """Wait for the device, so that a clock read next is true."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def seconds_a_call(run: Callable[[], object], device: torch.device, calls: int = 1) -> float:
    """Seconds of one call among `calls` in a row, the device waited for once at the end."""
    watch = Stopwatch()
    watch.start()
    for _ in range(calls):
        run()
    wait_for(device)
    return watch.seconds / calls


@final
class Stopwatch:
    """Seconds that passed while it was running."""

    def __init__(self) -> None:
        self._total = 0
        self._since: int | None = None

    def start(self) -> None:
        """Go on; nothing changes where it is running."""
        if self._since is None:
            self._since = time.perf_counter_ns()

    def pause(self) -> None:
        """Stop counting."""
        if self._since is not None:
            self._total += time.perf_counter_ns() - self._since
            self._since = None

    def forgo(self, nanoseconds: int) -> None:
        """Take out time that was not its own."""
        self._total -= nanoseconds

    @property
    def is_running(self) -> bool:
        """Whether it is counting."""
        return self._since is not None

    @property
    def seconds(self) -> float:
        """Seconds so far."""
        running = 0 if self._since is None else time.perf_counter_ns() - self._since
        return (self._total + running) * 1e-9
