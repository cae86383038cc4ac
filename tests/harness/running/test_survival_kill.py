"""`kill -9` at any moment: what was finished is on disk, no process is left, the same command does the rest, once."""

import os
import signal
from collections import Counter
from pathlib import Path

import pytest

from hessbench import Ledger, Options, run
from hessbench.catalog import load_catalog

REPEATS = 6


@pytest.fixture
def log(tmp_path, monkeypatch) -> Path:
    """A file in which every cell that has done its work leaves a line."""
    path = tmp_path / "log"
    path.touch()
    monkeypatch.setenv("HOSTILE_LOG", str(path))
    return path


@pytest.fixture
def flag(tmp_path, monkeypatch, request) -> Path:
    """A file that appears when what is named by the test's parameter hangs for its first and only time."""
    path = tmp_path / request.param
    monkeypatch.setenv("HOSTILE_FLAG", str(path))
    return path


@pytest.fixture
def suite(crossing):
    return crossing(methods="logs", budgets="4", repeats=REPEATS)


def completes(suite, folder, hostile, rows_of):
    """Run the same again, from this process, and hold the folder against the plan."""
    before = Counter(row["cell"] for row in rows_of(folder) if row["status"] == "ok")
    summary = run(suite, folder, Options(prices=False), catalog=load_catalog((hostile,)))
    assert summary.kept == len(before)
    assert summary.ran == summary.planned - summary.kept
    after = Counter(row["cell"] for row in rows_of(folder) if row["status"] == "ok")
    assert set(after.values()) == {1}
    assert len(after) == summary.planned
    assert before.keys() <= after.keys()
    assert run(suite, folder, Options(prices=False), catalog=load_catalog((hostile,))).ran == 0


@pytest.mark.parametrize(
    ("finished", "whole_group"),
    [
        pytest.param(2, False, id="main after 2"),
        pytest.param(0, False, id="main at once", marks=pytest.mark.slow),
        pytest.param(0, True, id="group at once", marks=pytest.mark.slow),
        pytest.param(2, True, id="group after 2", marks=pytest.mark.slow),
    ],
)
def test_main_killed_between_cells(
    finished, whole_group, suite, hostile, marked, main_process, tmp_path, rows_of, log, wait_until
):
    folder = tmp_path / "run"
    main = main_process(lambda: run(suite, folder, Options((hostile,), prices=False)).ran)
    wait_until(lambda: (folder / "ledger").exists() and len(rows_of(folder)) >= finished)
    (os.killpg if whole_group else os.kill)(main.pid, signal.SIGKILL)
    assert main.wait() == -signal.SIGKILL
    marked.assert_gone()
    assert len(rows_of(folder)) >= finished
    completes(suite, folder, hostile, rows_of)
    assert len(log.read_text().splitlines()) <= REPEATS + 1, "only the cell at work may have run twice"


@pytest.mark.parametrize("flag", [pytest.param("cell", marks=pytest.mark.slow), "reference"], indirect=True)
def test_main_killed_while_a_cell_or_a_reference_is_at_work(
    flag, crossing, hostile, marked, main_process, tmp_path, rows_of, log, wait_until
):
    folder = tmp_path / "run"
    suite = crossing("tiny slow-reference", "logs hangs-once", "4")
    main = main_process(lambda: run(suite, folder, Options((hostile,), prices=False)).ran)
    wait_until(flag.exists)
    os.kill(main.pid, signal.SIGKILL)
    assert main.wait() == -signal.SIGKILL
    marked.assert_gone()
    completes(suite, folder, hostile, rows_of)


@pytest.mark.parametrize("flag", ["cell"], indirect=True)
def test_server_killed_while_a_cell_is_at_work_costs_that_cell_alone(
    flag, crossing, hostile, marked, main_process, tmp_path, rows_of, log, wait_until
):
    folder = tmp_path / "run"
    suite = crossing("tiny tiny-too", "logs hangs-once", "4")
    main = main_process(lambda: run(suite, folder, Options((hostile,), prices=False)).ran)
    wait_until(flag.exists)
    server = next(pid for pid in marked.living if b"serve" in Path(f"/proc/{pid}/cmdline").read_bytes()
                  and f"\nPPid:\t{main.pid}\n" in Path(f"/proc/{pid}/status").read_text())  # fmt: skip
    os.kill(server, signal.SIGKILL)
    assert main.wait() == 0
    assert main.answer == 4
    marked.assert_gone()
    assert Counter(row["status"] for row in rows_of(folder)) == {"ok": 3, "crash": 1}
    crash = next(row for row in Ledger.read(folder).terminals.values() if row.status == "crash")
    assert (crash.method, crash.reason) == ("hangs-once", "the worker's server was killed")
    again = run(suite, folder, Options((hostile,), prices=False), catalog=load_catalog((hostile,)))
    assert (again.ran, again.kept) == (0, 4)


def test_an_interrupt_leaves_no_process_and_the_rest_to_be_done(
    crossing, hostile, marked, main_process, tmp_path, rows_of, log, wait_until
):
    folder = tmp_path / "run"
    suite = crossing(methods="logs", budgets="4", repeats=60)  # a second or two of work is left when the signal comes
    main = main_process(lambda: run(suite, folder, Options((hostile,), prices=False)).ran)
    wait_until(lambda: len(rows_of(folder)) >= 1)
    os.killpg(main.pid, signal.SIGINT)
    assert main.wait() == 1
    marked.assert_gone()
    completes(suite, folder, hostile, rows_of)
