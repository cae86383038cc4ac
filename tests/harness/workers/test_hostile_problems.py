"""Whatever an operator or a reference does: the cell's row says so, and no other row is touched."""

import re

import pytest

from hessbench import Ledger, Options, run
from hessbench.running.plan import Conditions

ENDS = {
    # problem: status, what the reason says, what the note on the error says
    "tiny": ("ok", "^$", None),
    "nan-at-once": ("error", "the operator returned values that are not finite", None),
    "nan-in-the-run": ("error", "the operator returned values that are not finite", None),
    "shape-at-once": ("error", r"the operator returned shape \(31, 3\), expected \(32, 3\)", None),
    "shape-in-the-run": ("error", r"the operator returned shape \(31, 1\), expected \(32, 1\)", None),
    "dtype-at-once": ("error", "the operator returned dtype torch.float16, expected torch.float32", None),
    "dtype-in-the-run": ("error", "the operator returned dtype torch.float16, expected torch.float32", None),
    "type-at-once": ("error", "the operator returned ndarray, expected a tensor", None),
    "type-in-the-run": ("error", "the operator returned ndarray, expected a tensor", None),
    "raises-at-once": ("error", "the operator gives up", None),
    "raises-in-the-run": ("error", "the operator gives up", None),
    "not-symmetric": ("error", "the operator is not symmetric: u^T A v and v^T A u differ", None),
    "not-linear": ("error", "the operator is not (symmetric|linear)", None),
    "cannot-build": ("error", "the weights are not there", None),
    "wrong-dim": ("error", "the operator has dimension 33, its problem declares 32", None),
    "dying-reference": ("ok", "^$", "no reference: ended with exit code 3"),
    "odd-reference": ("ok", "^$", "not scored: KeyError"),
    "raising-reference": ("ok", "^$", "no truth today"),
    "no-reference": ("ok", "^$", "the problem has no reference for this estimand"),
}


@pytest.fixture(scope="module")
def ledger(hostile, crossing, marked, tmp_path_factory) -> Ledger:
    folder = tmp_path_factory.mktemp("problems")
    run(crossing(" ".join(ENDS), "good", "8"), folder, Options((hostile,), prices=False))
    return Ledger.read(folder)


@pytest.mark.parametrize("problem", ENDS)
def test_row_says_what_was_wrong(ledger, problem):
    status, says, note = ENDS[problem]
    row = next(row for row in ledger.terminals.values() if row.problem == problem)
    assert row.status == status, row.reason
    assert re.search(says.replace("^T", r"\^T"), row.reason), row.reason
    if note:
        assert row.error is None
        assert note in row.notes["error"]


def test_an_operator_that_breaks_in_the_middle_leaves_what_was_spent(ledger):
    row = next(row for row in ledger.terminals.values() if row.problem == "raises-in-the-run")
    assert 0 < row.matvecs < 8


def test_a_reference_keeps_to_the_limit_that_cells_are_given(hostile, crossing, marked, monkeypatch, tmp_path):
    monkeypatch.setenv("HOSTILE_FLAG", str(tmp_path / "reference"))
    options = Options((hostile,), Conditions(timeout_s=3.0), prices=False)
    summary = run(crossing("slow-reference", "good", "8"), tmp_path / "run", options)
    assert (summary.ran, summary.failed) == (1, 0)
    (why,) = summary.missing.values()
    assert "stopped after the time limit of 3 s" in why
    again = run(crossing("slow-reference", "good", "8"), tmp_path / "run", options)
    assert (again.ran, again.missing) == (0, {})
    (row,) = Ledger.read(tmp_path / "run").terminals.values()
    assert row.error is not None
