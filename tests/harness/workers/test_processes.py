"""What the kernel tells of processes, and the end of whole trees."""

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from hessbench.workers import processes

TREE = """
import os, sys, time
for _ in range(3):
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            os.setsid()
        time.sleep(600)
print("ready", flush=True)
time.sleep(600)
"""


@pytest.fixture
def tree(marked):
    started = subprocess.Popen([sys.executable, "-c", TREE], stdout=subprocess.PIPE)
    assert started.stdout is not None
    assert started.stdout.readline() == b"ready\n"
    yield started
    for pid in (*processes.descendants(started.pid), started.pid):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    started.wait()
    started.stdout.close()


def test_descendants_are_found_whether_or_not_the_kernel_lists_children(tree, wait_until, monkeypatch):
    wait_until(lambda: len(processes.descendants(tree.pid)) == 6)
    listed = set(processes.descendants(tree.pid))
    monkeypatch.setattr(processes, "_tells_children", lambda: False)
    assert set(processes.descendants(tree.pid)) == listed


def test_a_tree_is_killed_whole_but_for_what_is_spared(tree, wait_until):
    wait_until(lambda: len(processes.descendants(tree.pid)) == 6)
    everyone = set(processes.descendants(tree.pid))
    # The three forks of the root have a child each; sparing one of the forks does not spare what is below it.
    spared = next(pid for pid in everyone if processes.descendants(pid))
    assert processes.kill_descendants(tree.pid, frozenset({spared})) == 5
    assert tree.poll() is None
    assert spared in processes.descendants(tree.pid)
    wait_until(lambda: processes.own_bytes(spared) > 0)


def test_a_mark_in_the_environment_or_in_the_name_of_an_open_file_finds_a_process(marked, wait_until):
    memory = os.memfd_create("told-by-name")
    os.set_inheritable(memory, True)
    by_environment = subprocess.Popen(["sleep", "600"], env={"MARK": "told-by-environment"})
    by_file = subprocess.Popen(["sleep", "600"], env={}, pass_fds=[memory])
    neither = subprocess.Popen(["sleep", "600"], env={})
    os.close(memory)
    processes.kill_marked("told-by-environment")
    processes.kill_marked("told-by-name")
    assert by_environment.wait(60) == by_file.wait(60) == -signal.SIGKILL
    assert neither.poll() is None
    neither.kill()
    neither.wait()


def test_memory_of_forks_counts_once(wait_until):
    code = "import os, time\nkept = bytearray(os.urandom(1 << 26))\nfor _ in range(3):\n    os.fork()\nos.read(0, 1)\n"
    root = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE)
    wait_until(lambda: len(processes.descendants(root.pid)) == 7)
    others = sum(map(processes.shared_out_bytes, processes.descendants(root.pid)))
    apart = sum(map(processes.own_bytes, processes.descendants(root.pid)))
    assert root.stdin is not None
    root.stdin.close()
    root.wait()
    if not Path("/proc/self/smaps_rollup").exists():
        pytest.skip("this kernel does not tell what processes share")
    assert apart > 6 << 26
    assert others < 2 << 26


def test_a_process_that_is_gone_holds_nothing_and_has_no_descendants():
    gone = subprocess.Popen(["true"])
    gone.wait()
    assert processes.own_bytes(gone.pid) == processes.shared_out_bytes(gone.pid) == 0
    assert processes.descendants(gone.pid) == []


def test_cached_files_do_not_count_against_a_control_group(monkeypatch, tmp_path):
    (tmp_path / "memory.max").write_text(str(1 << 30))
    (tmp_path / "memory.current").write_text(str((1 << 30) - 1000))
    (tmp_path / "memory.stat").write_text(f"anon 5\ninactive_file {1 << 29}\n")
    monkeypatch.setattr(processes, "_cgroup_folders", lambda: [tmp_path])
    assert processes.memory_left() == pytest.approx(0.5, abs=1e-3)


def test_what_a_dead_main_process_left_is_killed_and_what_a_living_one_has_is_not(marked, wait_until):
    sleep = "import time; print('ready', flush=True); time.sleep(600)"
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    mine = processes.new_mark()
    pid, started, number = mine.split("-")[1:]
    marks = {
        "mine": mine,
        "dead": f"hessbench-{gone.pid}-1-{number}",
        "reused": f"hessbench-{pid}-{int(started) + 7}-{number}",
        "none": f"hessbench-{number}",
    }
    sleepers = {
        name: subprocess.Popen(
            [sys.executable, "-c", sleep], env={**os.environ, "HESSBENCH_RUN": mark}, stdout=subprocess.PIPE,
            start_new_session=True,
        )
        for name, mark in marks.items()
    }  # fmt: skip
    try:
        for sleeper in sleepers.values():
            assert sleeper.stdout is not None
            assert sleeper.stdout.readline() == b"ready\n"
        assert processes.kill_orphans() >= 2
        assert [sleepers[name].wait(60) for name in ("dead", "reused")] == [-signal.SIGKILL] * 2
        assert [sleepers[name].poll() for name in ("mine", "none")] == [None, None]
    finally:
        for sleeper in sleepers.values():
            sleeper.kill()
            sleeper.wait()
            assert sleeper.stdout is not None
            sleeper.stdout.close()


def test_marked_processes_of_another_container_are_left_alone():
    # There the id of a living main is one of its own namespace, and says nothing about a process of that id here.
    mark = f"HESSBENCH_RUN=hessbench-1-1-{'0' * 32}"
    inside = ["unshare", "-Urpf", "--kill-child", "env", mark, "sh", "-c", "echo here; exec sleep 300"]
    with subprocess.Popen(inside, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as other:
        assert other.stdout is not None
        try:
            if other.stdout.readline() != "here\n":
                pytest.skip("no namespace can be made here")
            processes.kill_orphans()
            with pytest.raises(subprocess.TimeoutExpired):
                other.wait(0.5)
        finally:
            other.kill()
