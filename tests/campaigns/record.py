"""Whether the record survives: kills, runs at once, damage, a full disk and odd input: `record.py --help`.

Trials of the lines take turns until each has its number or the time is up. Every trial has a seed of its own, printed
where it fails; `--line L --first SEED --count 1` repeats it.
"""

import argparse
import json
import os
import random
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hessbench import Ledger, Suite
from hessbench.catalog import load_catalog
from hessbench.cells.messages import Checkpoint
from hessbench.estimand import parse_estimand
from hessbench.ledger.costs import Costs
from hessbench.ledger.reading import merge
from hessbench.ledger.stored_references import ReferenceStore
from hessbench.running.plan import plan
from hessbench.workers.messages import CellJob, Outcome
from hessbench.workers.wire import MESSAGES, Decoder, decode, encode, frame

WAIT_S = 300.0
CODES = (0, 1, 2, 130)
PLUGIN = """
import time
import numpy as np, torch
from pathlib import Path
from hessbench import Estimate, Method, Problem, Trace
def slow(op, /, *, num_matvecs, generator):
    total = 0.0
    for step in range(1, num_matvecs + 1):
        time.sleep(0.02)
        probe = torch.randn(op.dim, 1, generator=generator, dtype=op.dtype)
        total += float((probe * op.matmat(probe)).sum())
        yield Estimate(total / step)
METHODS = [Method("slow", slow, (Trace,))]
PROBLEMS = [Problem.of("tiny", np.diag(np.arange(1.0, 33.0)))]
"""
SUITE = """
name = "attack"
version = 1
[[cross]]
estimand = "trace"
problems = ["tiny"]
methods = ["slow", "hutchinson"]
num_matvecs = [4]
repeats = 3
memory = false
"""
CELLS = 6


def demand(holds: object, says: str) -> None:
    if not holds:
        raise AssertionError(says)


