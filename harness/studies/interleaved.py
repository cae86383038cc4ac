"""Two checkouts timed in turns: every cell by the one and at once by the other, so that both meet the same load."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast, final

from hessbench.catalog import Catalog
from hessbench.cells.cell import TIME, Cell
from hessbench.reports.compare.seconds import TimedPair
from hessbench.running.plan import Conditions, plan
from hessbench.running.suite import Suite

_PARTS: Final = ("problems", "methods", "reports")


@dataclass(frozen=True)
class Turns:
    """What is timed.

    Attributes:
        old: Checkout to compare with.
        new: Checkout to judge.
        suite: Its cells, each method at its largest budget.
        conditions: Overrides of device, dtype and threads.
        rounds: Rounds that count; one more comes before them and is thrown away.
        plugins: Plugin files, known to both.
    """

    old: Path
    new: Path
    suite: Suite
    conditions: Conditions = dataclasses.field(default_factory=Conditions)
    rounds: int = 5
    plugins: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not 3 <= self.rounds <= 1000:
            raise ValueError(f"rounds must be from 3 to 1000, got {self.rounds}")
        for folder in (self.old, self.new):
            check_checkout(folder)


def check_checkout(folder: Path) -> None:
    """Refuse a folder that is no checkout of this package.

    Raises:
        ValueError: If a part of the package is missing in it.
    """
    for part in ("harness", *_PARTS):
        if not (folder / part / "__init__.py").is_file():
            raise ValueError(
                f"{folder.name or 'the folder'} is no checkout of hessbench: it has no {part}/; with --interleaved two "
                "checkouts are compared, each a folder with harness/, problems/, methods/ and reports/"
            )


def timed_in_turns(turns: Turns, catalog: Catalog, say: Callable[[str], None]) -> list[TimedPair]:
    """Time every cell by both checkouts, in turns, in processes of their own.

    Which of the two comes first alternates from cell to cell and from round to round.

    Args:
        turns: What is timed.
        catalog: Where this checkout looks the suite's names up.
        say: Told how it goes on.

    Returns:
        A pair for each cell and round; of one that did not end well, the statuses of its first turn.

    Raises:
        ValueError: If the suite is not accepted, or a checkout does not start.
    """
    cells = timed_cells(turns.suite, catalog, turns.conditions)
    found: list[TimedPair] = []
    failed: set[int] = set()
    with _side(turns.old, turns.plugins) as old, _side(turns.new, turns.plugins) as new:
        for turn in range(turns.rounds + 1):
            say(f"round {turn} of {turns.rounds}" if turn else f"{len(cells)} cells once, off the record")
            for number, cell in enumerate(cells):
                if number in failed:
                    continue
                asked = dataclasses.replace(cell, repeat=max(turn - 1, 0))
                if (turn + number) % 2:
                    now, was = new.run(asked), old.run(asked)
                else:
                    was, now = old.run(asked), new.run(asked)
                pair = _pair(asked, turn, was, now)
                if not pair.is_timed:
                    failed.add(number)
                if turn or not pair.is_timed:
                    found.append(pair)
    return found


def timed_cells(suite: Suite, catalog: Catalog, conditions: Conditions) -> list[Cell]:
    """The cells of a suite that are timed: of every problem, method and estimand the one of the largest budget."""
    largest: dict[tuple[str, str, str], Cell] = {}
    for planned in plan(suite, catalog, conditions):
        cell = planned.cell
        if planned.skip_reason or cell.pass_ != TIME:
            continue
        key = cell.problem, cell.method, cell.estimand
        if key not in largest or cell.budget > largest[key].budget:
            largest[key] = dataclasses.replace(cell, repeat=0)
    return [largest[key] for key in sorted(largest)]


@final
class _Side:
    """One checkout's process."""

    def __init__(self, process: subprocess.Popen[str], name: str) -> None:
        self._process = process
        self._name = name

    def run(self, cell: Cell) -> Mapping[str, Any]:
        """Run a cell once, as its turn.

        Raises:
            ValueError: If the process has ended.
        """
        asked, answers = self._process.stdin, self._process.stdout
        assert asked is not None
        assert answers is not None
        with contextlib.suppress(BrokenPipeError):
            asked.write(json.dumps(dataclasses.asdict(cell)) + "\n")
            asked.flush()
        return self.said(answers.readline())

    def said(self, line: str) -> Mapping[str, Any]:
        """What a line holds.

        Raises:
            ValueError: If there is none.
        """
        if not line:
            code = self._process.wait()
            raise ValueError(f"the process of the checkout {self._name} ended with exit code {code}; see what it says")
        return cast("Mapping[str, Any]", json.loads(line))


@contextlib.contextmanager
def _side(checkout: Path, plugins: Sequence[str]) -> Generator[_Side]:
    with tempfile.TemporaryDirectory(prefix="hessbench-") as folder:
        link_package(checkout, Path(folder))
        path = [folder, *filter(None, [os.environ.get("PYTHONPATH")])]
        script = Path(__file__).with_name("timed_cells.py")
        # Safe path: the script's own folder must not stand before the package.
        command = [sys.executable, "-P", str(script), *(str(Path(name).resolve()) for name in plugins)]
        with subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=folder,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(path)},
        ) as process:
            side = _Side(process, checkout.name)
            try:
                assert process.stdout is not None
                side.said(process.stdout.readline())
                yield side
            finally:
                process.kill()


def link_package(checkout: Path, folder: Path) -> None:
    """Make a checkout importable as `hessbench` from a folder, by links."""
    package = folder / "hessbench"
    package.mkdir()
    source = checkout.resolve()
    for entry in (source / "harness").iterdir():
        (package / entry.name).symlink_to(entry)
    for part in _PARTS:
        (package / part).symlink_to(source / part)


def _pair(cell: Cell, turn: int, was: Mapping[str, Any], now: Mapping[str, Any]) -> TimedPair:
    return TimedPair(
        problem=cell.problem,
        method=cell.method,
        estimand=cell.estimand,
        device=cell.device,
        dtype=cell.dtype,
        threads=cell.threads,
        turn=turn,
        status=(str(was["status"]), str(now["status"])),
        reason=(str(was["reason"]), str(now["reason"])),
        seconds=(float(was.get("seconds", 0.0)), float(now.get("seconds", 0.0))),
        cpu_s=(float(was.get("cpu_s", 0.0)), float(now.get("cpu_s", 0.0))),
        engine=(str(was.get("engine", "")), str(now.get("engine", ""))),
        operator_s=(float(was.get("operator_s", 0.0)), float(now.get("operator_s", 0.0))),
    )
