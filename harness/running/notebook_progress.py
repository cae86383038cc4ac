"""Progress where a function is evaluated: a line that a notebook replaces, a bar on a terminal, nothing elsewhere."""

from __future__ import annotations

import sys
import time
from importlib import import_module
from typing import Any, Final, final

from rich.console import Console

from hessbench.running.progress import Bar, ProgressState, Reporter, Silent, of_reference

_EVERY_S: Final = 0.5


@final
class ReplacedLine:
    """One line of text below a cell of a notebook, replaced as the run goes on; failures stay.

    Args:
        display: `IPython.display.display`.
    """

    def __init__(self, display: Any) -> None:
        self._display = display
        self._handle: Any = None
        self._state = ProgressState()
        self._last = 0.0

    def phase(self, text: str) -> None:
        """Say what is being prepared."""
        self._show(text)

    def reference(self, what: str, done: float, elapsed_s: float) -> None:
        """Say how far a reference is."""
        self._show(of_reference(what, done, elapsed_s), now_and_then=True)

    def begin(self, total: int) -> None:
        """Start the count."""
        self._state.begin(total)
        self._show(f"{total} cells to run")

    def left(self, seconds: float | None) -> None:
        """Remember what is left, for the next line."""
        self._state.left = seconds

    def running(self, cell: str, matvecs: int, budget: int) -> None:
        """Say how far the cell at work is."""
        self._show(f"{self._state.text}, at {cell}: {matvecs} of {budget} products", now_and_then=True)

    def finished(self, cell: str, status: str, failed: bool) -> None:
        """Count one cell, and say why it failed."""
        self._state.count(status)
        if failed:
            self._display(_Text(f"{cell}: {status}"))
        self._show(self._state.text, now_and_then=self._state.done < self._state.total)

    def close(self) -> None:
        """Leave the last line as it is."""

    def _show(self, text: str, *, now_and_then: bool = False) -> None:
        if now_and_then and time.monotonic() - self._last < _EVERY_S:
            return
        self._last = time.monotonic()
        if self._handle is None:
            self._handle = self._display(_Text(text), display_id=True)
        else:
            self._handle.update(_Text(text))


class _Text:
    """Text that a notebook shows as it is."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        return self._text


def reporter_here() -> Reporter:
    """What fits the place this process runs in: a notebook, a terminal, or neither."""
    if _is_notebook():
        return ReplacedLine(import_module("IPython.display").display)
    console = Console(stderr=True)
    return Bar(console) if console.is_terminal else Silent()


def _is_notebook() -> bool:
    """Whether this process is the kernel of a notebook, as IPython tells; it is not imported for that."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return shell is not None and hasattr(shell, "kernel")
