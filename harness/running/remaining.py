"""How long a run still takes: cells weighed by their work, at the pace that cells like them were seen to keep."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final, TypeAlias, final

from hessbench.cells.cell import MEMORY, Cell
from hessbench.running.plan import PlannedCell

Weigh: TypeAlias = Callable[[PlannedCell], float]
"""Work of a cell, in any unit: seconds, where they are known."""

_Like: TypeAlias = tuple[str, str]

_MEMORY_S: Final = 0.4
"""Seconds of such a cell beside its runs, while none has been seen; measured on the suite `quick`."""


@dataclass
class _Pace:
    """Seconds of cells of one kind, as a straight line over their weight."""

    count: int = 0
    weight: float = 0.0
    seconds: float = 0.0
    squares: float = 0.0
    mixed: float = 0.0

    def add(self, weight: float, seconds: float) -> None:
        self.count += 1
        self.weight += weight
        self.seconds += seconds
        self.squares += weight * weight
        self.mixed += weight * seconds

    def of(self, weight: float) -> float:
        """Seconds of a cell of this weight: what every cell takes, such as its build, and what its work takes."""
        spread = self.squares - self.weight**2 / self.count
        slope = 0.0
        if spread > 1e-9 * self.squares:
            slope = max(0.0, (self.mixed - self.weight * self.seconds / self.count) / spread)
        fixed = (self.seconds - slope * self.weight) / self.count
        if fixed < 0 or slope == 0:
            return self.seconds / self.weight * weight if self.weight else self.seconds / self.count
        return fixed + slope * weight


@final
class Remaining:
    """Seconds left of a run.

    Args:
        cells: Those to run.
        weigh: Work of each.
        jobs: Cells at once.
    """

    def __init__(self, cells: Iterable[PlannedCell], weigh: Weigh, jobs: int = 1) -> None:
        self._jobs = jobs
        self._waiting = {planned.cell.id: (_like(planned.cell), max(weigh(planned), 0.0)) for planned in cells}
        self._paces: dict[_Like, _Pace] = {}
        self._running: dict[str, tuple[float, float]] = {}

    def at(self, cell: Cell, matvecs: int) -> None:
        """A cell is at work and has spent so many products."""
        begun = self._running.get(cell.id, (time.monotonic(), 0.0))[0]
        self._running[cell.id] = begun, min(matvecs / cell.budget, 1.0)

    def ended(self, cell: Cell, seconds: float) -> None:
        """A cell has ended after so long."""
        like, weight = self._waiting.pop(cell.id, (_like(cell), 0.0))
        self._running.pop(cell.id, None)
        self._paces.setdefault(like, _Pace()).add(weight, seconds)

    def dropped(self, cell: Cell) -> None:
        """A cell need not run."""
        self._waiting.pop(cell.id, None)

    @property
    def seconds(self) -> float | None:
        """Seconds left; None while nothing says how fast cells are."""
        paces = dict(self._paces)
        spent: dict[str, float] = {}
        for cell, (begun, done) in self._running.items():
            spent[cell] = time.monotonic() - begun
            like, weight = self._waiting[cell]
            if like not in paces and done > 0:
                paces[like] = _Pace()
                paces[like].add(weight, spent[cell] / done)
        if not paces:
            return None if self._waiting else 0.0
        left = 0.0
        for cell, (like, weight) in self._waiting.items():
            expected = _seconds(paces, like, weight)
            if cell in spent:
                done = self._running[cell][1]
                # One that takes longer than those like it is judged by itself.
                late = spent[cell] > expected and done > 0
                expected = spent[cell] * (1 / done - 1) if late else max(expected - spent[cell], 0.0)
            left += expected
        return left / min(self._jobs, max(len(self._waiting), 1))


def _like(cell: Cell) -> _Like:
    return cell.problem, cell.pass_


def _seconds(paces: dict[_Like, _Pace], like: _Like, weight: float) -> float:
    """Seconds of a cell: at the pace of those of its problem and pass, of its problem, or of all."""
    if like in paces:
        return paces[like].of(weight)
    other = next((pace for (problem, _), pace in paces.items() if problem == like[0]), None)
    if other is not None:
        return other.of(weight) + (_MEMORY_S if like[1] == MEMORY else 0.0)
    whole = sum(pace.weight for pace in paces.values())
    seconds = sum(pace.seconds for pace in paces.values())
    each = seconds / sum(pace.count for pace in paces.values())
    return seconds / whole * weight if whole else each
