"""Progress of a run: a live bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Final, Protocol, final

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

_EVERY_S: Final = 10.0


def by_status(statuses: Mapping[str, int]) -> str:
    """How cells ended: those that are ok, then every other status met by its count, as in "3 ok, 1 over-budget"."""
    others = (f"{count} {status}" for status, count in sorted(statuses.items()) if status != "ok" and count)
    return ", ".join([f"{statuses.get('ok', 0)} ok", *others])


def duration(seconds: float) -> str:
    """A time as people say it: 37 s, 6.5 min, 2.1 h."""
    if seconds < 99.5:
        return f"{seconds:.0f} s"
    if seconds < 99.5 * 60:
        return f"{seconds / 60:.1f} min" if seconds < 600 else f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


def time_left(seconds: float | None) -> str:
    """What is left of a run."""
    return "time left not known yet" if seconds is None else f"about {duration(seconds)} left"


def of_reference(what: str, done: float, elapsed_s: float) -> str:
    """How far a reference is, as in "references: trace of mlp, 40 %, about 20 s left"."""
    if done <= 0:
        return f"references: {what}, {duration(elapsed_s)} so far"
    return f"references: {what}, {100 * done:.0f} %, {time_left(elapsed_s * (1 - done) / done)}"


class Reporter(Protocol):
    """What a run tells while it goes on."""

    def phase(self, text: str) -> None:
        """Something other than a cell has begun."""
        ...

    def reference(self, what: str, done: float, elapsed_s: float) -> None:
        """A reference is at work: which, the part done, and the seconds since it began."""
        ...

    def begin(self, total: int) -> None:
        """The number of cells to run is known."""
        ...

    def left(self, seconds: float | None) -> None:
        """The cells to run take so long; None where nothing says so yet."""
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


class Silent:
    """Tells nothing."""

    def phase(self, text: str) -> None:
        """Tell nothing."""

    def reference(self, what: str, done: float, elapsed_s: float) -> None:
        """Tell nothing."""

    def begin(self, total: int) -> None:
        """Tell nothing."""

    def left(self, seconds: float | None) -> None:
        """Tell nothing."""

    def running(self, cell: str, matvecs: int, budget: int) -> None:
        """Tell nothing."""

    def finished(self, cell: str, status: str, failed: bool) -> None:
        """Tell nothing."""

    def close(self) -> None:
        """Tell nothing."""


@final
class Bar:
    """A live bar: cells by how they ended, the time that went and that remains, and the products of the cell at work.

    Above it, a line for every cell that failed, with the reason.
    """

    def __init__(self, console: Console) -> None:
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[ended]}", markup=False),
            TimeElapsedColumn(),
            TextColumn("so far{task.fields[left]}", markup=False),
            TextColumn("{task.fields[cell]}", markup=False),
            console=console,
        )
        self._task = self._progress.add_task("preparing", total=None, ended="", left="", cell="")
        self._statuses = Counter[str]()
        self._progress.start()

    def phase(self, text: str) -> None:
        """Show what is being prepared."""
        self._progress.update(self._task, description="", left="", cell=text)

    def reference(self, what: str, done: float, elapsed_s: float) -> None:
        """Show how far a reference is."""
        self._progress.update(self._task, description="", left="", cell=of_reference(what, done, elapsed_s))

    def begin(self, total: int) -> None:
        """Start the count."""
        self._progress.reset(
            self._task, total=total, description="cells", ended=by_status(self._statuses), left="", cell=""
        )

    def left(self, seconds: float | None) -> None:
        """Show what is left."""
        self._progress.update(self._task, left=f", {time_left(seconds)}")

    def running(self, cell: str, matvecs: int, budget: int) -> None:
        """Show the products spent."""
        self._progress.update(self._task, cell=f"{cell}  {matvecs}/{budget} products")

    def finished(self, cell: str, status: str, failed: bool) -> None:
        """Count one cell, and say why it failed."""
        self._statuses[_short(status)] += 1
        if failed:
            self._progress.console.print(f"{cell}: {status}", markup=False, highlight=False, soft_wrap=True)
        self._progress.update(self._task, advance=1, ended=by_status(self._statuses))
        if self._progress.finished:
            self._progress.update(self._task, left="", cell="")

    def close(self) -> None:
        """Leave the bar as it is."""
        self._progress.stop()


class ProgressState:
    """How far a run is, as one line of text."""

    def __init__(self) -> None:
        self.total = self.done = 0
        self.statuses = Counter[str]()
        self.start = time.monotonic()
        self.left: float | None = None

    def begin(self, total: int) -> None:
        """Start the count."""
        self.total = total
        self.start = time.monotonic()

    def count(self, status: str) -> None:
        """Count one cell."""
        self.done += 1
        self.statuses[_short(status)] += 1

    @property
    def text(self) -> str:
        """The line."""
        elapsed = duration(time.monotonic() - self.start)
        ended = f"{self.done} of {self.total} cells done, {by_status(self.statuses)}"
        if self.done >= self.total:
            return f"{ended}, in {elapsed}"
        return f"{ended}, {elapsed} so far, {time_left(self.left)}"


@final
class Lines:
    """Plain lines: every failure, and how far the run is, at most every ten seconds.

    Args:
        console: Where they go.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._state = ProgressState()
        self._last = time.monotonic()

    def phase(self, text: str) -> None:
        """Say what is being prepared."""
        self._last = time.monotonic()
        self._say(text)

    def reference(self, what: str, done: float, elapsed_s: float) -> None:
        """Say how far a reference is."""
        self._say_now_and_then(lambda: of_reference(what, done, elapsed_s))

    def begin(self, total: int) -> None:
        """Say how many cells there are."""
        self._state.begin(total)
        self._last = time.monotonic()
        self._say(f"{total} cells to run")

    def left(self, seconds: float | None) -> None:
        """Remember what is left, for the next line."""
        self._state.left = seconds

    def running(self, cell: str, matvecs: int, budget: int) -> None:
        """Say how far a long cell is."""
        self._say_now_and_then(lambda: f"{self._state.text}, at {cell}: {matvecs} of {budget} products")

    def finished(self, cell: str, status: str, failed: bool) -> None:
        """Count one cell."""
        self._state.count(status)
        if failed:
            self._say(f"{cell}: {status}")
        if self._state.done == self._state.total:
            self._last = time.monotonic()
            self._say(self._state.text)
        else:
            self._say_now_and_then(lambda: self._state.text)

    def close(self) -> None:
        """Nothing to undo."""

    def _say_now_and_then(self, text: Callable[[], str]) -> None:
        if time.monotonic() - self._last > _EVERY_S:
            self._last = time.monotonic()
            self._say(text())

    def _say(self, text: str) -> None:
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)


def _short(status: str) -> str:
    """The status in "status: reason"."""
    return status.partition(":")[0]


def reporter(console: Console) -> Reporter:
    """A bar on a terminal, lines elsewhere."""
    return Bar(console) if console.is_terminal else Lines(console)
