"""A ledger written before the house was redrawn is read, reported, resumed with no cell run again, and merged."""

import shutil
from pathlib import Path

import pytest

from hessbench.catalog import load_catalog
from hessbench.ledger.merging import merge
from hessbench.ledger.reading import Ledger
from hessbench.reports.page import render_report
from hessbench.running.plan import plan
from hessbench.running.runner import Options, run
from hessbench.running.suite import Cross, Suite

BEFORE = Path(__file__).parent / "golden" / "before"
SUITE = Suite.load(BEFORE / "suite.toml")
CELLS = 13
EXACT = ("matvecs", "calls", "counts", "gradient_equivalents", "samples", "problem_hash", "method_hash", "status")


@pytest.fixture
def folder(tmp_path):
    """A run's folder with the ledger of then, and nothing else of that run."""
    (tmp_path / "before" / "ledger").mkdir(parents=True)
    shutil.copy(BEFORE / "ledger.jsonl", tmp_path / "before" / "ledger" / "before.jsonl")
    return tmp_path / "before"


def test_it_is_read_whole_and_what_it_did_not_know_is_null(folder):
    ledger = Ledger.read(folder)
    assert (len(ledger.terminals), ledger.torn, ledger.damaged) == (CELLS, 0, ())
    assert {record.status for record in ledger.records} == {"ok"}
    assert {record.peak_s for record in ledger.records} == {None}
    assert ledger.to_frame()["peak_s"].isna().all()
    assert len(ledger.environments) == 1
    assert ledger.prices


def test_it_is_reported(folder):
    ledger = Ledger.read(folder)
    page = render_report(ledger, folder / "report", "hessbench report before")
    table = (folder / "report" / "table.csv").read_text().splitlines()
    assert "peak_s" in table[0]
    assert all(problem in page.read_text() for problem in {record.problem for record in ledger.records})


def test_it_is_resumed_with_nothing_run_again_and_no_cell_stale(folder, monkeypatch):
    (library,) = {record.library_version for record in Ledger.read(folder).terminals.values()}
    monkeypatch.setattr("hessbench.ledger.environment._version", lambda name: library.split()[-1])
    summary = run(SUITE, folder, Options(prices=False))
    assert (summary.planned, summary.ran, summary.skipped, summary.failed) == (CELLS, 0, 0, 0)
    assert (summary.kept, summary.stale) == (CELLS, 0)


def test_it_is_merged_with_a_new_one_whose_counts_and_errors_are_the_same(folder, tmp_path):
    cross = Cross("top-eigenvalues[k=3]", ("spectrum[n=30,name=step]",), ("lanczos[reorth=full]",), (8,))
    new = tmp_path / "new"
    run(Suite("before", 1, (cross,)), new, Options(prices=False))
    added = Ledger.read(new).terminals
    assert merge([folder, new], tmp_path / "both") == 2
    both = Ledger.read(tmp_path / "both")
    assert len(both.terminals) == CELLS
    assert both.superseded == len(added) == 2
    then = Ledger.read(folder).terminals
    for cell, record in added.items():
        assert {name: getattr(record, name) for name in EXACT} == {name: getattr(then[cell], name) for name in EXACT}
        assert record.error == pytest.approx(then[cell].error, rel=1e-3, abs=2e-6)
    peaks = {record.pass_: record.peak_s for record in added.values()}
    assert peaks["time"] is None
    assert peaks["memory"] > 0


def test_the_cells_of_its_suite_have_the_ids_of_then():
    assert {planned.cell.id for planned in plan(SUITE, load_catalog())} == set(Ledger.read(BEFORE).terminals)
