"""A folder to attack: a plugin, a suite, one whole run to damage copies of, and the command line run beside it."""

import contextlib
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
import traceback
from collections import Counter
from pathlib import Path

from record_attacks.faults import Faults

from hessbench.cli import main

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
CODES = (0, 1, 2, 130)
MARK = "HESSBENCH_TEST_MARK"


def demand(holds: object, says: str) -> None:
    if not holds:
        raise AssertionError(says)


def a_sentence(refusal: BaseException, limit: int = 600) -> None:
    demand(0 < len(str(refusal)) < limit and "\n" not in str(refusal), f"no sentence: {str(refusal)[:300]!r}")


class Place:
    """A folder with the plugin, the suite, a cache of its own and one whole run."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.plugin, self.suite = root / "plug.py", root / "suite.toml"
        self.plugin.write_text(PLUGIN)
        self.suite.write_text(SUITE)
        # Every process that is started from here on is told by this mark.
        self.mark = f"record-{os.getpid()}-{time.time_ns()}"
        os.environ |= {"HESSBENCH_CACHE": str(root / "cache"), "OMP_NUM_THREADS": "1", MARK: self.mark}
        os.environ.pop("HESSBENCH_DATA", None)
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
            [sys.executable, "-m", "hessbench", *arguments], cwd=self.root,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True, preexec_fn=prepare,
        )  # fmt: skip

    def end(self, process: "subprocess.Popen[bytes]") -> tuple[int, str]:
        said = process.communicate()[1].decode(errors="replace")
        demand("Traceback" not in said, f"a traceback: {said[-400:]}")
        return process.returncode, said

    def call(self, *arguments: str, codes: tuple[int, ...] = (0,)) -> tuple[int, str]:
        code, said, _ = self.forked(list(arguments))
        demand(code in codes, f"{arguments[0]} ended with {code}: {said[-400:]}")
        return code, said

    def forked(self, arguments: list[str], faults: Faults | None = None) -> tuple[int, str, int]:
        """The command line in a fork of this process, which spares it the imports.

        Returns:
            Exit code, standard error, and the number of calls that the faults have seen.
        """
        said, seen = self.root / "said", self.root / "seen"
        pid = os.fork()
        if not pid:
            code = 70
            try:
                os.setsid()
                os.chdir(self.root)
                signal.alarm(0)
                signal.signal(signal.SIGALRM, signal.SIG_DFL)
                with said.open("wb") as stream:
                    os.dup2(stream.fileno(), 2)
                    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
                if faults:
                    faults.__enter__()
                main(arguments, prog_name="hessbench")
            except SystemExit as end:
                code = end.code if isinstance(end.code, int) else int(end.code is not None)
            except BaseException:  # noqa: BLE001 -- whatever comes out is what was found
                traceback.print_exc()
            finally:
                sys.stderr.flush()
                if faults:
                    faults.__exit__(None, None, None)
                seen.write_text(str(faults.calls if faults else 0))
                os._exit(code)
        try:
            code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        except BaseException:
            # Its time is up, and the mark is not in a fork's first environment.
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            raise
        text = said.read_text(errors="replace")
        demand("Traceback" not in text, f"a traceback: {text[-600:]}")
        return code, text, int(seen.read_text())

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
        page = out / "report" / "index.html"
        demand(page.is_file(), "no report")
        demand("unfinished" not in page.read_text()[:400], "the report is not finished")

    def copy(self, out: Path) -> Path:
        """A copy of the whole run; its ledger file."""
        shutil.copytree(self.whole, out)
        return next((out / "ledger").glob("*.jsonl"))

    def end_all(self) -> None:
        """End every process that was started for this place and is still there."""
        for pid in marked(self.mark):
            if pid != os.getpid():
                with contextlib.suppress(OSError):
                    os.kill(pid, signal.SIGKILL)


def marked(text: str) -> list[int]:
    """Living processes with a text in their first environment or their arguments."""
    found: list[int] = []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if entry.name.isdigit() and any(
                text.encode() in (entry / name).read_bytes() for name in ("environ", "cmdline")
            ):
                found.append(int(entry.name))
    return found


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
