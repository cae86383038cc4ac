"""How busy other work kept the processors while a cell ran."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass
from typing import Final, final

import psutil

from hessbench.ledger.environment import is_loaded

_LEAST_S: Final = 2.0
"""Seconds looked back over at least: processor time is counted in hundredths, of which a short cell has few."""
_LOOK_S: Final = 0.05
"""Seconds for which a look is good: the end of a cell is the beginning of the next."""
_SLACK: Final = 0.25
"""Processors that others may keep busy beside those a cell needs: what a system does by itself."""


@dataclass(frozen=True)
class _Look:
    at: float
    """Seconds of a clock that only goes forward."""
    busy: float
    """Processor seconds of all work of the machine so far."""
    own: float
    """Those of this process and of all that descends from it."""


@final
class OtherWork:
    """The share of the machine that is neither idle nor this process's or that of what descends from it.

    The load average holds a run's own threads too and a minute of the past: a run on all processors calls itself
    contended by it. Here the processor time of the machine is compared with that of the run, whose ended processes
    count with those that waited for them. Where the system does not keep that (elsewhere than on Linux), and at the
    first cells, the load average is asked.
    """

    def __init__(self) -> None:
        self._looks: deque[_Look] = deque()
        self.look()

    def look(self) -> None:
        """Note what has been used so far; to be called as a cell begins and ends."""
        if self._looks and time.monotonic() - self._looks[-1].at < _LOOK_S:
            return
        now = _look()
        if now is None:
            return
        self._looks.append(now)
        while len(self._looks) > 2 and now.at - self._looks[1].at >= _LEAST_S:
            self._looks.popleft()

    def leaves_too_little(self, threads: int, seconds: float) -> bool:
        """Whether others left fewer than `threads` processors free, by the latest look.

        Args:
            threads: Threads of what ran.
            seconds: How long it ran, up to the latest look; no less than two seconds are judged.
        """
        if not self._looks:
            return is_loaded(threads)
        last = self._looks[-1]
        first = next((it for it in reversed(self._looks) if last.at - it.at >= max(seconds, _LEAST_S)), self._looks[0])
        if last.at - first.at < _LEAST_S / 4:
            return is_loaded(threads)
        others = (last.busy - first.busy - (last.own - first.own)) / (last.at - first.at)
        return others + threads > (psutil.cpu_count() or 1) + _SLACK


def _look() -> _Look | None:
    """What has been used by now; None where a process does not know the time of its ended children."""
    if not psutil.LINUX:
        return None
    of_all = psutil.cpu_times()._asdict()
    # What guests of a virtual machine use stands in `user` and `nice` already.
    busy = sum(of_all[name] for name in ("user", "nice", "system", "irq", "softirq", "steal"))
    own = 0.0
    this = psutil.Process()
    for process in (this, *this.children(recursive=True)):
        try:
            times = process.cpu_times()
        except psutil.NoSuchProcess:
            continue  # its time is that of who waited for it by now, at the next look
        own += times.user + times.system + times.children_user + times.children_system
    return _Look(time.monotonic(), busy, own)
