"""Two checkouts in turns: which cells, what is refused, and a run of this checkout against itself."""

from pathlib import Path

import pytest

from hessbench.catalog import load_catalog
from hessbench.running.plan import Conditions
from hessbench.running.suite import Cross, Suite
from hessbench.studies.interleaved import Turns, timed_cells, timed_in_turns

ROOT = Path(__file__).parents[3]
SMALL = Suite(
    "small",
    1,
    (
        Cross("trace", ("student-t[n=100]",), ("hutchinson", "hutchpp"), (10, 20), repeats=2),
        Cross("density", ("student-t[n=100]",), ("slq",), (20,)),
    ),
)


def test_each_method_is_timed_at_its_largest_budget_once():
    cells = timed_cells(SMALL, load_catalog(), Conditions())
    assert [(cell.method, cell.estimand, cell.budgets) for cell in cells] == [
        ("hutchinson", "trace", (10, 20)), ("hutchpp", "trace", (20,)), ("slq", "density", (20,)),
    ]  # fmt: skip


@pytest.mark.parametrize("missing", ["harness", "methods"])
def test_a_folder_that_is_no_checkout_is_refused(tmp_path, missing):
    for part in {"harness", "problems", "methods", "reports"} - {missing}:
        (tmp_path / part).mkdir()
        (tmp_path / part / "__init__.py").touch()
    with pytest.raises(ValueError, match=f"is no checkout of hessbench: it has no {missing}/"):
        Turns(tmp_path, tmp_path, SMALL)


@pytest.mark.parametrize("rounds", [2, 1001])
def test_too_few_rounds_are_refused(rounds):
    with pytest.raises(ValueError, match="rounds must be from 3 to 1000"):
        Turns(ROOT, ROOT, SMALL, rounds=rounds)


@pytest.mark.slow
@pytest.mark.skipif(not (ROOT / "harness").is_dir(), reason="these tests are run beside no checkout")
def test_a_checkout_takes_turns_with_itself():
    said: list[str] = []
    pairs = timed_in_turns(Turns(ROOT, ROOT, SMALL, rounds=3), load_catalog(), said.append)
    assert len(pairs) == 9
    assert {pair.turn for pair in pairs} == {1, 2, 3}
    assert all(pair.is_timed for pair in pairs)
    assert all(min(*pair.seconds, *pair.operator_s, *pair.cpu_s) > 0 for pair in pairs)
    assert said[-1] == "round 3 of 3"


def test_a_checkout_that_does_not_start_is_said(tmp_path):
    for part in ("harness", "problems", "methods", "reports"):
        (tmp_path / part).mkdir()
        (tmp_path / part / "__init__.py").write_text("raise SystemExit(3)\n")
    with pytest.raises(ValueError, match="ended with exit code 3"):
        timed_in_turns(Turns(tmp_path, tmp_path, SMALL), load_catalog(), lambda _: None)
