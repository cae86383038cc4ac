"""What tests of whole runs share: hostile plugins, small suites, rows as they lie on disk, and a look at /proc."""

import contextlib
import importlib
import json
import os
import signal
import time
import uuid
import warnings
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from hessbench.running.suite import Cross, Suite
from hessbench.workers.pool import COUNTING

DEADLINE_S = 120.0


@pytest.fixture(scope="session")
def hostile() -> str:
    """A plugin file full of problems and methods that misbehave, and some that do not."""
    return str(Path(__file__).parent / "plugins" / "hostile.py")


@pytest.fixture(scope="session")
def crossing() -> Callable[..., Suite]:
    """Makes a suite of one crossing for the trace."""

    def make(problems: str = "tiny", methods: str = "good", budgets: str = "4 8", repeats: int = 1) -> Suite:
        cross = Cross("trace", tuple(problems.split()), tuple(methods.split()), tuple(map(int, budgets.split())),
                      repeats, memory=False)  # fmt: skip
        return Suite("survival", 1, (cross,))

    return make


@pytest.fixture(scope="session")
def rows_of() -> Callable[..., list[dict[str, Any]]]:
    """Reads the rows of a folder as they lie on disk, nothing merged and nothing dropped but what is torn."""

    def read(folder: Path, kind: str = "terminal") -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        for file in sorted((Path(folder) / "ledger").glob("*.jsonl")):
            for line in file.read_text().split("\n"):
                try:
                    found.append(json.loads(line))
                except ValueError:
                    continue
        return [row for row in found if row["kind"] == kind]

    return read


@pytest.fixture(scope="session")
def ready_to_count() -> None:
    """Import here what servers forked from this process would each take a second or two to import."""
    for name in COUNTING:
        importlib.import_module(name)


@dataclass(frozen=True)
class Marked:
    """Processes started while a mark was in the environment."""

    mark: str

    @property
    def living(self) -> list[int]:
        """Their ids; zombies have no environment any more."""
        found: list[int] = []
        for entry in Path("/proc").iterdir():
            try:
                if entry.name.isdigit() and self.mark.encode() in (entry / "environ").read_bytes():
                    found.append(int(entry.name))
            except OSError:
                continue
        return found

    def assert_gone(self, but: Collection[int] = ()) -> None:
        """Wait until none is left but the named."""
        wait_until(lambda: set(self.living) <= set(but))


def wait_until(holds: Callable[[], bool]) -> None:
    """Wait for a condition, for long only where it does not come true."""
    deadline = time.monotonic() + DEADLINE_S
    while not holds():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.01)


@pytest.fixture(name="wait_until", scope="session")
def _wait_until() -> Callable[[Callable[[], bool]], None]:
    return wait_until


@pytest.fixture(scope="module")
def marked() -> Iterator[Marked]:
    """Marks every process started by the tests of a module; none may be left at its end."""
    with pytest.MonkeyPatch.context() as patch:
        token = uuid.uuid4().hex
        patch.setenv("HESSBENCH_TEST_MARK", token)
        found = Marked(token)
        yield found
        found.assert_gone()


@dataclass(frozen=True)
class Main:
    """A process forked to run something of its own, in a group of its own."""

    pid: int
    said: Path

    def wait(self) -> int:
        """Its exit code; negative where a signal ended it."""
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])

    @property
    def answer(self) -> Any:
        """What its function returned."""
        return json.loads(self.said.read_text())


@pytest.fixture
def main_process(tmp_path: Path) -> Callable[[Callable[[], Any]], Main]:
    """Starts a function in a forked process, as a main process that can be killed."""

    def start(work: Callable[[], Any]) -> Main:
        said = tmp_path / f"said-{uuid.uuid4().hex}"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            pid = os.fork()
        if pid:
            with contextlib.suppress(OSError):
                os.setpgid(pid, pid)
            return Main(pid, said)
        code = 1
        try:
            os.setpgid(0, 0)
            # Ignored where a shell started the tests in the background, and what is ignored is inherited.
            signal.signal(signal.SIGINT, signal.default_int_handler)
            said.write_text(json.dumps(work()))
            code = 0
        finally:
            os._exit(code)

    return start
