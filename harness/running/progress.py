"""Progress of a run: a live bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from typing import Final, Protocol, final

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

_EVERY_S: Final = 10.0


def by_status(statuses: Mapping[str, int]) -> str:
    """How cells ended: those that are ok, then every other status met by its count, as in "3 ok, 1 over-budget"."""
    others = (f"{count} {status}" for status, count in sorted(statuses.items()) if status != "ok" and count)
    return ", ".join([f"{statuses.get('ok', 0)} ok", *others])


class Reporter(Protocol):
    """What a run tells while it goes on."""

    def phase(self, text: str) -> None:
        """Something other than a cell has begun."""
        ...

    def begin(self, total: int) -> None:
        """The number of cells to run is known."""
        ...

    def running(self, cell: str, matvecs: int, budget: int) -> None:
        """A cell is at work and has spent so many products."""
        ...

    def finished(self, cell: str, status: str, failed: bool) -> None:
        """A cell has ended."""
        ...

    def close(self) -> None:
        """Nothing more comes."""
        ...


@final
class Silent:
    """Tells nothing."""

    def phase(self, text: str) -> None:
        """Tell nothing."""

    def begin(self, total: int) -> None:
        """Tell nothing."""

    def running(self, cell: str, matvecs: int, budget: int) -> None:
        """Tell nothing."""

    def finished(self, cell: str, status: str, failed: bool) -> None:
        """Tell nothing."""

    def close(self) -> None:
        """Tell nothing."""


@final
class Bar:
    """A live bar: cells by how they ended, the time that remains, and the products of the cell at work."""

    def __init__(self, console: Console) -> None:
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[ended]}", markup=False),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[cell]}", markup=False),
            console=console,
        )
        self._task = self._progress.add_task("preparing", total=None, ended="", cell="")
        self._statuses = Counter[str]()
        self._progress.start()

    def phase(self, text: str) -> None:
        """Show what is being prepared."""
        self._progress.update(self._task, description="", cell=text)

    def begin(self, total: int) -> None:
        """Start the count."""
        self._progress.reset(self._task, total=total, description="cells", ended=by_status(self._statuses), cell="")

    def running(self, cell: str, matvecs: int, budget: int) -> None:
        """Show the products spent."""
        self._progress.update(self._task, cell=f"{cell}  {matvecs}/{budget} products")

    def finished(self, cell: str, status: str, failed: bool) -> None:
        """Count one cell."""
        del cell, failed
        self._statuses[_short(status)] += 1
        self._progress.update(self._task, advance=1, ended=by_status(self._statuses))

    def close(self) -> None:
        """Leave the bar as it is."""
        self._progress.stop()


@final
class Lines:
    """Plain lines: every failure, and how far the run is, at most every ten seconds."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._total = self._done = 0
        self._statuses = Counter[str]()
        self._start = self._last = time.monotonic()

    def phase(self, text: str) -> None:
        """Say what is being prepared."""
        self._say(text)

    def begin(self, total: int) -> None:
        """Say how many cells there are."""
        self._total = total
        self._start = self._last = time.monotonic()
        self._say(f"{total} cells to run")

    def running(self, cell: str, matvecs: int, budget: int) -> None:
        """Say how far a long cell is."""
        if time.monotonic() - self._last > _EVERY_S:
            self._last = time.monotonic()
            self._say(f"{self._state()}, at {cell}: {matvecs} of {budget} products")

    def finished(self, cell: str, status: str, failed: bool) -> None:
        """Count one cell."""
        self._done += 1
        self._statuses[_short(status)] += 1
        if failed:
            self._say(f"{cell}: {status}")
        if self._done == self._total or time.monotonic() - self._last > _EVERY_S:
            self._last = time.monotonic()
            self._say(self._state())

    def close(self) -> None:
        """Nothing to undo."""

    def _state(self) -> str:
        elapsed = time.monotonic() - self._start
        left = elapsed / max(self._done, 1) * (self._total - self._done)
        ended = by_status(self._statuses)
        return f"{self._done} of {self._total} cells done, {ended}, about {left:.0f} s left"

    def _say(self, text: str) -> None:
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)


def _short(status: str) -> str:
    """The status in "status: reason"."""
    return status.partition(":")[0]


def reporter(console: Console) -> Reporter:
    """A bar on a terminal, lines elsewhere."""
    return Bar(console) if console.is_terminal else Lines(console)
