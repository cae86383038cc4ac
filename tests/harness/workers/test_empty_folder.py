"""A method sees the truth by a deliberate act only: it runs in an empty folder, and holds no open file of the run."""

import os
import signal
import tempfile
from pathlib import Path

import numpy as np
import pytest
import torch

from hessbench import Estimate, Method, Problem, Trace
from hessbench.catalog import load_catalog
from hessbench.cells.cell import Cell
from hessbench.cells.messages import Checkpoint
from hessbench.ledger.reading import Ledger
from hessbench.running.runner import Options, run
from hessbench.running.suite import Cross, Suite
from hessbench.workers import empty_folder
from hessbench.workers.messages import CellJob
from hessbench.workers.pool import Pool, WorkerConfig

# A spawned worker imports torch anew, which takes seconds.
SPAWNED = pytest.param(True, marks=pytest.mark.slow)
PLUGIN = """
import os
import signal
import time
from pathlib import Path
import numpy as np
import torch
from hessbench import Estimate, Method, Problem, Trace
from hessbench.operators import dense_operator

def build(device, dtype):
    return dense_operator(torch.as_tensor(np.load("weights.npy"), dtype=dtype))

def seeks(op, /, *, num_matvecs, generator):
    seen = [str(path) for folder in (".", "run") for path in Path(folder).rglob("*")]
    named = [name for name in ("PWD", "OLDPWD") if name in os.environ]
    said = {"seen": str(seen), "named": str(named), "cwd": str(Path.cwd()), "pid": os.getpid()}
    Path("left behind").mkdir()
    Path("left behind", "file").write_text("for the next cell")
    return Estimate(float(op.matmat(torch.eye(op.dim, dtype=op.dtype)[:, :1]).sum()), diagnostics=said)

def widths(num_matvecs):
    assert not list(Path().iterdir()), "the widths are asked where the user stands"
    return (1,)

def waits(op, /, *, num_matvecs, generator):
    Path("here").touch()
    time.sleep(600)

def kills_the_server(op, /, *, num_matvecs, generator):
    Path("here").touch()
    os.kill(os.getppid(), signal.SIGKILL)
    time.sleep(600)

METHODS = [
    Method("seeks", seeks, (Trace,), block_widths=widths),
    Method("waits", waits, (Trace,)),
    Method("kills-the-server", kills_the_server, (Trace,)),
]
PROBLEMS = [Problem("relative", 4, build)]
"""


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A plugin with a problem that names a file from where the user stands, beside a run with its references."""
    (tmp_path / "plugin.py").write_text(PLUGIN)
    home = tmp_path / "home"
    (home / "run" / "references" / "hash").mkdir(parents=True)
    np.savez(home / "run" / "references" / "hash" / "trace.npz", trace=np.ones(1))
    np.save(home / "weights.npy", np.eye(4))
    (tmp_path / "temporary").mkdir()
    monkeypatch.chdir(home)
    monkeypatch.setenv("PWD", str(home))
    monkeypatch.setenv("OLDPWD", str(home / "run"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    return str(tmp_path / "plugin.py")


@pytest.fixture
def temporary(plugin: str, tmp_path: Path) -> Path:
    """Where empty folders are made."""
    return tmp_path / "temporary"


def job_of(method, timeout_s=60.0):
    cell = Cell(problem="relative", method=method, estimand="trace", budgets=(4,), timeout_s=timeout_s)
    return CellJob(cell)


def said(outcome):
    assert outcome.end.status == "ok", outcome.end.reason
    return outcome.of_type(Checkpoint)[-1].diagnostics


@pytest.mark.parametrize("spawn", [False, SPAWNED], ids=["forked", "spawned"])
def test_two_cells_one_after_another_see_nothing_from_where_they_stand(plugin, temporary, tmp_path, spawn, marked):
    with Pool(WorkerConfig(plugins=(plugin,), spawn=spawn)) as pool:
        told = [said(pool.perform(job_of("seeks"))) for _ in range(2)]
        assert [(one["seen"], one["named"]) for one in told] == [("[]", "[]")] * 2
        assert [one["cwd"].startswith("hessbench-") for one in told] == [True, True]
        assert (told[0]["pid"] == told[1]["pid"]) == spawn
    assert not list(temporary.iterdir())
    assert sorted(path.name for path in (tmp_path / "home").iterdir()) == ["run", "weights.npy"]


@pytest.mark.parametrize("spawn", [False, SPAWNED], ids=["forked", "spawned"])
def test_nothing_is_left_of_the_folder_of_a_killed_cell(plugin, temporary, spawn, marked):
    config = WorkerConfig(plugins=(plugin,), spawn=True) if spawn else WorkerConfig(catalog=load_catalog((plugin,)))
    with Pool(config) as pool:
        assert pool.perform(job_of("waits", timeout_s=0.5)).ended.cause == "timeout"
        assert said(pool.perform(job_of("seeks")))["seen"] == "[]"
    assert not list(temporary.iterdir())


def test_nothing_is_left_of_the_folder_of_a_killed_server(plugin, temporary, marked):
    with Pool(WorkerConfig(plugins=(plugin,))) as pool:
        assert pool.perform(job_of("kills-the-server")).ended.cause == "server"
        assert said(pool.perform(job_of("seeks")))["seen"] == "[]"
    assert not list(temporary.iterdir())


def test_a_server_whose_main_process_is_killed_takes_the_folder_along(
    plugin, temporary, main_process, wait_until, marked
):
    def work():
        with Pool(WorkerConfig(plugins=(plugin,))) as pool:
            pool.perform(job_of("waits"))

    main = main_process(work)
    wait_until(lambda: list(temporary.glob("*/here")))
    os.kill(main.pid, signal.SIGKILL)
    main.wait()
    wait_until(lambda: not list(temporary.iterdir()))


def test_a_disk_that_takes_no_folder_costs_no_cell(plugin, temporary, marked):
    temporary.rmdir()
    with Pool(WorkerConfig(catalog=load_catalog((plugin,)))) as pool:
        assert pool.perform(job_of("hutchinson")).end.status == "ok"
    temporary.mkdir()


def test_imports_go_on_from_where_a_notebook_stands(monkeypatch, tmp_path):
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", ["", "lib"])
    empty_folder.enter(tmp_path / "empty")
    import sys

    assert sys.path == [str(tmp_path), str(tmp_path / "lib")]


def test_a_cell_forked_from_the_caller_holds_no_open_file_of_the_run(plugin, tmp_path):
    folder = tmp_path / "home" / "run"

    def looks(op, /, *, num_matvecs, generator):
        links = [link for link in Path("/proc/self/fd").iterdir() if link.is_symlink()]
        held = [link.name for link in links if str(folder) in str(link.readlink())]
        value = float(op.matmat(torch.ones(op.dim, 1, dtype=op.dtype)).sum())
        seen = [path.name for path in Path().iterdir()]
        return Estimate(value, diagnostics={"held": str(held), "seen": str(seen)})

    catalog = load_catalog()
    catalog.add(methods=[Method("looks", looks, (Trace,))], problems=[Problem.of("eye", np.eye(4))], source="here")
    # The server for peaks is forked while its cell is claimed, the other before.
    suite = Suite("looks", 1, (Cross("trace", ("eye",), ("looks",), (4,), 1),))
    run(suite, "run", Options(prices=False), catalog=catalog)
    rows = [row for row in Ledger.read(folder).records if row.kind == "checkpoint"]
    assert {row.pass_ for row in rows} == {"time", "memory"}
    assert [(row.diagnostics["held"], row.diagnostics["seen"]) for row in rows] == [("[]", "[]")] * len(rows)
