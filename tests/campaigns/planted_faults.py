"""Plant faults in a copy of this tree, one at a time, and see which the tests catch: planted_faults.py --help.

    OMP_NUM_THREADS=1 nice python tests/campaigns/planted_faults.py --output faults.csv

A fault meets the fast tests that name its module, or whose path mirrors it, a few files at a time; where none does,
those nearest by imports, and the conformance tests. What survives meets the rest of the fast suite, nearest files
first, until all are run or the time is up. The tests that caught something are then run without any fault, and those
that fail so have caught nothing. The table is written after every verdict; run again, the campaign goes on from there.
With --before the table of another tree is held against this one.
"""

from __future__ import annotations

import argparse
import csv
import os
import queue
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

from faults import FAULTS, Fault
from nearest_tests import Imports, ordered, sources
from tree_copy import ROOT, Copy, copied

CAUGHT, SURVIVED, TIMEOUT = "caught", "survived", "out of time"
FIRST, CHUNK = 3, 8
PYTEST = (
    "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "--benchmark-disable", "-m", "not slow", "-rfE", "--tb=no",
)  # fmt: skip
FAILED = re.compile(r"^(?:FAILED|ERROR) ([^\s\[]+(?:\[.*?\](?= - |$))?)(?: - .*)?$", re.MULTILINE)


@dataclass(frozen=True)
class Verdict:
    """What became of a fault: `ran` of `total` test files, `broken` tests that fail without it as well.

    `confirmed` where the test that caught it was seen to pass without it.
    """

    fault: str
    file: str
    outcome: str
    caught_by: str = ""
    ran: int = 0
    total: int = 0
    seconds: float = 0.0
    broken: str = ""
    confirmed: str = ""

    @property
    def folder(self) -> str:
        return str(Path(self.file).parent) if self.file else ""


def placed(faults: Iterable[Fault]) -> dict[str, tuple[Fault, str]]:
    """By name the spelling of each fault that stands in the tree once, and its module, or "" where none does."""
    texts = {name: path.read_text(encoding="utf-8") for name, path in sources().items()}
    found: dict[str, tuple[Fault, str]] = {}
    for fault in faults:
        hits = {name: count for name, text in texts.items() if (count := text.count(fault.snippet))}
        module = next(iter(hits)) if sum(hits.values()) == 1 else ""
        if module or fault.name not in found:
            found[fault.name] = fault, module
    return found


def pytest(copy: Copy, targets: Iterable[str], limit_s: float, *more: str) -> list[str] | None:
    """Tests that fail among the targets, one where the run ends with the first; None where the time is up."""
    # A file and not a pipe: what a test has left behind may hold it open for long.
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as output:
        process = subprocess.Popen(
            [sys.executable, *PYTEST, *more, *targets],
            cwd=copy.tree, env=copy.environment, start_new_session=True,
            stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
        )  # fmt: skip
        try:
            process.wait(limit_s)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            return None
        output.seek(0)
        said = output.read()
    if process.returncode in (0, 5):
        return []
    return FAILED.findall(said) or [f"pytest ended with {process.returncode}: {said.strip()[-200:]}"]


def planted(copy: Copy, fault: Fault, file: Path, number: int, run: Callable[[], list[str] | None]) -> list[str] | None:
    """Run something while a fault stands in the copy."""
    path = copy.tree / file
    whole, stamp = path.read_text(encoding="utf-8"), int(path.stat().st_mtime)
    path.write_text(whole.replace(fault.snippet, fault.replacement), encoding="utf-8")
    # Byte code is told by the second and the size of its source: every fault gets a second of its own.
    os.utime(path, (stamp + 1 + number, stamp + 1 + number))
    try:
        return run()
    finally:
        path.write_text(whole, encoding="utf-8")
        os.utime(path, (stamp, stamp))


