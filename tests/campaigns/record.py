"""Whether the record survives: kills, runs at once, damage, failing writes and odd input: `record.py --help`.

Trials of the lines take turns until each has its number or the time is up. Every trial has a seed of its own, printed
where it fails; `--line L --first SEED --count 1` repeats it. A trial that does not end in its time is a failure too.
"""

import argparse
import faulthandler
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from record_attacks import damage, processes, text, writing
from record_attacks.place import Place

TRIAL_S = 240


@dataclass(frozen=True)
class Line:
    """One kind of attack.

    Attributes:
        attack: One trial, in a folder that does not exist yet.
        trials: How many are asked for by default.
        examples: Examples in one of them.
        limit_s: Seconds after which one counts as hung.
    """

    attack: Callable[[Place, random.Random, Path], None]
    trials: int
    examples: int = 1
    limit_s: int = TRIAL_S


LINES = {
    "kills": Line(processes.kills, 100),
    "runs at once": Line(processes.at_once, 20),
    "left behind": Line(processes.left_behind, 30),
    "hostile methods": Line(processes.every_hostile, 1, limit_s=900),
    "six hostile methods": Line(processes.some_hostile, 10),
    "full disk": Line(writing.full_disk, 20),
    "failing run": Line(writing.failing_run, 60),
    "failing writer": Line(writing.failing_writer, 3000),
    "cuts": Line(damage.cuts, 3000),
    "ledger bytes": Line(damage.ledger_bytes, 3000),
    "archives": Line(damage.archives, 3000),
    "sealed weights": Line(damage.sealed_weights, 3000),
    "weight files": Line(damage.weight_files, 3000),
    "data files": Line(damage.data_files, 3000),
    "rows": Line(text.rows, 100, text.BATCH),
    "specs": Line(text.specs, 2000, text.BATCH),
    "suites": Line(text.suites, 400, text.BATCH),
    "messages": Line(text.messages, 400, text.BATCH),
    "command lines": Line(text.command_lines, 100, text.LINES_OF_A_TRIAL),
}


class HungError(BaseException):
    """No `Exception`: what is under attack must not take it for a failure of its own."""


def hung(number: int, frame: FrameType | None) -> None:
    raise HungError("it did not end in its time")


def tried(line: Line, place: Place, seed: str, out: Path) -> str:
    """One trial; what went wrong, or nothing."""
    # Code that never comes back to Python is ended from below, with the place where it hangs.
    faulthandler.dump_traceback_later(2 * line.limit_s, exit=True)
    signal.alarm(line.limit_s)
    try:
        line.attack(place, random.Random(seed), out)
    except (Exception, HungError) as failure:  # noqa: BLE001 -- whatever comes out of a trial is what it found
        return f"{type(failure).__name__}: {str(failure)[:700]}"
    finally:
        signal.alarm(0)
        faulthandler.cancel_dump_traceback_later()
        place.end_all()
        shutil.rmtree(out, ignore_errors=True)
    return ""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--seconds", type=float, default=1200, help="no trial begins later, but for the first of each line"
    )
    parser.add_argument("--count", type=int, help="trials of each line, in place of its own number")
    parser.add_argument("--first", type=int, default=0, help="seed of the first trial of each line")
    parser.add_argument("--line", choices=LINES, action="append", help="this line only; may be given more than once")
    asked = parser.parse_args()
    signal.signal(signal.SIGALRM, hung)
    begin = time.monotonic()
    begun: Counter[str] = Counter()
    failed: Counter[str] = Counter()
    left = {name: asked.count or LINES[name].trials for name in asked.line or LINES}
    wanted = list(left)
    spent = dict.fromkeys(left, 0.0)
    with tempfile.TemporaryDirectory(prefix="record-") as root:
        place = Place(Path(root))
        while left and (time.monotonic() - begin < asked.seconds or any(not begun[name] for name in wanted)):
            # The line that has had the least time is next, so that none is starved.
            name = min(left, key=lambda line: (begun[line] > 0, spent[line]))
            seed, start = asked.first + begun[name], time.monotonic()
            wrong = tried(LINES[name], place, f"{name} {seed}", Path(root) / "trial")
            begun[name] += 1
            if wrong:
                failed[name] += 1
                print(f"{name}, seed {seed}: {wrong}", flush=True)
            spent[name] += time.monotonic() - start
            left[name] -= 1
            left = {name: number for name, number in left.items() if number}
    for name in wanted:
        examples = begun[name] * LINES[name].examples
        print(f"{name}: {examples} tried, {examples - failed[name]} survived, {spent[name]:.0f} s")
    print(f"{time.monotonic() - begin:.0f} s")
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
