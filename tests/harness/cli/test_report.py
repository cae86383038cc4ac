"""What `report` and `run` print of a ledger is what its page says."""

import io
import re

import pytest
from click.testing import CliRunner
from rich.console import Console

from hessbench.cli import main
from hessbench.cli.folders import finish
from hessbench.ledger.record import Kind, Record, Status
from hessbench.ledger.writing import LedgerWriter

SIZES = (10**4, 10**5, 10**6)


@pytest.fixture
def folder(tmp_path):
    """A run at three sizes, with the prices that tell its time at the largest from the sizes below."""
    writer = LedgerWriter(tmp_path)
    for place, n in enumerate(SIZES):
        shared = {
            "cell": f"{place:032x}", "problem": f"student-t[n={n}]", "method": "hutchinson", "estimand": "trace",
            "problem_hash": f"{place:016x}", "method_hash": "a" * 16, "dim": n, "budget": 20, "matvecs": 20,
            "counts": {"product": 20}, "wall_s": n * 540e-9, "operator_s": n * 300e-9, "own_vectors": 20.0,
            "own_passes": 400.0,
        }  # fmt: skip
        writer.append(Record(kind=Kind.CHECKPOINT, status=Status.OK, checkpoint=0, error=0.1, **shared))
        writer.append(Record(kind=Kind.TERMINAL, status=Status.OK, error=0.1, **shared))
        price = {
            "problem": "student-t", "measured_problem": "student-t", "kind_of_product": "product", "dim": n,
            "seconds": n * 1e-8, "bandwidth": 1e10, "device": "cpu", "dtype": "float32", "threads": 1,
        }  # fmt: skip
        writer.append_price(price)
    writer.close()
    return tmp_path


def predicted(text):
    """Seconds predicted for the largest size, and measured, as they are written."""
    return re.search(r"1,000,000\W+(\d+ ms)\D*?(\d+ ms)", text).groups()


def test_the_terminal_predicts_what_the_page_predicts(folder):
    found = CliRunner().invoke(main, ["report", str(folder)], catch_exceptions=False)
    assert found.exit_code == 0
    assert predicted(found.output) == ("360 ms", "540 ms")
    rows = (folder / "report" / "scale.md").read_text(encoding="utf-8").splitlines()
    (row,) = [row for row in rows if "1,000,000" in row]
    assert "360 ms" in row
    assert "540 ms" in row


def test_a_run_ends_with_what_its_report_prints(folder):
    printed = CliRunner().invoke(main, ["report", str(folder)], catch_exceptions=False).output
    text = io.StringIO()
    finish(folder, Console(file=text, width=200), report=False)
    assert text.getvalue().strip() in printed
    assert predicted(text.getvalue()) == ("360 ms", "540 ms")
