"""The row schema: golden text, round trip, and refusal of what is not schema 1."""

import dataclasses
import json
import math
from pathlib import Path

import pytest

from hessbench.ledger.record import COLUMNS, SCHEMA, Kind, Record, Status

GOLDEN = Path(__file__).parent / "golden" / "record-schema-1.jsonl"
FIRST = GOLDEN.with_name("record-schema-1-first.jsonl")
MINIMAL = Record(Kind.TERMINAL, "c0ffee", "student-t", "lanczos", "trace", Status.OK)
FULL = dataclasses.replace(
    MINIMAL,
    kind=Kind.CHECKPOINT,
    suite="quick-1",
    traits=("psd", "synthetic"),
    counts={"hessian": 40},
    errors={"relative": 0.25, "ks": None},
    said_converged=True,
    diagnostics={"steps": 40},
    notes={"device_peak_bytes": "no device"},
    error=0.25,
    reason='<b>"quoted"</b>\nline',
)


def test_text_of_schema_1_is_frozen():
    assert GOLDEN.read_text().splitlines() == [MINIMAL.to_line(), FULL.to_line()]


@pytest.mark.parametrize(
    "column", ["cost_at", "peak_s", "load_s", "operator_bytes", "drew_random", "sealing_s", "sealed"]
)
def test_a_row_from_before_a_column_was_added_is_read(column):
    row = json.loads(FULL.to_line())
    del row[column]
    assert Record.from_row(row) == FULL


def test_rows_from_before_a_column_was_added_are_read():
    assert [Record.from_row(json.loads(line)) for line in FIRST.read_text().splitlines()] == [MINIMAL, FULL]


@pytest.mark.parametrize("record", [MINIMAL, FULL])
def test_a_row_survives_the_round_trip(record):
    assert Record.from_row(json.loads(record.to_line())) == record


def test_not_finite_numbers_become_null():
    row = json.loads(dataclasses.replace(MINIMAL, error=math.nan, errors={"a": math.inf}).to_line())
    assert row["error"] is None
    assert row["errors"] == {"a": None}


def test_a_row_is_one_line():
    assert "\n" not in FULL.to_line()


def test_every_field_is_a_column():
    assert set(json.loads(MINIMAL.to_line())) == set(COLUMNS)
    assert "pass" in COLUMNS


@pytest.mark.parametrize(
    "change", [{"schema": SCHEMA + 1}, {"schema": None}, {"surprise": 1}, {"status": "fine"}, {"kind": "row"}]
)
def test_a_row_of_another_schema_is_refused(change):
    row = json.loads(MINIMAL.to_line()) | change
    with pytest.raises(ValueError, match="schema"):
        Record.from_row(row)


def test_statuses_are_the_published_ones():
    assert {status.value for status in Status} == {
        "ok", "skipped", "over-budget", "diverged", "timeout", "oom-host", "oom-device", "crash", "error",
    }  # fmt: skip