def read(path: Path) -> dict[str, Verdict]:
    """The verdicts of a table, by fault."""
    if not path.is_file():
        return {}
    with path.open(encoding="utf-8", newline="") as file:
        rows = [{f.name: row[f.name] for f in fields(Verdict)} for row in csv.DictReader(file)]
    return {
        row["fault"]: Verdict(**{**row, "ran": int(row["ran"]), "total": int(row["total"]),
                                 "seconds": float(row["seconds"])})
        for row in rows
    }  # fmt: skip


def write(path: Path, table: Mapping[str, Verdict]) -> None:
    """Write the table whole."""
    partial = path.with_name(f".{path.name}.partial")
    with partial.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, ["folder", *(f.name for f in fields(Verdict))])
        writer.writeheader()
        writer.writerows({"folder": verdict.folder, **asdict(verdict)} for verdict in table.values())
    partial.replace(path)


class Campaign:
    """Faults, their tests and the table, shared by the copies at work."""

    def __init__(self, faults: list[Fault], output: Path, end: float, limit_s: float, *, own_only: bool) -> None:
        self._output, self._end, self._limit_s, self._own_only = output, end, limit_s, own_only
        self._lock = threading.Lock()
        self.table = read(output)
        imports = Imports()
        self._faults: dict[str, tuple[int, Fault, Path, list[str], int]] = {}
        for number, (name, (fault, module)) in enumerate(placed(faults).items()):
            if module:
                file = imports.modules[module].relative_to(ROOT)
                self._faults[name] = number, fault, file, *ordered(imports, module)
            else:
                self.table[name] = Verdict(name, "", "not found once")
        self.names = list(self._faults)

    def step(self, copies: queue.Queue[Copy], name: str) -> None:
        """Hold a fault against the next files of its list, and write what came of it."""
        number, fault, file, files, own = self._faults[name]
        known = self.table.get(name)
        if known is None or not known.file:
            known = Verdict(name, str(file), SURVIVED, total=len(files))
        # A few at a time, so that every fault has met its nearest tests before one meets far ones.
        stop = min(known.ran + (CHUNK if known.ran else FIRST), own if known.ran < own else len(files))
        if time.monotonic() > self._end or known.outcome != SURVIVED or known.ran >= len(files):
            return
        copy, begin = copies.get(), time.monotonic()
        limit_s = min(self._limit_s, max(self._end - begin, 30.0))
        targets = files[known.ran : stop]
        leave_out = [f"--deselect={test}" for test in known.broken.splitlines()]
        try:
            failed = planted(copy, fault, file, number, lambda: pytest(copy, targets, limit_s, *leave_out))
        finally:
            copies.put(copy)
        if failed is None and time.monotonic() > self._end:
            return
        outcome = TIMEOUT if failed is None else CAUGHT if failed else SURVIVED
        seconds = round(known.seconds + time.monotonic() - begin, 1)
        ran = stop if outcome == SURVIVED else known.ran
        self._keep(
            replace(known, outcome=outcome, caught_by=(failed or [""])[0], ran=ran, total=len(files), seconds=seconds)
        )

    def confirm(self, copy: Copy) -> None:
        """Run the tests that caught something without any fault; what fails then has caught nothing."""
        doubted = [v for v in self.table.values() if v.outcome == CAUGHT and v.file and not v.confirmed]
        asked = sorted({verdict.caught_by for verdict in doubted if ".py" in verdict.caught_by})
        failed = pytest(copy, asked, self._limit_s, "--maxfail=10000") if asked else []
        if failed is None or any(".py" not in test for test in failed):
            return
        for verdict in doubted:
            if verdict.caught_by in failed:
                broken = f"{verdict.broken}\n{verdict.caught_by}".strip()
                self._keep(replace(verdict, outcome=SURVIVED, caught_by="", broken=broken))
            elif verdict.caught_by in asked:
                self.table[verdict.fault] = replace(verdict, confirmed="yes")
        write(self._output, self.table)

    def _keep(self, verdict: Verdict) -> None:
        with self._lock:
            self.table[verdict.fault] = verdict
            write(self._output, self.table)
        print(
            f"{verdict.fault}: {verdict.outcome} {verdict.caught_by} "
            f"({verdict.ran} of {verdict.total} files, {verdict.seconds:.0f} s)",
            flush=True,
        )

    def rounds(self) -> Iterator[list[str]]:
        """All faults, then what survived, until every file is run or the time is up."""
        yield [name for name in self.names if name not in self.table or not self.table[name].file]
        while time.monotonic() < self._end:
            left = [v.fault for v in self.table.values() if v.outcome == SURVIVED and v.fault in self.names]
            left = [name for name in left if self.table[name].ran < self._most(name)]
            if not left:
                return
            yield sorted(left, key=lambda name: self.table[name].ran)

    def _most(self, name: str) -> int:
        _, _, _, files, own = self._faults[name]
        return own if self._own_only else len(files)


