"""References of a run: built once, shared through the cache where a hash of content stands for them."""

import json
from pathlib import Path

import pytest

from hessbench.catalog import load_catalog
from hessbench.ledger.reading import Ledger
from hessbench.running.runner import Options, run
from hessbench.running.suite import Cross, Suite

PLUGIN = """
import os
import pathlib
import signal
import numpy as np
import torch
from hessbench import Problem, Trace
from hessbench.estimand.base import Reference, Source
from hessbench.operators import dense_operator

HERE = pathlib.Path("THE FOLDER")

def answer(_):
    with (HERE / "asked").open("a") as log:
        log.write("x")
    return Reference({"trace": np.array([8.0]), "abs_sum": np.array([8.0])}, Source.DENSE, 1.0)

def dies(_):
    done = HERE / "asked"
    times = len(done.read_text()) if done.exists() else 0
    reference = answer(_)
    if times < int((HERE / "deaths").read_text()):
        os.kill(os.getpid(), signal.SIGKILL)
    return reference

def build(device, dtype):
    return dense_operator(torch.eye(8, dtype=dtype))

def prepare(say):
    say("getting it")
    if (HERE / "offline").exists():
        raise OSError("no network; put data.bin there by hand")
    (HERE / "data.bin").write_text("here")

def unavailable():
    return None if (HERE / "data.bin").exists() else "data.bin is missing: run gets it"

PROBLEMS = [
    Problem("hashed", 8, build, {Trace: answer}, fingerprint=lambda: "content"),
    Problem("dies", 8, build, {Trace: dies}, fingerprint=lambda: "other content"),
    Problem("shown", 8, build, {Trace: answer}),
    Problem("fetched", 8, build, {Trace: answer}, unavailable=unavailable, prepare=prepare),
]
"""


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HESSBENCH_CACHE", str(tmp_path / "cache"))
    file = tmp_path / "plugin.py"
    file.write_text(PLUGIN.replace("THE FOLDER", str(tmp_path)))
    return file


def run_one(plugin: Path, out: str, problem: str, reporter=None, *, references: bool = True):
    suite = Suite("truths", 1, (Cross("trace", (problem,), ("hutchinson",), (4,), memory=False),))
    folder = plugin.parent / out
    options = Options(plugins=(str(plugin),), prices=False, references=references)
    run(suite, folder, options, catalog=load_catalog(options.plugins), reporter=reporter)
    (row,) = Ledger.read(folder).terminals.values()
    return row


def asked(plugin: Path) -> int:
    return len((plugin.parent / "asked").read_text())


def test_a_reference_of_hashed_content_is_built_once_for_all_folders(plugin):
    assert run_one(plugin, "one", "hashed").error == 0
    assert run_one(plugin, "two", "hashed").error == 0
    assert asked(plugin) == 1
    assert list((plugin.parent / "two" / "references").rglob("*.npz"))


def test_without_making_references_those_that_are_kept_are_taken(plugin):
    row = run_one(plugin, "one", "hashed", references=False)
    assert row.error is None
    assert "none was to be made" in row.notes["error"]
    assert not (plugin.parent / "asked").exists()
    run_one(plugin, "two", "hashed")
    assert run_one(plugin, "three", "hashed", references=False).error == 0
    assert run_one(plugin, "one", "hashed").error == 0
    assert asked(plugin) == 1


def test_a_damaged_reference_in_the_cache_is_built_again(plugin):
    run_one(plugin, "one", "hashed")
    (file,) = (plugin.parent / "cache").rglob("*.npz")
    file.write_bytes(file.read_bytes()[:50])
    assert run_one(plugin, "two", "hashed").error == 0
    assert asked(plugin) == 2


def test_a_problem_known_by_a_few_products_is_answered_anew_in_every_folder(plugin):
    run_one(plugin, "one", "shown")
    run_one(plugin, "two", "shown")
    assert asked(plugin) == 2
    assert not list((plugin.parent / "cache").rglob("*.npz"))


def test_a_cache_that_cannot_be_written_costs_nothing_but_a_word(plugin, monkeypatch):
    (plugin.parent / "cache").write_text("a file where the folder should be")
    assert run_one(plugin, "one", "hashed").error == 0


def test_what_a_problem_misses_is_fetched_before_the_run(plugin):
    assert run_one(plugin, "one", "fetched").status == "ok"


def test_where_that_fails_its_cells_are_skipped_with_the_remedy(plugin):
    (plugin.parent / "offline").touch()
    row = run_one(plugin, "one", "fetched")
    assert row.status == "skipped"
    assert row.reason == "data.bin is missing: run gets it"


def test_the_rows_of_two_folders_have_the_same_answer(plugin):
    first, second = (run_one(plugin, out, "hashed") for out in ("one", "two"))
    assert first.errors == second.errors
    assert first.reference_source == second.reference_source == "DENSE"
    assert json.loads(json.dumps(first.notes)) == second.notes


def test_a_reference_that_is_killed_once_is_built_all_the_same(plugin):
    (plugin.parent / "deaths").write_text("1")
    assert run_one(plugin, "one", "dies").error == 0
    assert asked(plugin) == 2


def test_a_reference_that_comes_later_scores_the_rows_that_were_kept(plugin):
    (plugin.parent / "deaths").write_text("2")
    first = run_one(plugin, "one", "dies")
    assert first.error is None
    assert "SIGKILL" in first.notes["error"]
    again = run_one(plugin, "one", "dies")
    assert (again.error, again.matvecs, again.attempt) == (0, first.matvecs, 2)
    assert "error" not in again.notes
    assert run_one(plugin, "one", "dies") == again
