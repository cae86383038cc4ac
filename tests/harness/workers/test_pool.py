"""The pool of one process: nothing leaks from cell to cell, a server that dies takes no other down, spawned workers."""

import os
import signal
import socket
import subprocess
import sys
import uuid
from pathlib import Path

import pytest

from hessbench.cells.cell import Cell
from hessbench.cells.messages import Checkpoint
from hessbench.workers.messages import BuiltReference, CellJob, Ready, ReferenceJob
from hessbench.workers.pool import Pool, WorkerConfig
from hessbench.workers.setup import Setup
from hessbench.workers.wire import read_packet


def job_of(method, *, problem="tiny", timeout_s=60.0, cap=None, budget=8):
    """A job that runs one cell."""
    cell = Cell(problem, method, "trace", (budget,), timeout_s=timeout_s, memory_cap_bytes=cap)
    return CellJob(cell)


def perform(pool, method, **rest):
    return pool.perform(job_of(method, **rest))


def said(outcome, name):
    """What a method put into its diagnostics."""
    return outcome.of_type(Checkpoint)[-1].diagnostics[name]


def children_of(pid):
    """Ids and states of the children of a process, as /proc tells."""
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                state, parent = (entry / "stat").read_text().rpartition(")")[2].split()[:2]
            except OSError:
                continue
            if int(parent) == pid:
                found[int(entry.name)] = state
    return found


def open_files(pid):
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


COUNTS_OBJECTS = """
import gc
import torch
from hessbench.estimand import Estimate, Trace
from hessbench.method import Method

def run(op, /, *, num_matvecs, generator):
    op.matmat(torch.ones(op.dim, 1, dtype=op.dtype))
    return Estimate(0.0, diagnostics={"frozen": gc.get_freeze_count(), "seen": len(gc.get_objects())})

METHODS = [Method("counts-objects", run, (Trace,))]
"""


@pytest.fixture(scope="module")
def daemon():
    """What stands in the command line of a daemon that a method leaves behind."""
    return f"'{uuid.uuid4().hex}'"


