"""`compare` as a user meets it: forms, exit codes, and what it refuses to say of seconds."""

import dataclasses
import json

import pytest
from click.testing import CliRunner

from hessbench.cli import main
from hessbench.ledger.record import Kind, Record, Status
from hessbench.ledger.writing import LedgerWriter


def ledger(folder, factor=1.0):
    """A run of a random method: five repeats on two problems."""
    writer = LedgerWriter(folder)
    for problem in ("p", "q"):
        for repeat in range(5):
            row = Record(Kind.TERMINAL, f"{problem}{repeat}", problem, "hutchpp", "trace", Status.OK, repeat=repeat,
                         matvecs=20, budget=20, error=0.1 * (1 + repeat) * factor, drew_random=True)  # fmt: skip
            writer.append(dataclasses.replace(row, environment="e"))
    writer.close()
    return str(folder)


def said(*arguments):
    return CliRunner().invoke(main, ["compare", *arguments])


def test_a_regression_ends_with_1_and_its_threshold_can_be_moved(tmp_path):
    old, new = ledger(tmp_path / "old"), ledger(tmp_path / "new", 2.0)
    assert said(old, old).exit_code == 0
    found = said(old, new)
    assert found.exit_code == 1
    assert found.output.startswith("10 cells compared: 1 regression\n")
    assert said(old, new, "--threshold", "3").exit_code == 0


@pytest.mark.parametrize(("form", "begins"), [("markdown", "**10 cells"), ("html", "<!doctype html>"), ("json", "{")])
def test_forms(tmp_path, form, begins):
    old, new = ledger(tmp_path / "old"), ledger(tmp_path / "new", 2.0)
    found = said(old, new, "--format", form)
    assert found.exit_code == 1
    assert found.output.startswith(begins)
    if form == "json":
        assert json.loads(found.output)["lines"][0]["where"] == "hutchpp trace on cpu float32 1"


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--time"], "seconds of two ledgers are not compared"),
        (["--rounds", "5"], "--suite and --rounds are accepted with --interleaved only"),
        (["--interleaved"], "is no checkout of hessbench: it has no harness/"),
        (["--threshold", "1"], "threshold must be above 1"),
    ],
)
def test_what_is_refused_is_one_sentence(tmp_path, options, says):
    old = ledger(tmp_path / "old")
    found = said(old, old, *options)
    assert found.exit_code == 2
    assert says in found.output
    assert len(found.output.splitlines()) == 1
