"""`kill -9`, a full disk, a second process: nothing is lost, nothing half-written is read, nothing is trained twice."""

import contextlib
import errno
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from hessbench.problems.training import is_cached, trained
from hessbench.problems.training.sealed import unseal


def equal(one, other):
    return one.keys() == other.keys() and all(torch.equal(value, other[name]) for name, value in one.items())


@pytest.fixture
def ask(task, recipe, small):
    def call(step, say=None):
        return trained(task.model, task.initial, small.ARCHITECTURE, task.inputs, task.labels, recipe, step, say=say)

    return call


@pytest.fixture
def uninterrupted(ask, recipe, tmp_path, cache):
    """Every named step of a training in a cache of its own that nothing disturbed."""

    def states():
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("HESSBENCH_CACHE", str(tmp_path / "uninterrupted"))
            return {step: ask(step) for step in recipe.checkpoints}

    return states


def kept_step(path: Path) -> int:
    """Step of the file a training goes on from, which is whole whenever it is there."""
    try:
        return int(unseal(path.read_bytes())[1]["step"])
    except FileNotFoundError:
        return 0


@pytest.mark.parametrize("past", [1, 6, 23])
def test_a_killed_training_goes_on_and_ends_in_the_same_bits(
    past, training, store, ask, recipe, wait_until, uninterrupted
):
    killed = training(0.03, save_every=0).process
    wait_until(lambda: kept_step(store.resume_path) >= past)
    assert killed.pid
    os.kill(killed.pid, signal.SIGKILL)
    killed.join()
    assert killed.exitcode == -signal.SIGKILL
    kept = kept_step(store.resume_path)
    assert past <= kept < 40
    said: list[str] = []
    found = {step: ask(step, said.append) for step in recipe.checkpoints[::-1]}
    assert f"going on from step {kept} of 40" in said
    expected = uninterrupted()
    assert all(equal(found[step], expected[step]) for step in recipe.checkpoints)
    assert sorted(path.name for path in store.folder.iterdir()) == sorted(
        ["lock", *(f"step-{step}.safetensors" for step in recipe.checkpoints)]
    )


def test_what_a_killed_process_left_half_written_is_removed(ask, store):
    store.folder.mkdir(parents=True)
    left = store.folder / ".step-5.safetensors.0123abcd"
    left.write_bytes(b"half")
    ask(5)
    assert not left.exists()


def test_a_second_process_waits_and_finds_what_the_first_has_trained(training, wait_until):
    first = training(0.03)
    wait_until(lambda: first.log.exists() and "step 5 of" in first.log.read_text())
    second = training(0.0)
    assert sum("kept" in text for text in first.said()) == 4
    assert second.said() == ["another process is training the same network; waiting for it", "finished"]


def test_one_that_asks_while_another_trains_reads_what_is_there_already(training, store, wait_until, ask, task):
    other = training(0.1)
    wait_until(store.path(0).exists)
    said: list[str] = []
    assert equal(ask(0, said.append), task.initial)
    assert other.process.is_alive(), "it was not waited for"
    assert said == []


def test_one_that_dies_lets_go(training, store, wait_until, ask):
    other = training(0.1)
    wait_until(store.path(0).exists)
    other.process.kill()
    other.process.join()
    said: list[str] = []
    ask(40, said.append)
    assert said[0].startswith("training small-conv")


@pytest.fixture
def disk(tmp_path, monkeypatch) -> Iterator[Path]:
    """A cache on a file system of 200 KiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if done.returncode:
        pytest.skip(f"a small file system cannot be mounted here: {done.stderr.decode().strip()}")
    monkeypatch.setenv("HESSBENCH_CACHE", str(folder))
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.mark.parametrize("full_after", [0, 5, 10])
def test_a_full_disk_in_the_middle_ends_in_one_sentence_and_the_same_call_completes(
    full_after, disk, ask, task, recipe, small, uninterrupted
):
    filler = disk / "filler"

    def fill(said: str) -> None:
        if said.startswith(f"step {full_after} of"):
            with filler.open("wb", buffering=0) as stream, contextlib.suppress(OSError):
                while True:
                    stream.write(bytes(4096))

    with pytest.raises(
        OSError, match=r"the disk is full at step .* of a training: what was kept before stands"
    ) as full:
        ask(40, fill)
    assert full.value.errno == errno.ENOSPC
    assert "\n" not in str(full.value)
    for step in recipe.checkpoints:
        cached = is_cached(task.initial, small.ARCHITECTURE, task.inputs, task.labels, recipe, step)
        assert cached == (step <= full_after)
    assert not list(disk.rglob(".*")), "nothing half-written is left"
    filler.unlink()
    found = {step: ask(step) for step in (40, 10, 5, 0)}
    assert all(equal(found[step], state) for step, state in uninterrupted().items())


def test_a_disk_without_any_room_is_said(disk, ask):
    with pytest.raises(OSError, match="No space left"):
        (disk / "filler").write_bytes(bytes(1 << 20))
    with pytest.raises(OSError, match="the disk is full at step 0"):
        ask(0)
