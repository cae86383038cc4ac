"""A full disk, a folder that cannot be written: exit code 2, one sentence, and nothing that was there is lost."""

import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from hessbench.cli import main

SUITE = """
name = "disk"
version = 1
[[cross]]
estimand = "diagonal"
problems = ["diagonal[n=500]"]
methods = ["hutchinson-diagonal"]
num_matvecs = [4, 8]
repeats = 30
memory = false
"""


def mount(folder: Path, options: str) -> None:
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], capture_output=True, check=False
    )
    if done.returncode:
        pytest.skip(f"a small file system cannot be mounted here: {done.stderr.decode().strip()}")


@pytest.fixture
def disk(tmp_path) -> Iterator[Path]:
    """A file system of 160 KiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount(folder, "size=160k")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.fixture
def suite(tmp_path) -> str:
    path = tmp_path / "disk.toml"
    path.write_text(SUITE)
    return str(path)


@pytest.fixture
def command(capfd):
    """Runs the command line; gives its exit code and what it said on standard error."""

    def call(*arguments: str) -> tuple[int, list[str]]:
        with pytest.raises(SystemExit) as end:
            main(list(arguments), prog_name="hessbench")
        return int(end.value.code or 0), capfd.readouterr().err.splitlines()

    return call


def test_a_full_disk_ends_in_one_sentence_and_the_rest_is_done_when_there_is_room(
    disk, suite, command, rows_of, marked
):
    code, said = command("run", suite, "--out", str(disk / "run"), "--no-report", "--no-prices")
    assert code == 2
    assert said[-1].startswith("hessbench: the disk is full; every row written before is kept")
    assert not any("Traceback" in line for line in said)
    before = [row["cell"] for row in rows_of(disk / "run")]
    assert 0 < len(before) < 30
    assert not list((disk / "run").rglob(".*")), "nothing half-written is left under a name of its own"
    subprocess.run(["mount", "-o", "remount,size=20m", str(disk)], check=True)
    code, _ = command("run", suite, "--out", str(disk / "run"), "--no-report", "--no-prices")
    assert code == 0
    after = Counter(row["cell"] for row in rows_of(disk / "run"))
    assert len(after) == 30
    assert set(after.values()) == {1}
    assert set(before) <= set(after)


def test_a_disk_without_any_room_is_said_before_anything_runs(disk, suite, command):
    with pytest.raises(OSError, match="No space left"):
        (disk / "filler").write_bytes(bytes(1 << 20))
    code, said = command("run", suite, "--out", str(disk / "run"), "--no-report", "--no-prices")
    assert (code, len(said)) == (2, 1)
    assert "the disk is full" in said[0]


def test_a_read_only_folder_is_refused(disk, suite, command):
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    code, said = command("run", suite, "--out", str(disk / "run"), "--no-report", "--no-prices")
    assert (code, len(said)) == (2, 1)
    assert "cannot be written" in said[0]
    assert "a writable folder is accepted" in said[0]


@pytest.mark.parametrize("below", ["", "/run", "/deep/run"])
def test_a_path_through_a_file_is_refused(below, tmp_path, suite, command):
    (tmp_path / "file").write_text("in the way")
    code, said = command("run", suite, "--out", f"{tmp_path}/file{below}", "--no-report", "--no-prices")
    assert (code, len(said)) == (2, 1)
    assert "a writable folder is accepted" in said[0]
    assert (tmp_path / "file").read_text() == "in the way"
