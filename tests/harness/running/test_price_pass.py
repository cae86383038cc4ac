"""The pass that measures what a plan lacks: once, within its limit, and saying why something is missing."""

import pytest

from hessbench.catalog import load_catalog
from hessbench.running.cell_prices import remembered
from hessbench.running.plan import plan
from hessbench.running.price_pass import price_plan
from hessbench.running.price_store import Place, PriceStore
from hessbench.running.runner import Options, run
from hessbench.running.suite import Cross, Suite


@pytest.fixture
def store(tmp_path):
    return PriceStore(tmp_path / "prices.jsonl")


def planned(*problems, plugins=()):
    suite = Suite("mine", 1, (Cross("trace", problems, ("hutchinson",), (4, 8)),))
    return plan(suite, load_catalog(plugins))


def test_prices_are_measured_once_and_then_remembered(ready_to_count, store):
    cells = planned("student-t[n=100]", "diagonal[n=100]")
    told = []
    prices, summary = price_plan(cells, store, 60.0, told.append, catalog=load_catalog())
    assert (summary.remembered, summary.measured, summary.missing) == (0, 2, {})
    assert told == ["price of the products of diagonal[n=100]", "price of the products of student-t[n=100]"]
    assert all(prices.is_measured(entry) for entry in cells)
    assert "2 measured now" in summary.text
    _, again = price_plan(cells, PriceStore(store.file), 60.0, told.append)
    assert (again.remembered, again.measured, again.text) == (2, 0, "problems with prices: 2 remembered")
    assert len(told) == 2


def test_a_run_is_rehearsed_once_for_all_problems_of_at_least_the_dimension_of_a_rehearsal(store):
    cells = planned("student-t[n=1000]", "student-t[n=1500]", "student-t[n=100]")
    prices, summary = price_plan(cells, store, 120.0, lambda text: None)
    assert summary.measured == 3
    assert all(prices.is_measured(entry) for entry in cells)
    small, one, other = (store.of(Place(f"student-t{n}", "cpu", "float32", 1)).rehearsals
                         for n in ("[n=100]", "", "[n=1500]"))  # fmt: skip
    assert one == other
    assert set(small) == set(one)
    assert not any(small[run] == one[run] for run in small)
    assert price_plan(cells, PriceStore(store.file), 60.0, lambda text: None)[1].remembered == 3


def test_a_run_keeps_what_its_cells_took_beside_what_was_predicted(ready_to_count, tmp_path, monkeypatch):
    monkeypatch.setenv("HESSBENCH_CACHE", str(tmp_path / "cache"))
    cells = planned("diagonal[n=100]")
    price_plan(cells, PriceStore(), 60.0, lambda text: None, catalog=load_catalog())
    suite = Suite("mine", 1, (Cross("trace", ("diagonal[n=100]",), ("hutchinson",), (4, 8)),))
    run(suite, tmp_path / "run", Options(prices=False), catalog=load_catalog())
    prices = remembered(cells)
    misses = [prices.last_miss(entry) for entry in cells]
    assert all(miss.seconds_ratio > 0 for miss in misses)
    assert [miss.bytes_ratio is not None for miss in misses] == [entry.cell.pass_ == "memory" for entry in cells]


def test_without_time_nothing_is_measured_and_that_is_said(store):
    prices, summary = price_plan(planned("student-t[n=100]"), store, 0.0, lambda text: None)
    assert summary.missing == {"student-t[n=100]": "none is remembered"}
    assert not any(prices.is_measured(entry) for entry in planned("student-t[n=100]"))
    assert summary.text.splitlines() == [
        "problems with prices: 1 missing", "no price of student-t[n=100]: none is remembered",
    ]  # fmt: skip


def test_a_problem_that_cannot_be_built_has_no_price_and_its_reason(store, tmp_path):
    plugin = tmp_path / "broken.py"
    plugin.write_text(
        "from hessbench.problem import Problem, ProblemFamily\n"
        "def build(device, dtype):\n    raise ValueError('no such matrix')\n"
        "def make(*, n: int = 3):\n    return Problem('broken', n, build)\n"
        "PROBLEMS = [ProblemFamily('broken', make)]\n"
    )
    cells = planned("broken", "diagonal[n=100]", plugins=(str(plugin),))
    _, summary = price_plan(cells, store, 60.0, lambda text: None, plugins=(str(plugin),))
    assert "no such matrix" in summary.missing["broken"]
    assert summary.measured == 1