class Place:
    """A folder with the plugin, the suite, a cache of its own and one whole run to damage copies of."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.plugin, self.suite = root / "plug.py", root / "suite.toml"
        self.plugin.write_text(PLUGIN)
        self.suite.write_text(SUITE)
        self.environment = {**os.environ, "HESSBENCH_CACHE": str(root / "cache"), "OMP_NUM_THREADS": "1"}
        self.whole = root / "whole"
        self.call("run", str(self.suite), *self.run_arguments(self.whole))

    def run_arguments(self, out: Path) -> list[str]:
        return ["--plugin", str(self.plugin), "--out", str(out), "--no-prices"]

    def start(self, *arguments: str, limit: int | None = None) -> "subprocess.Popen[bytes]":
        def prepare() -> None:
            signal.signal(signal.SIGINT, signal.default_int_handler)
            if limit is not None:
                resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

        return subprocess.Popen(
            [sys.executable, "-m", "hessbench", *arguments], cwd=self.root, env=self.environment,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True, preexec_fn=prepare,
        )  # fmt: skip

    def end(self, process: "subprocess.Popen[bytes]") -> tuple[int, str]:
        try:
            said = process.communicate(timeout=WAIT_S)[1].decode(errors="replace")
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            raise AssertionError("it did not end") from None
        demand("Traceback" not in said, f"a traceback: {said[-400:]}")
        return process.returncode, said

    def call(self, *arguments: str, codes: tuple[int, ...] = (0,)) -> tuple[int, str]:
        code, said = self.end(self.start(*arguments))
        demand(code in codes, f"{arguments[0]} ended with {code}: {said[-400:]}")
        return code, said

    def run(self, out: Path) -> "subprocess.Popen[bytes]":
        return self.start("run", str(self.suite), *self.run_arguments(out))

    def completes(self, out: Path, before: Counter[str]) -> None:
        """The same command does the rest, once, and nothing that was finished is lost."""
        self.call("run", str(self.suite), *self.run_arguments(out))
        after = finished(out)
        demand(len(after) == CELLS, f"{len(after)} of {CELLS} cells")
        demand(before.keys() <= after.keys(), "a finished cell is lost")
        demand(all(after[cell] == before[cell] for cell in before), "a finished cell ran again")
        demand(set(after.values()) == {1}, "a cell ran twice")
        demand((out / "report" / "index.html").is_file(), "no report")
        demand("unfinished" not in (out / "report" / "index.html").read_text()[:400], "the report is not finished")


def finished(out: Path) -> Counter[str]:
    """Cells that ended, with the number of their rows as they lie on disk."""
    found: Counter[str] = Counter()
    for file in (out / "ledger").glob("*.jsonl"):
        for line in file.read_text(errors="replace").splitlines():
            try:
                row = json.loads(line)
            except ValueError:
                continue
            found.update([row["cell"]] if row.get("kind") == "terminal" and row["status"] == "ok" else [])
    return found


def below(pid: int) -> list[int]:
    listed = subprocess.run(["ps", "-eo", "pid=,ppid="], capture_output=True, text=True, check=True).stdout
    pairs = [tuple(map(int, line.split())) for line in listed.splitlines()]
    found = [child for child, parent in pairs if parent == pid]
    return found + [deeper for child in found for deeper in below(child)]


def kills(place: Place, chance: random.Random, out: Path) -> None:
    """Main, server, worker or all of them, by three signals, when so many cells are done or the report is begun."""
    rows, whom = chance.randrange(CELLS + 2), chance.choice(["main", "server", "worker", "main and server", "all"])
    how = chance.choice([signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
    main = place.run(out)
    while main.poll() is None and sum(finished(out).values()) < rows:
        if rows > CELLS and (out / "report").exists():
            break
        time.sleep(0.02)
    time.sleep(chance.random() * 0.05)
    tree = [main.pid, *below(main.pid)]
    chosen = {"main": tree[:1], "server": tree[1:2], "worker": tree[2:3], "main and server": tree[:2], "all": tree}[
        whom
    ]
    for pid in chosen or tree[:1]:
        if main.poll() is None:
            try:
                os.kill(pid, how)
            except ProcessLookupError:
                continue
    code, _ = place.end(main)
    demand(code in (*CODES, -how), f"exit code {code} after {how.name} to {whom}")
    before = finished(out)
    Ledger.read(out) if (out / "ledger").is_dir() else None
    # A cell whose worker was killed has its row, which says so; it is asked for again.
    place.call("run", str(place.suite), *place.run_arguments(out), "--retry", "crash", codes=(0, 1))
    place.completes(out, before)


def at_once(place: Place, chance: random.Random, out: Path) -> None:
    """Two or three runs into one folder."""
    mains = []
    for _ in range(chance.choice([2, 2, 3])):
        mains.append(place.run(out))
        time.sleep(chance.random() * 0.5)
    for main in mains:
        code, said = place.end(main)
        demand(code == 0, f"exit code {code}: {said[-300:]}")
    place.completes(out, finished(out))


def full_disk(place: Place, chance: random.Random, out: Path) -> None:
    """Files may grow to so many bytes and no further."""
    code, said = place.end(
        place.start("run", str(place.suite), *place.run_arguments(out), limit=int(2 ** chance.uniform(8, 17)))
    )
    demand(code in CODES, f"exit code {code}: {said[-300:]}")
    before = finished(out)
    if (out / "ledger").is_dir():
        Ledger.read(out)
    place.call("run", str(place.suite), *place.run_arguments(out), "--retry", "crash", "--retry", "error", codes=(0, 1))
    place.completes(out, before)


def copied(place: Place, out: Path) -> Path:
    shutil.copytree(place.whole, out)
    return next((out / "ledger").glob("*.jsonl"))


def cuts(place: Place, chance: random.Random, out: Path) -> None:
    """A ledger cut at any byte: what is whole is read, and merging the whole one in brings the rest."""
    file = copied(place, out)
    data = file.read_bytes()
    file.write_bytes(data[: chance.randrange(len(data))])
    ledger = Ledger.read(out)
    demand(len(ledger.terminals) == len(finished(out)), "a whole row is not read")
    demand(ledger.torn <= 1, "more than one row is torn")
    merge([place.whole], out)
    demand(len(Ledger.read(out).terminals) == CELLS, "merging did not bring the rest")


def ledger_bytes(place: Place, chance: random.Random, out: Path) -> None:
    """Some bytes of a ledger changed: read or refused in one sentence, and only the rows hit are lost."""
    file = copied(place, out)
    data = bytearray(file.read_bytes())
    hits = chance.randrange(1, 4)
    for _ in range(hits):
        data[chance.randrange(len(data))] = chance.randrange(256)
    file.write_bytes(bytes(data))
    read_or_sentence(out, least=CELLS - 2 * hits)


VALUES: tuple[Any, ...] = (None, [], {}, 5, -1, "x", True, 10**30, 1.5, "\ud800", [[1]], {"a": None})


def rows(place: Place, chance: random.Random, out: Path) -> None:
    """One field of one row holds another type, or is gone: that row is named, and costs only itself."""
    file = copied(place, out)
    lines = file.read_text().splitlines()
    which = chance.choice([index for index, line in enumerate(lines) if line.strip()])
    row = json.loads(lines[which])
    field = chance.choice(sorted(row))
    if chance.random() < 0.2:
        del row[field]
    else:
        row[field] = chance.choice(VALUES)
    lines[which] = json.dumps(row)
    file.write_text("\n".join(lines))
    read_or_sentence(out, least=CELLS - 1)
    if chance.random() < 0.02:
        for verb in ("export", "report"):
            target = out / ("t.parquet" if verb == "export" else "page")
            arguments = (verb, str(out), "--format", "parquet") if verb == "export" else (verb, str(out))
            place.call(*arguments, "--out", str(target), codes=(0, 2))


def read_or_sentence(out: Path, least: int) -> None:
    try:
        ledger = Ledger.read(out)
    except ValueError as refusal:
        demand(len(str(refusal)) < 600 and re.search(r"\.jsonl, line \d+", str(refusal)), f"no sentence: {refusal}")
        return
    demand(len(ledger.terminals) >= least, f"{len(ledger.terminals)} cells are left of {CELLS}")


def archives(place: Place, chance: random.Random, out: Path) -> None:
    """A reference damaged in some bytes, or cut: absent or exactly what was written."""
    copied(place, out)
    file = chance.choice(sorted((out / "references").rglob("*.npz")))
    data = bytearray(file.read_bytes())
    if chance.random() < 0.3:
        del data[chance.randrange(len(data)) :]
    for _ in range(chance.randrange(0, 4)):
        if data:
            data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    file.write_bytes(bytes(data))
    found = ReferenceStore(out).load(file.parent.name, [file.stem])
    true = ReferenceStore(place.whole).load(file.parent.name, [file.stem])[file.stem]
    for reference in found.values():
        demand(reference.bound == true.bound and reference.norm == true.norm, "a damaged number is taken")
        demand(all((reference.arrays[name] == true.arrays[name]).all() for name in true.arrays), "damaged values taken")
    if chance.random() < 0.01:
        place.call("rescore", str(out), codes=(0, 2))


WORDS = (
    "student-t", "wigner", "diagonal", "lanczos", "hutchinson", "block-krylov", "trace", "density", "top-eigenvalues",
    "n", "k", "block", "window", "delta", "df", "aspect", "instance",
    "=", "=", "=", "[", "[", "]", "]", ",", ",", " ", "0", "-1", "1", "5", "10", "9" * 30, "1e400", "nan", "inf", "0.5",
    "x", "\0", "\ud800", "../..", "'", '"', "λ",
)  # fmt: skip


def word(chance: random.Random) -> str:
    start = chance.choice(WORDS[:9])
    if chance.random() < 0.7:
        pairs = ",".join(f"{chance.choice(WORDS[9:17])}={chance.choice(WORDS)}" for _ in range(chance.randrange(1, 3)))
        return f"{start}[{pairs}]"
    return "".join(chance.choice(WORDS) for _ in range(chance.randrange(1, 12)))


def refused_or_taken(work: Callable[[], object]) -> None:
    try:
        work()
    except ValueError as refusal:
        demand(len(str(refusal)) < 2000, "a refusal without end")


def specs(place: Place, chance: random.Random, out: Path) -> None:
    """Problems, methods and estimands of odd names and parameters."""
    catalog, text = load_catalog(), word(chance)
    refused_or_taken(lambda: catalog.problem(text))
    refused_or_taken(lambda: parse_estimand(text))
    refused_or_taken(lambda: catalog.method(text, parse_estimand("trace")))
    refused_or_taken(lambda: catalog.method(text, parse_estimand("top-eigenvalues[k=3]")))


def suites(place: Place, chance: random.Random, out: Path) -> None:
    """A suite with some values replaced, lines lost, or characters changed, read and planned."""
    lines = SUITE.replace('"tiny"', '"student-t[n=50]"').replace('"slow"', '"hutchpp"').splitlines()
    for _ in range(chance.randrange(1, 3)):
        index = chance.randrange(len(lines))
        key = lines[index].partition("=")[0]
        some = [
            "[]",
            "-1",
            "true",
            "1.5",
            "nan",
            "'x'",
            "[[1]]",
            "{a=1}",
            "9" * 30,
            f'["{word(chance)}"]'.replace("\0", ""),
        ]
        lines[index] = chance.choice(["", f"{key}= {chance.choice(some)}", lines[index] + chance.choice(WORDS)])
    text = "\n".join(lines)
    refused_or_taken(lambda: plan(Suite.parse(text, "odd.toml"), load_catalog()))


COSTS = Costs(matvecs=4, calls=4, counts={"product": 4}, gradient_equivalents=4.0, operator_s=0.1, wall_s=0.2)
MESSAGE = Checkpoint(budget=4, estimand="trace", finite=True, costs=COSTS)


def messages(place: Place, chance: random.Random, out: Path) -> None:
    """What is written into a result pipe, damaged: taken or refused by a ValueError."""
    job = CellJob(plan(Suite.load(place.suite), load_catalog((str(place.plugin),)))[0].cell)
    Outcome(job).add([MESSAGE])
    header, _ = encode(MESSAGE)
    within = chance.choice([header, header["costs"]])
    within[chance.choice(sorted(within))] = chance.choice(VALUES)
    refused_or_taken(lambda: Outcome(job).add([decode(header, MESSAGES)]))
    data = bytearray(frame(MESSAGE))
    for _ in range(chance.randrange(1, 4)):
        data[chance.randrange(len(data))] = chance.randrange(256)
    refused_or_taken(lambda: Outcome(job).add(Decoder().feed(bytes(data))))


VERBS = ("list", "plan", "run", "report", "compare", "replay", "rescore", "references", "export", "merge", "nonsense")
OPTIONS = (
    "--out",
    "--plugin",
    "--threads",
    "--timeout",
    "--memory",
    "--device",
    "--retry",
    "--shard",
    "--format",
    "--estimand",
)


def command_lines(place: Place, chance: random.Random, out: Path) -> None:
    """A verb with odd arguments: ends by itself with one of the exit codes, and refuses in one sentence."""
    said = [chance.choice(VERBS)]
    for _ in range(chance.randrange(4)):
        odd = chance.choice([word(chance), str(place.whole), str(out / "new"), str(place.plugin), "9" * 20, "-1", ""])
        said += [chance.choice(OPTIONS), odd] if chance.random() < 0.5 else [odd]
    if said[0] == "run":
        said.append("nosuch")
    printable = [text.replace("\0", "").encode(errors="replace").decode() for text in said]
    code, err = place.call(*printable, codes=CODES)
    # Rich usage texts are several lines; a refusal of the harness is one.
    demand(code != 2 or "hessbench: " not in err or err.count("hessbench: ") == 1, f"several refusals: {err[-300:]}")


LINES: dict[str, tuple[Callable[[Place, random.Random, Path], None], int]] = {
    "kills": (kills, 100),
    "runs at once": (at_once, 20),
    "full disk": (full_disk, 20),
    "cuts": (cuts, 3000),
    "ledger bytes": (ledger_bytes, 3000),
    "rows": (rows, 3000),
    "archives": (archives, 3000),
    "specs": (specs, 100_000),
    "suites": (suites, 10_000),
    "messages": (messages, 20_000),
    "command lines": (command_lines, 60),
}
"""Trials and how many of each are asked for by default."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--seconds", type=float, default=1200, help="no trial begins later, but for the first of each line"
    )
    parser.add_argument("--count", type=int, help="trials of each line, in place of its own number")
    parser.add_argument("--first", type=int, default=0, help="seed of the first trial of each line")
    parser.add_argument("--line", choices=LINES, action="append", help="this line only; may be given more than once")
    asked = parser.parse_args()
    begin = time.monotonic()
    tried: Counter[str] = Counter()
    survived: Counter[str] = Counter()
    wanted = {name: asked.count or LINES[name][1] for name in asked.line or LINES}
    share = asked.seconds / len(wanted)
    with tempfile.TemporaryDirectory(prefix="record-") as root:
        place = Place(Path(root))
        left = dict(wanted)
        spent = dict.fromkeys(wanted, 0.0)
        while left and (time.monotonic() - begin < asked.seconds or any(not tried[name] for name in wanted)):
            # The line that has had the least time is next, so that none is starved.
            name = min(left, key=lambda line: spent[line] / share)
            seed, out = asked.first + tried[name], Path(root) / "trial"
            start = time.monotonic()
            tried[name] += 1
            try:
                LINES[name][0](place, random.Random(f"{name} {seed}"), out)
                survived[name] += 1
            except Exception as failure:  # noqa: BLE001 -- whatever comes out of a trial is what it found
                print(f"{name}, seed {seed}: {type(failure).__name__}: {str(failure)[:600]}", flush=True)
            spent[name] += time.monotonic() - start
            shutil.rmtree(out, ignore_errors=True)
            if tried[name] == wanted[name]:
                del left[name]
    for name in wanted:
        print(f"{name}: {tried[name]} tried, {survived[name]} survived")
    print(f"{time.monotonic() - begin:.0f} s")
    return int(survived != tried)


if __name__ == "__main__":
    sys.exit(main())