def report(table: Mapping[str, Verdict], before: Mapping[str, Verdict]) -> None:
    """Print counts by folder, survivors, and what another tree caught and this one does not."""
    counts = Counter((verdict.folder, verdict.outcome) for verdict in table.values())
    for folder in sorted({folder for folder, _ in counts}):
        print(f"{folder or 'nowhere'}: {', '.join(f'{n} {o}' for (f, o), n in sorted(counts.items()) if f == folder)}")
    print("all:", ", ".join(f"{n} {outcome}" for outcome, n in Counter(v.outcome for v in table.values()).items()))
    for verdict in table.values():
        if verdict.outcome != CAUGHT:
            print(f"{verdict.outcome}: {verdict.fault} in {verdict.file} ({verdict.ran} of {verdict.total} files)")
    for name, verdict in before.items():
        if verdict.outcome == CAUGHT and (name not in table or table[name].outcome != CAUGHT):
            print(f"caught before and not now: {name}, by {verdict.caught_by}")


def main() -> None:
    """Run the campaign."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--list", action="store_true", help="print every fault with its file and own tests, run nothing"
    )
    parser.add_argument("--only", action="append", metavar="NAME", help="these faults")
    parser.add_argument("--survivors-only", type=Path, metavar="FILE", help="the faults that survived in this table")
    parser.add_argument("--before", type=Path, metavar="FILE", help="a table of another tree to compare with")
    parser.add_argument("--own-only", action="store_true", help="leave out the rest of the suite for survivors")
    parser.add_argument("--jobs", type=int, default=1, help="copies of the tree at work at once")
    parser.add_argument("--minutes", type=float, default=120.0)
    parser.add_argument("--limit", type=float, default=900.0, help="seconds of one run of tests")
    parser.add_argument("--output", type=Path, default=Path("faults.csv"))
    asked = parser.parse_args()
    end = time.monotonic() + 60 * asked.minutes
    chosen = [fault for fault in FAULTS if not asked.only or fault.name in asked.only]
    if asked.survivors_only:
        survivors = {verdict.fault for verdict in read(asked.survivors_only).values() if verdict.outcome == SURVIVED}
        chosen = [fault for fault in chosen if fault.name in survivors]
    if asked.list:
        imports = Imports()
        for name, (_, module) in placed(chosen).items():
            files, own = ordered(imports, module) if module else ([], 0)
            print(f"{name}: {module or 'not found once'}: {' '.join(files[:own])}")
        return
    campaign = Campaign(chosen, asked.output, end, asked.limit, own_only=asked.own_only)
    with tempfile.TemporaryDirectory(prefix="faults-") as folder, ThreadPoolExecutor(asked.jobs) as pool:
        copies: queue.Queue[Copy] = queue.Queue()
        for number in range(asked.jobs):
            copies.put(copied(Path(folder) / str(number)))
        for names in campaign.rounds():
            list(pool.map(lambda name: campaign.step(copies, name), names))
            campaign.confirm(copies.queue[0])
    report(campaign.table, read(asked.before) if asked.before else {})


if __name__ == "__main__":
    main()
