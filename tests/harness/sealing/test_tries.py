"""What a stranger's method tries beside its work: sealed, nothing leads to the operator, its count or the truth."""

import os
import re
from dataclasses import dataclass
from pathlib import Path

import pytest

from hessbench import Ledger, Options, Record, run
from hessbench.running.plan import Conditions
from hessbench.sealing.landlock import version
from hessbench.workers import processes

PROBLEM = "student-t[n=48]"
BUDGET = 8
NOT = "NotReachedError: "

# method: status, what the reason says; where the kernel offers no Landlock, those below may reach what they try.
TRIES = {
    "reads-the-inner": ("error", "AttributeError: .*_inner"),
    "walks-the-heap": ("error", f"{NOT}no operator lies in this process"),
    "walks-the-frames": ("error", f"{NOT}no operator is in the frames"),
    "patches-the-class": ("over-budget", "48 more products asked for with 0 of 8 spent"),
    "patches-the-charge": ("over-budget", "48 more products asked for with 0 of 8 spent"),
    "resets-the-count": ("error", "AttributeError: .*spending"),
    "raises-the-budget": ("error", "AttributeError: .*spending"),
    "imports-the-problem": ("error", "hessbench.problems is not there in a sealed run"),
    "looks-the-problem-up": ("error", "hessbench.problems is not there in a sealed run"),
    "reads-the-source": ("error", "PermissionError"),
    "reads-the-run": ("error", "PermissionError|nothing of it can be read"),
    "reads-the-caches": ("error", f"{NOT}nothing of it can be read"),
    "reads-the-command": ("error", f"{NOT}nothing of it can be read"),
    "reads-the-environment": ("error", f"{NOT}nothing of it can be read"),
    "reads-open-files": ("error", f"{NOT}no open file of another process can be seen"),
    "reads-memory": ("error", f"{NOT}no memory can be read"),
    "traces-a-process": ("error", f"{NOT}no process can be traced"),
    "kills-the-others": ("error", f"{NOT}no process can be signalled"),
    "calls-out": ("error", "PermissionError"),
    "copies-the-network": ("error", "AttributeError: a sealed run hands out no network"),
    "asks-for-more": ("error", "'_inner' was asked of the operator, which nobody may call"),
    "asks-an-object-never-handed-out": ("error", "an object that was never handed out"),
    "charges-less-than-nothing": ("error", "columns must be at least 1, got -8"),
    "scribbles-on-the-line": ("crash", "something else than a message was sent: the method's process may ask for"),
    "sends-a-pickle": ("crash", "the method's process may ask for products, and for nothing else"),
    "points-outside": ("crash", "a tensor outside of the shared memory was sent"),
    "forges-an-end": ("crash", "something else than a message was sent: the method's process may ask for"),
    "forks-a-helper": ("error", f"{NOT}a child cannot multiply"),
    "remembers": ("error", "PermissionError"),
}  # fmt: skip
NEED_LANDLOCK = {
    "reads-the-source", "reads-the-run", "reads-the-caches", "reads-the-command", "reads-the-environment",
    "reads-open-files", "reads-memory", "traces-a-process", "kills-the-others", "calls-out", "remembers",
}  # fmt: skip
ENDS = {
    "honest": ("ok", "^$"),
    "kills-itself": ("crash", "killed by SIGKILL"),
    "exits": ("crash", "exit code 1 before handing in its result; its last line: enough of this"),
    "hangs": ("timeout", "stopped after the time limit of 6 s"),
    "hangs-on-leaving": ("ok", "^$"),
    "leaves-children": ("ok", "^left 1 process behind, killed$"),
    "prints": ("ok", "^$"),
    "closes-everything": ("crash", "exit code 0 before handing in its result"),
    "hoards": ("oom-host", "memory cap of 400 MiB, holding"),
    "repeats-one-column": ("over-budget", "17179869184 more products asked for with 0 of 8 spent"),
    "greedy": ("over-budget", "2 more products asked for with 7 of 8 spent"),
    "wrong-type": ("error", "TypeError: a method returns or yields Estimate, got float"),
    "hands-back-a-thing": ("error", "TypeError: object is handed to no other process"),
    "knows": ("ok", "^$"),
    "takes-a-network": ("skipped", "requires the trait 'network'"),
}
# Unsealed, these are charged nothing and know the answer.
SUCCEED = ("reads-the-inner", "patches-the-charge", "resets-the-count", "raises-the-budget", "imports-the-problem")


