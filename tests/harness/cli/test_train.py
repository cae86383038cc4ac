"""The verb `train`, as a user types it: real processes, a real kill, a cache of its own."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner
from safetensors.torch import load_file

from hessbench.cli import main

SPEC = "mlp[widths=4]"


def hessbench(*args: str, cache: Path, timeout: float = 120) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "hessbench", *args],
        env={**os.environ, "HESSBENCH_CACHE": str(cache), "COLUMNS": "200"},
        capture_output=True, text=True, check=False, timeout=timeout,
    )  # fmt: skip


def weights(cache: Path) -> dict[str, dict[str, bytes]]:
    """Bits of every tensor: a file's header may name them in any order."""
    files = sorted((cache / "weights").rglob("*.safetensors"))
    return {file.name: {name: value.numpy().tobytes() for name, value in load_file(file).items()} for file in files}


def test_it_trains_prints_what_was_reached_and_keeps_the_weights(tmp_path):
    first = hessbench("train", SPEC, cache=tmp_path)
    assert first.returncode == 0, first.stderr
    accuracies = [float(number) for number in re.findall(r"([0-9.]+) %", first.stdout)]
    assert accuracies[0] < 40
    assert accuracies[-1] > 70
    kept = weights(tmp_path)
    assert kept
    environment = {"HESSBENCH_CACHE": str(tmp_path), "COLUMNS": "200"}
    again = CliRunner().invoke(main, ["train", SPEC], env=environment, prog_name="hessbench")
    assert again.exit_code == 0
    assert again.stdout == first.stdout
    assert "training" not in again.stderr
    assert weights(tmp_path) == kept


@pytest.mark.slow
def test_one_that_was_killed_goes_on_and_ends_at_the_same_weights(tmp_path):
    spec = "mlp[widths=16-16]"
    whole = hessbench("train", spec, cache=tmp_path / "whole")
    assert whole.returncode == 0, whole.stderr
    command = [sys.executable, "-m", "hessbench", "train", spec]
    environment = {**os.environ, "HESSBENCH_CACHE": str(tmp_path / "killed")}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while not (tmp_path / "killed" / "weights").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    time.sleep(0.3)
    process.send_signal(signal.SIGKILL)
    process.wait()
    done = hessbench("train", spec, cache=tmp_path / "killed")
    assert done.returncode == 0, done.stderr
    assert done.stdout == whole.stdout
    assert weights(tmp_path / "killed") == weights(tmp_path / "whole")


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("student-t", "student-t has no weights to train; accepted: mlp, cnn-3c3d"),
        ("mlp[weights=random]", "has no weights to train"),
        ("mlpp", "did you mean 'mlp'"),
        ("mlp[widths=0]", "widths must be integers between 1 and"),
        ("mlp[data=mnits]", "data must be one of digits"),
    ],
)
def test_what_cannot_be_trained_is_refused_in_one_sentence(name, says, tmp_path, monkeypatch):
    monkeypatch.setenv("HESSBENCH_CACHE", str(tmp_path))
    refused = CliRunner().invoke(main, ["train", name])
    assert refused.exit_code == 2
    assert says in refused.stderr
    assert len(refused.stderr.strip().splitlines()) == 1
