"""The processes of a sealed cell: whichever is killed, its row says so, nothing is left, and the next cell runs."""

import os
import re
import signal
from pathlib import Path

import pytest

from hessbench.cells.cell import Cell
from hessbench.ledger.record import Status
from hessbench.running.rows import verdict
from hessbench.workers import processes
from hessbench.workers.messages import CellJob
from hessbench.workers.pool import Pool, WorkerConfig

PLUGIN = str(Path(__file__).parents[1] / "plugins" / "tries.py")
pytestmark = pytest.mark.slow

ENDS = {
    "method": "killed by SIGKILL",
    "operator": "killed by SIGKILL",
    "methods": "ended before handing in its result|killed by SIGKILL",
}


@pytest.fixture(scope="module")
def pool():
    """One slot of sealed cells."""
    with Pool(WorkerConfig(sealed=True)) as found:
        yield found


def job(method: str) -> CellJob:
    """A cell of one of the tries."""
    return CellJob(Cell("student-t[n=48]", method, "trace", (8,)), sealed=True, plugin=PLUGIN)


def below(pid: int) -> list[int]:
    """The children of a process."""
    return [
        child for child in processes.descendants(pid) if Path(f"/proc/{child}/stat").read_text().split()[3] == str(pid)
    ]


@pytest.mark.parametrize("killed", ENDS)
def test_a_killed_process_costs_its_cell_alone(pool, wait_until, killed):
    assert pool.perform(job("honest")).end.status is Status.OK
    pool.hand_out(job("hangs"))
    (slot,) = pool.running
    wait_until(lambda: pool.wait(0.05) == [] and slot.matvecs == 1)
    children = below(slot.pid)
    (methods,) = [pid for pid in children if b"method_server" in Path(f"/proc/{pid}/cmdline").read_bytes()]
    (operator,) = [pid for pid in children if pid != methods]
    (method,) = below(methods)
    os.kill({"method": method, "operator": operator, "methods": methods}[killed], signal.SIGKILL)
    outcomes = []
    wait_until(lambda: bool(outcomes.extend(pool.wait(0.05)) or outcomes))
    status, reason = verdict(outcomes[0])
    assert status is Status.CRASH
    assert re.search(ENDS[killed], reason), reason
    assert outcomes[0].matvecs == 1
    assert not Path(f"/proc/{method}/cwd").exists()
    assert not Path(f"/proc/{operator}/cwd").exists()
    outcome = pool.perform(job("honest"))
    assert outcome.end.status is Status.OK
    assert outcome.ended.left_behind == 0