@dataclass(frozen=True)
class Ran:
    """A run of the tries."""

    ledger: Ledger

    def row(self, method: str) -> Record:
        """The terminal row of a method."""
        return next(row for row in self.ledger.terminals.values() if row.method == method)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """The folder of the run."""
    return tmp_path_factory.mktemp("sealed")


@pytest.fixture(scope="module")
def plugin(folder, tmp_path_factory) -> str:
    """A copy of the tries in a folder of its own, told where the run is."""
    text = (Path(__file__).parents[1] / "plugins" / "tries.py").read_text()
    copy = tmp_path_factory.mktemp("stranger") / "tries.py"
    copy.write_text(text.replace('RUN = ""', f"RUN = {str(folder)!r}"))
    return str(copy)


@pytest.fixture(scope="module")
def ran(plugin, folder, crossing) -> Ran:
    """All of them in one sealed run; of its processes none is left."""
    conditions = Conditions(timeout_s=6.0, memory_cap_bytes=400 << 20)
    options = Options((plugin,), conditions, prices=False, sealed=True)
    run(crossing(PROBLEM, " ".join((*TRIES, *ENDS)), str(BUDGET)), folder, options)
    mark = f"hessbench-{os.getpid()}-".encode()
    assert [
        entry for entry in Path("/proc").glob("[0-9]*") if any(mark in text for text in processes.marks(entry))
    ] == []
    return Ran(Ledger.read(folder))


@pytest.mark.parametrize("method", TRIES)
def test_a_try_ends_in_a_row_that_says_so_and_in_no_answer(ran, method):
    if method in NEED_LANDLOCK and not version():
        pytest.skip("this kernel keeps no process from files and processes")
    status, says = TRIES[method]
    row = ran.row(method)
    assert row.status == status, row.reason
    assert re.search(says, row.reason), row.reason
    assert row.error is None
    assert row.sealed


@pytest.mark.parametrize("method", ENDS)
def test_however_a_method_ends_its_row_says_it(ran, method):
    status, says = ENDS[method]
    row = ran.row(method)
    assert re.fullmatch(status, row.status), row.reason
    assert re.search(says, row.reason), row.reason


def test_what_was_spent_before_a_kill_is_in_the_row(ran):
    assert ran.row("kills-itself").matvecs == 3
    assert ran.row("hangs").matvecs == 1


def test_a_method_is_told_neither_the_problem_nor_where_anything_lies(ran):
    row = ran.row("knows")
    said = row.diagnostics
    assert len(said["id"]) == 16
    assert said["names"] in ("", "HESSBENCH_RUN")
    assert "student" not in str(said)
    assert row.seed == 0 or said["seed"] == row.seed


def test_the_honest_are_charged_and_their_columns_tell_of_the_door(ran):
    row = ran.row("honest")
    assert row.matvecs == BUDGET
    assert row.error is not None
    assert row.sealing_s is not None
    assert row.wall_s >= 0


@pytest.mark.slow
@pytest.mark.parametrize("method", SUCCEED)
def test_unsealed_such_a_try_knows_the_answer_at_less_than_its_cost(plugin, crossing, tmp_path, method):
    run(crossing(PROBLEM, method, str(BUDGET)), tmp_path, Options((plugin,), prices=False))
    row = Ran(Ledger.read(tmp_path)).row(method)
    assert row.matvecs < BUDGET
    assert row.error < 1e-5
