"""The page: hostile names stay text, no raw second of two runs stands side by side, and every format says the same."""

import csv
import io
import re
from pathlib import Path

import pytest
from planted_ledgers import repeats

from hessbench.ledger.published import LedgerDescription, PublishedLedger
from hessbench.ledger.reading import Ledger
from hessbench.reports.leaderboard.board import BOARD_FORMATS, board, write_board
from hessbench.reports.leaderboard.gathering import OwnRun, gather_rows

HOSTILE = "<script>alert(1)</script>|`x`\n\u202e=cmd"


def everything(estimand):
    return bool(estimand)


def made(method="mine", problem="digits-mlp", command="hessbench leaderboard"):
    price = {"problem": problem, "device": "cpu", "dtype": "float32", "threads": 1, "gradient_seconds": 0.002}
    fields = {"problem": problem, "suite": "tiny-1", "environment": "e", "build": 600.0}
    theirs = [*repeats("theirs", error=lambda budget, repeat: 0.001, **fields),
              *repeats("far", error=lambda budget, repeat: 0.5, **fields)]  # fmt: skip
    mine = repeats(method, error=lambda budget, repeat: 0.002 if budget > 10 else 0.1, **fields)
    said = LedgerDescription(
        "tiny-1", "0" * 64, (), 9, 2, "cpu", "float32", 1, 7, {"python": "3.11"}, (HOSTILE,), ("2026",)
    )
    ledger = PublishedLedger(Path("ledgers/tiny-1"), said, "", Ledger(tuple(theirs), {"e": {}}, (price,)))
    own = OwnRun(method, "runs/mine", (f"{HOSTILE}.py",), Ledger(tuple(mine), {"e": {}}, (price,)))
    return board(gather_rows([ledger], [own], pytest.fail), command, everything)


def test_the_page_holds_the_bests_ones_own_place_and_what_replays_them(tmp_path):
    page = write_board(made(), tmp_path / "page").read_text()
    assert "2 of 3; theirs has 0.1 %" in page
    assert "2 of 2: 20, 2.00" in page
    assert page.count("hessbench replay") == 3
    assert "7 cells sealed" in page
    assert "perceptron, indefinite" in page
    assert "not reached: far" in page
    # Ten minutes of build are 300,000 gradients, and stand nowhere as minutes.
    assert "300,005" in page
    assert not re.search(r"\d (min|ms|h|s)\b", page)
    assert write_board(made(), tmp_path / "page").read_text() == page


def test_a_folder_of_something_else_is_left_alone(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(ValueError, match="out must be new, empty or an earlier leaderboard"):
        write_board(made(), tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["notes.txt"]


@pytest.mark.parametrize("format_", BOARD_FORMATS)
def test_hostile_names_stay_text(format_):
    text = BOARD_FORMATS[format_](made(HOSTILE, HOSTILE, HOSTILE))
    assert "<script>alert" not in (text if format_ != "csv" else "")
    assert "\u202e" not in text
    if format_ == "csv":
        rows = list(csv.DictReader(io.StringIO(text)))
        assert {row["state"] for row in rows} == {"reached", "not reached"}
        assert not any(cell.startswith(("=", "+", "@")) for row in rows for cell in row.values())


def test_the_csv_has_a_row_for_every_method_with_its_places_and_what_replays_it():
    rows = {row["method"]: row for row in csv.DictReader(io.StringIO(BOARD_FORMATS["csv"](made())))}
    assert {name: row["place_by_products"] for name, row in rows.items()} == {"theirs": "1.0", "mine": "2.0", "far": ""}
    assert rows["mine"]["products_over_best"] == "2.0"
    assert rows["mine"]["own"] == "True"
    assert rows["theirs"]["replay"].startswith("hessbench replay ledgers/tiny-1 ")
    assert not [name for name in rows["mine"] if name.endswith("_s")]


def test_nothing_to_show_is_refused():
    with pytest.raises(ValueError, match="nothing is to be shown"):
        board(gather_rows([], [], pytest.fail), "c", everything)