@pytest.fixture(scope="module")
def pool(hostile, marked, daemon, tmp_path_factory):
    """One for all tests, each of which leaves it with servers or without: starting one takes seconds."""
    plugin = tmp_path_factory.mktemp("plugin") / "counts.py"
    plugin.write_text(COUNTS_OBJECTS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOSTILE_SLEEP", "2")
        patch.setenv("HOSTILE_NAME", daemon)
        with Pool(WorkerConfig(plugins=(hostile, str(plugin))), jobs=2) as opened:
            yield opened
    assert not children_of(os.getpid())


def server_of(outcome):
    """The server a cell was forked from."""
    return said(outcome, "parent")


def test_a_server_that_serves_cpu_cells_says_it_has_one_thread(hostile, tmp_path):
    here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    config = Setup(os.getpid(), (hostile,), (), spawn=False, folder=str(tmp_path / "own")).text
    server = subprocess.Popen(
        [sys.executable, "-m", "hessbench.workers.serve", str(there.fileno()), config],
        pass_fds=[there.fileno()], env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
    )  # fmt: skip
    there.close()
    assert read_packet(here.recv(1 << 12)) == Ready(threads=1)
    here.close()
    assert server.wait(60) == 0


def test_cells_are_forked_afresh_and_leak_neither_files_nor_zombies(pool):
    first = perform(pool, "witness")
    server = server_of(first)
    perform(pool, "leaves-zombies")
    before = open_files(os.getpid()), open_files(server)
    outcomes = [perform(pool, "witness") for _ in range(50)]
    assert {server_of(outcome) for outcome in outcomes} == {server}
    assert {said(outcome, "seen") for outcome in outcomes} == {0}
    assert len({said(outcome, "pid") for outcome in outcomes}) == 50
    assert (open_files(os.getpid()), open_files(server)) == before
    assert children_of(server) == {}


def test_what_a_method_changes_in_its_process_is_gone_in_the_next_cell(pool):
    before = said(perform(pool, "witness"), "cwd")
    assert perform(pool, "moves").end.status == "ok"
    assert said(perform(pool, "witness"), "cwd") == before


def test_a_process_that_hangs_after_its_result_is_ended_without_a_time_limit(pool):
    outcome = perform(pool, "lingers", timeout_s=None)
    assert outcome.end.status == "ok"
    assert outcome.ended.cause == "stopped"


def test_a_killed_server_costs_its_cell_and_the_next_gets_a_fresh_one(pool):
    before = server_of(perform(pool, "witness"))
    pool.hand_out(job_of("loops"))
    os.kill(before, signal.SIGKILL)
    while not (outcomes := pool.wait(1.0)):
        pass
    assert outcomes[0].end is None
    assert outcomes[0].ended.cause == "server"
    assert server_of(perform(pool, "witness")) != before


def test_a_server_killed_between_cells_is_replaced(pool, wait_until):
    before = server_of(perform(pool, "witness"))
    os.kill(before, signal.SIGKILL)
    wait_until(lambda: children_of(os.getpid()).get(before, "Z") == "Z")
    assert server_of(perform(pool, "witness")) != before


def test_a_server_killed_by_its_cell_leaves_the_cell_in_the_other_slot_alone(pool, marked):
    warm = [pool.hand_out(job_of("witness")) for _ in range(2)]
    outcomes = []
    while len(outcomes) < len(warm):
        outcomes += pool.wait(1.0)
    before = marked.living
    pool.hand_out(job_of("sleeper"))
    pool.hand_out(job_of("patricide"))
    ended = {}
    while len(ended) < 2:
        for outcome in pool.wait(1.0):
            ended[outcome.job.cell.method] = outcome
    assert ended["patricide"].ended.cause == "server"
    assert ended["sleeper"].end.status == "ok"
    servers = {server_of(outcome) for outcome in outcomes}
    marked.assert_gone(but=before)
    assert len(servers & set(marked.living)) == 1


@pytest.mark.slow
def test_spawned_workers_run_cell_after_cell_and_are_retired_by_any_failure(hostile, marked):
    before = marked.living
    with Pool(WorkerConfig(plugins=(hostile,), spawn=True)) as pool:
        one, two = perform(pool, "witness", timeout_s=1.0), perform(pool, "witness")
        assert [said(outcome, "seen") for outcome in (one, two)] == [0, 1]
        assert said(one, "pid") == said(two, "pid")
        assert one.elapsed_s > 1.0, "starting the worker is not on the clock of the cell"
        failed = perform(pool, "raises")
        assert failed.end.status == "error"
        fresh = perform(pool, "witness")
        assert said(fresh, "seen") == 0
        assert said(fresh, "pid") != said(one, "pid")
        held = perform(pool, "gulps", cap=200 << 20)
        assert held.ended.cause == "memory"
        hung = perform(pool, "loops", timeout_s=1.0)
        assert hung.ended.cause == "timeout"
        assert hung.matvecs == 1
        left = perform(pool, "daemonises")
        assert left.ended.left_behind == 1
        crashed = perform(pool, "segfaults")
        assert crashed.ended.code == -signal.SIGSEGV
        assert perform(pool, "good").end.status == "ok"
    marked.assert_gone(but=before)


@pytest.mark.slow
def test_a_spawned_worker_is_retired_where_a_cell_left_a_setting_or_the_count_changed(hostile, marked):
    before = marked.living
    with Pool(WorkerConfig(plugins=(hostile,), spawn=True)) as pool:
        perform(pool, "witness")
        for method in ("leaves-a-dtype", "patches-the-count"):
            assert perform(pool, method).end.status == "ok"
            honest = perform(pool, "witness")
            assert said(honest, "seen") == 0
            assert honest.matvecs == 1
    marked.assert_gone(but=before)


def test_a_server_that_a_job_has_stopped_is_killed_after_the_limit(pool, marked, monkeypatch):
    monkeypatch.setattr("hessbench.workers.slot._GRACE_S", 1.0)
    old = server_of(perform(pool, "witness"))
    before = {*marked.living} - {old}
    stopped = perform(pool, "stops-the-server", timeout_s=1.0)
    assert stopped.ended.cause == "timeout"
    fresh = server_of(perform(pool, "witness"))
    assert fresh != old
    marked.assert_gone(but={*before, fresh})


def test_a_program_without_environment_and_files_is_found_when_the_server_was_killed(pool, daemon, wait_until):
    def left():
        return [path for path in Path("/proc").glob("[0-9]*/cmdline") if daemon.encode() in _bytes(path)]

    assert perform(pool, "leaves-a-daemon").ended.cause == "server"
    wait_until(lambda: not left())
    assert perform(pool, "good").end.status == "ok"


def _bytes(path):
    try:
        return path.read_bytes()
    except OSError:
        return b""


def test_files_in_shared_memory_count_as_memory(pool):
    held = perform(pool, "hoards-in-shared-memory", cap=100 << 20)
    for left in Path("/dev/shm").glob("hostile-*"):
        left.unlink()
    assert held.ended.cause == "memory"
    assert 100 << 20 < held.ended.peak_bytes < 400 << 20


def test_the_truth_is_not_in_the_frames_above_a_method(pool):
    assert said(perform(pool, "looks-up"), "known") == 0


@pytest.mark.slow
def test_a_spawned_worker_that_cannot_start_costs_its_cell_and_says_why(tmp_path, marked):
    plugin = tmp_path / "fickle.py"
    plugin.write_text(
        "import os, sys\n"
        "if 'hessbench.workers.spawned' in ' '.join(sys.orig_argv):\n"
        "    raise SystemExit('no spawning today')\n"
        "from hessbench import Estimate, Method, Problem, Trace\n"
        "import numpy as np\n"
        "def run(op, /, *, num_matvecs, generator):\n"
        "    return Estimate(1.0)\n"
        "METHODS = [Method('fickle', run, (Trace,))]\n"
        "PROBLEMS = [Problem.of('tiny', np.eye(4))]\n"
    )
    with Pool(WorkerConfig(plugins=(str(plugin),), spawn=True)) as pool:
        outcome = perform(pool, "fickle", budget=2)
    assert outcome.end is None
    assert "no spawning today" in outcome.ended.tail


def test_a_plugin_that_computes_while_it_is_imported_hangs_no_cell(hostile, tmp_path, marked):
    plugin = tmp_path / "eager.py"
    plugin.write_text("import torch\ntorch.eye(2000) @ torch.eye(2000)\nfrom hessbench import Problem\n"
                      "PROBLEMS = [Problem.of('eager', torch.eye(400))]\n")  # fmt: skip
    cell = Cell(problem="eager", method="hutchinson", estimand="trace", budgets=(4,), threads=2, timeout_s=60.0)
    with Pool(WorkerConfig(plugins=(hostile, str(plugin)))) as opened:
        reference = ReferenceJob("eager", ("trace",), str(tmp_path), threads=2, timeout_s=60.0)
        assert opened.perform(reference).of_type(BuiltReference)
        outcome = opened.perform(CellJob(cell))
    assert outcome.end.status == "ok"


def test_a_plugin_that_starts_a_thread_while_it_is_imported_is_refused(tmp_path):
    plugin = tmp_path / "threaded.py"
    plugin.write_text("import threading, time\nfrom hessbench import Problem\nimport torch\n"
                      "threading.Thread(target=time.sleep, args=(600,), daemon=True).start()\n"
                      "PROBLEMS = [Problem.of('threaded', torch.eye(4))]\n")  # fmt: skip
    with (
        Pool(WorkerConfig(plugins=(str(plugin),))) as opened,
        pytest.raises(ValueError, match="starts 1 thread when it is imported"),
    ):
        opened.perform(job_of("hutchinson", problem="threaded"))


def test_a_collection_of_garbage_in_a_cell_does_not_look_at_what_was_there_before(pool):
    outcome = perform(pool, "counts-objects")
    assert said(outcome, "frozen") > 10 * said(outcome, "seen")
