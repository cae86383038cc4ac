"""Scoring: errors of stored estimates, once and again."""

import dataclasses
import math

import numpy as np
import pytest

from hessbench.estimand.base import Reference, Source
from hessbench.ledger.reading import Ledger
from hessbench.ledger.record import Kind, Record, Status
from hessbench.ledger.scoring import rescore, scored, with_errors_of
from hessbench.ledger.shown_errors import shown_error
from hessbench.ledger.stored_references import ReferenceStore
from hessbench.ledger.writing import LedgerWriter

BASE = Record(Kind.TERMINAL, "c0", "p", "m", "trace", Status.OK, problem_hash="h0", time="2024-01-01")
ROW = dataclasses.replace(BASE, kind=Kind.CHECKPOINT)
TRUTH = Reference({"trace": np.array([10.0]), "abs_sum": np.array([20.0])}, Source.ANALYTIC, norm=5.0)


def test_a_row_gets_its_errors_and_says_against_what():
    row = scored(ROW, {"trace": np.array([11.0])}, TRUTH)
    assert row.error == row.errors["relative_to_abs_sum"] == pytest.approx(1 / 20)
    assert row.errors["relative"] == pytest.approx(1 / 10)
    assert row.reference_source == "ANALYTIC"
    assert 0 < row.reference_bound < 1e-4


def test_the_bound_is_that_of_the_dtype_the_operator_computed_in():
    bounds = [
        scored(dataclasses.replace(ROW, dtype=dtype), {"trace": np.array([10.0])}, TRUTH).reference_bound
        for dtype in ("float64", "float32")
    ]
    assert 0 < bounds[0] < bounds[1] / 1e8


def test_without_a_reference_nothing_is_said():
    assert scored(ROW, {"trace": np.array([11.0])}, None) == ROW


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_an_error_that_is_not_finite_is_null(value):
    row = scored(ROW, {"trace": np.array([value])}, TRUTH)
    assert row.error is None
    assert {row.errors[name] for name in ("relative_to_abs_sum", "relative", "absolute")} == {None}


def test_the_terminal_row_says_what_the_last_checkpoint_of_its_own_estimand_said():
    rows = [dataclasses.replace(ROW, error=error, said_stderr=error) for error in (0.5, 0.25)]
    other = dataclasses.replace(ROW, estimand="density", error=0.9)
    terminal = with_errors_of(BASE, [*rows, other])
    assert (terminal.error, terminal.said_stderr, terminal.kind) == (0.25, 0.25, Kind.TERMINAL)
    assert with_errors_of(BASE, [other]) == BASE


def run(folder, *, reference=True, arrays=True, error=0.9):
    """A ledger whose errors are stale, 0.9 where 0.05 is right, and too few."""
    writer = LedgerWriter(folder)
    kept = writer.save_arrays("c0/0-trace", {"trace": np.array([11.0])})
    if not arrays:
        (folder / kept).unlink()
    writer.append(dataclasses.replace(ROW, arrays=kept, error=error, errors={"relative_to_abs_sum": error}))
    writer.append(dataclasses.replace(BASE, error=error))
    writer.close()
    if reference:
        ReferenceStore(folder).save("h0", "trace", TRUTH)


def test_scoring_again_appends_rows_that_stand_and_changes_nothing_before(tmp_path):
    run(tmp_path)
    before = {path: path.read_bytes() for path in (tmp_path / "ledger").iterdir()}
    assert rescore(tmp_path) == (1, 0)
    assert [row.error for row in Ledger.read(tmp_path).records] == [pytest.approx(0.05)] * 2
    assert all(path.read_bytes() == data for path, data in before.items())


def test_scoring_again_adds_the_errors_that_an_earlier_version_did_not_know(tmp_path):
    run(tmp_path, error=0.05)
    assert rescore(tmp_path) == (1, 0)
    for row in Ledger.read(tmp_path).records:
        assert row.error == pytest.approx(0.05)
        assert row.errors == pytest.approx(
            {"relative_to_abs_sum": 0.05, "relative": 0.1, "absolute": 1.0, "trace_share": 0.5}
        )
        assert shown_error(row).value == pytest.approx(0.1)


def test_scoring_again_twice_writes_nothing_new(tmp_path):
    run(tmp_path)
    rescore(tmp_path)
    files = sorted(path.name for path in (tmp_path / "ledger").iterdir())
    rescore(tmp_path)
    assert sorted(path.name for path in (tmp_path / "ledger").iterdir()) == files


@pytest.mark.parametrize("lacking", ["reference", "arrays"])
def test_what_cannot_be_scored_again_is_counted_and_left(tmp_path, lacking):
    run(tmp_path, **{lacking: False})
    assert rescore(tmp_path) == (0, 1)
    assert [row.error for row in Ledger.read(tmp_path).records] == [0.9, 0.9]


def test_a_folder_without_a_ledger_is_refused(tmp_path):
    with pytest.raises(ValueError, match="holds no ledger"):
        rescore(tmp_path)
