"""What a prompt and a notebook show of a ledger: short, whatever it holds."""

import dataclasses
from pathlib import Path

import pytest

from hessbench.ledger.reading import Ledger
from hessbench.ledger.record import Kind, Record, Status
from hessbench.ledger.shown import MOST_LINES

BEFORE = Ledger.read(Path(__file__).parent / "golden" / "before")
ROW = Record(Kind.TERMINAL, "c0", "p", "m", "trace", Status.OK, problem_hash="h", budget=10, error=0.5)


def test_a_prompt_shows_one_line():
    assert repr(BEFORE) == str(BEFORE)
    assert repr(BEFORE).startswith(f"Ledger of {len(BEFORE.terminals)} cells (13 ok): ")
    assert repr(BEFORE).endswith(f"; {len(BEFORE.records)} rows in to_frame()")
    assert "\n" not in repr(BEFORE)
    assert repr(Ledger(())) == "Ledger without a finished cell"


def test_one_of_a_thing_is_not_several():
    failed = dataclasses.replace(ROW, cell="c1", status=Status.TIMEOUT)
    assert repr(Ledger((ROW, failed))) == (
        "Ledger of 2 cells (1 ok, 1 timeout): 1 problem, 1 estimand, 1 method; 2 rows in to_frame()"
    )


def test_a_notebook_shows_a_line_for_each_method():
    shown = BEFORE._repr_html_()
    assert repr(BEFORE) in shown
    for record in BEFORE.records:
        assert record.method in shown
        assert record.problem in shown


@pytest.mark.parametrize("count", [1, 5000])
def test_a_large_ledger_stays_short(count):
    ledger = Ledger(tuple(dataclasses.replace(ROW, cell=f"c{n}", method=f"m{n}") for n in range(count)))
    assert len(repr(ledger)) < 200
    shown = ledger._repr_html_()
    assert len(shown) < 20_000
    assert shown.count("<tr>") == 1 + min(count, MOST_LINES)
    assert ("lines more" in shown) is (count > MOST_LINES)


def test_what_a_name_holds_is_text():
    assert "<b>" not in Ledger((dataclasses.replace(ROW, method="<b>"),))._repr_html_()
