"""A run is published when it is whole, of one frozen suite, and of the methods that are here."""

import json
from dataclasses import replace

import pytest
from planted_runs import planted_run, tiny_suite, tiny_text

from hessbench.catalog import load_catalog
from hessbench.ledger.published import read_published
from hessbench.ledger.reading import Ledger
from hessbench.ledger.record import Kind
from hessbench.ledger.writing import LedgerWriter
from hessbench.running import publishing
from hessbench.running.frozen import suite_hash
from hessbench.running.publishing import publish, suite_of

FROZEN = {"tiny-1": suite_hash(tiny_suite())}


@pytest.fixture(autouse=True)
def tiny_ships(monkeypatch):
    monkeypatch.setattr(publishing, "shipped_suite", lambda label: (tiny_suite(), tiny_text()))


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return planted_run(tmp_path_factory.mktemp("run"), arrays="arrays/x.npz")


def rewritten(run, folder, change):
    """The rows of a run, each changed or left out, in another folder."""
    writer = LedgerWriter(folder)
    for row in Ledger.read(run).records:
        if (changed := change(row)) is not None:
            writer.append(changed)
    writer.close()
    return folder


def test_what_is_published_says_what_it_is_and_holds_no_array(run, tmp_path):
    done = publish(run, tmp_path, load_catalog(), frozen=FROZEN)
    assert (done.folder, done.left_out) == (tmp_path / "tiny-1", 0)
    read = read_published(done.folder)
    said = read.description
    assert (said.suite, said.suite_sha256, said.cells) == ("tiny-1", FROZEN["tiny-1"], 22)
    assert (said.device, said.dtype, said.threads, said.commands) == ("cpu", "float32", 1, ("hessbench run tiny",))
    assert said.versions["torch"] == "2.13.0"
    assert {row.arrays for row in read.ledger.records} == {""}
    assert suite_of(read, FROZEN).crosses == tiny_suite().crosses


def test_rows_of_an_added_method_are_left_out(run, tmp_path):
    def added(row):
        return replace(row, method="mine", cell=f"{int(row.cell, 16) ^ 1:016x}")

    more = rewritten(run, tmp_path / "more", added)
    rewritten(run, more, lambda row: row)
    done = publish(more, tmp_path, load_catalog(), frozen=FROZEN)
    assert done.left_out == done.description.cells == 22


def test_rows_of_an_earlier_version_stand_and_those_of_a_later_one_are_not_read(run, tmp_path):
    cell = first_cell(run)
    earlier = rewritten(run, tmp_path / "one", lambda row: replace(row, suite="tiny-0") if row.cell == cell else row)
    done = publish(earlier, tmp_path, load_catalog(), frozen=FROZEN)
    assert {row.suite for row in read_published(done.folder).ledger.records} == {"tiny-0", "tiny-1"}
    file = done.folder / "ledger.json"
    file.write_text(file.read_text().replace('"tiny-1"', '"tiny-0"'))
    with pytest.raises(ValueError, match="holds rows of the suite tiny-1"):
        read_published(done.folder)


def first_cell(run):
    return min(row.cell for row in Ledger.read(run).records)


def test_what_is_not_whole_or_not_the_suites_is_refused(run, tmp_path):
    cell = first_cell(run)
    changes = {
        "the run is not finished: 1 of 22 cells": lambda row: None if row.cell == cell else row,
        "must hold rows of one suite": lambda row: replace(row, suite="quick-2") if row.cell == cell else row,
        "one set of conditions": lambda row: replace(row, threads=2) if row.cell == cell else row,
        "by another version of it": lambda row: replace(row, method_hash="0" * 16) if row.cell == cell else row,
    }
    for number, (says, change) in enumerate(changes.items()):
        with pytest.raises(ValueError, match=says):
            publish(rewritten(run, tmp_path / str(number), change), tmp_path, load_catalog(), frozen=FROZEN)
    with pytest.raises(ValueError, match="not frozen"):
        publish(run, tmp_path, load_catalog(), frozen={})
    with pytest.raises(ValueError, match="does not cross what its version does"):
        publish(run, tmp_path, load_catalog(), frozen={"tiny-1": "0" * 64})
    with pytest.raises(ValueError, match="holds no ledger"):
        publish(tmp_path / "nowhere", tmp_path, load_catalog(), frozen=FROZEN)
    with pytest.raises(ValueError, match="parts below 500 bytes are published"):
        publish(run, tmp_path, load_catalog(), frozen=FROZEN, limit=500)
    assert not (tmp_path / "tiny-1").exists()


def test_a_suite_that_is_not_what_the_ledger_says_is_refused(run, tmp_path):
    folder = publish(run, tmp_path, load_catalog(), frozen=FROZEN).folder
    text = (folder / "suite.toml").read_text()
    (folder / "suite.toml").write_text(text.replace("repeats = 3", "repeats = 2"))
    with pytest.raises(ValueError, match="the published ledger tiny-1: the suite tiny-1 does not cross"):
        suite_of(read_published(folder), FROZEN)
    (folder / "suite.toml").write_text("name = ")
    with pytest.raises(ValueError, match=r"the published ledger tiny-1: suite\.toml is not valid TOML"):
        suite_of(read_published(folder), FROZEN)
    (folder / "suite.toml").write_text(text)
    file = folder / "ledger.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"suite_sha256": "0" * 64}))
    with pytest.raises(ValueError, match="says it is of tiny-1"):
        suite_of(read_published(folder), FROZEN)


def test_every_cell_is_one_of_the_plan(run):
    assert {row.kind for row in Ledger.read(run).records} == {Kind.CHECKPOINT, Kind.TERMINAL}
