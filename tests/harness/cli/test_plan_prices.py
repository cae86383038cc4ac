"""What `plan` prints of prices, with prices that were planted: the sum, what dominates, and what does not fit."""

import io
from pathlib import Path

import pytest
from click.testing import CliRunner
from rich.console import Console

from hessbench.catalog import load_catalog
from hessbench.cli import main
from hessbench.cli.plan_prices import SHOWN, misfits, price_lines, price_text, sentences, show_prices
from hessbench.running.cell_prices import CellPrices, miss_key
from hessbench.running.plan import plan
from hessbench.running.price_store import PastPrediction, Place, PriceStore
from hessbench.running.suite import Cross, Suite
from hessbench.workers.price_messages import BlockPrice, BuiltPrice, MemoryPassPrice, Rehearsal

MIB = 1 << 20


def planned():
    suite = Suite("mine", 1, (Cross("trace", ("diagonal[n=100]", "student-t[n=200]"), ("hutchinson",), (4,), 2,
                                    memory=False),))  # fmt: skip
    return plan(suite, load_catalog(()))


@pytest.fixture
def prices(tmp_path):
    store = PriceStore(tmp_path / "prices.jsonl")
    for entry in planned():
        cheap = "diagonal" in entry.cell.problem
        store.add(
            Place.of(entry.cell),
            [
                BuiltPrice(kind_of_product="product", dim=entry.problem.dim, engine="", build_s=1.0 if cheap else 8.5,
                           build_peak_bytes=MIB, operator_bytes=MIB if cheap else 100 * MIB, base_bytes=MIB,
                           bandwidth=None),
                BlockPrice(kind_of_product="product", width=1, seconds=0.0, working_bytes=MIB),
                MemoryPassPrice(kind_of_product="product", width=1, seconds=0.0, counted_s=0.0),
                Rehearsal(method="hutchinson", estimand="trace", budget=4, dim=entry.problem.dim, allowed=4, spent=4,
                          own_s=0.0, counted_own_s=0.0, blocks={"product 1": 4}),
            ],
            0.5,
        )  # fmt: skip
    return CellPrices(store)


def test_lines_are_sums_over_cells_the_dearest_first(prices):
    first, second = price_lines(planned(), prices)
    assert (first.problem, first.cells, first.seconds, first.total_s) == ("student-t[n=200]", 2, 9.0, 18.0)
    assert (second.problem, second.total_s) == ("diagonal[n=100]", 3.0)
    assert 103 * MIB < first.held_bytes < 110 * MIB


def test_the_sum_and_what_dominates_it_are_said(prices):
    cells = planned()
    total, dominates = sentences(cells, price_lines(cells, prices), prices, None)
    assert total.startswith("about 21.0 s in all, at most 10")
    assert "references" in total
    assert dominates == "86% of it is hutchinson on student-t[n=200] (trace, 2 cells)"


def test_what_does_not_fit_is_said_once_with_its_parts(prices):
    (says,) = misfits(planned(), prices, 50 * MIB)
    assert says.startswith("will not fit: hutchinson on student-t[n=200] (trace) takes about 103 MiB, operator 100 MiB")
    assert says.endswith("--memory is 50.0 MiB")
    assert misfits(planned(), prices, None) == []


@pytest.mark.parametrize(("cap", "says"), [(80, "will not fit"), (100, "may not fit"), (110, "may not fit"), (130, "")])
def test_near_the_cap_it_is_said_with_less_certainty(prices, cap, says):
    found = misfits(planned(), prices, cap * MIB)
    assert [text[: len(says)] for text in found] == ([says] if says else [])


def test_what_the_machine_does_not_hold_is_said(prices, monkeypatch):
    class Small:
        total = 60 * MIB

    monkeypatch.setattr("hessbench.cli.plan_prices.psutil.virtual_memory", Small)
    (says,) = misfits(planned(), prices, None)
    assert says.endswith("the machine holds 59.0 MiB")


def test_a_cell_shows_its_price_and_how_far_off_the_last_one_was(prices):
    entry = next(entry for entry in planned() if "student-t" in entry.cell.problem)
    assert price_text(entry, prices).startswith("9.00 s, 10")
    prices._store.miss(miss_key(entry.cell), PastPrediction(9.0, 18.0, MIB, 2 * MIB))
    assert "last time 2.00\N{MULTIPLICATION SIGN}, memory 2.00\N{MULTIPLICATION SIGN}" in price_text(entry, prices)
    assert price_lines(planned(), prices)[0].last.startswith("2.00")


def test_a_plan_without_any_price_says_so(tmp_path):
    cells, prices = planned(), CellPrices(PriceStore(tmp_path / "none.jsonl"))
    assert sentences(cells, price_lines(cells, prices), prices, None) == ["no cell has a price"]


def test_the_table_is_printed_and_more_lines_than_it_shows_are_summed_up(prices, monkeypatch):
    monkeypatch.setattr("hessbench.cli.plan_prices.SHOWN", 1)
    console = Console(file=io.StringIO(), width=200)
    show_prices(console, planned(), prices, None, "told")
    text = console.file.getvalue()
    assert "18.0 s" in text
    assert "and 1 cheaper lines, 3.00 s together" in text
    assert text.splitlines()[-1] == "told"
    assert SHOWN > 1


def test_the_command_measures_within_its_limit_or_not_at_all(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HESSBENCH_CACHE", str(tmp_path / "cache"))
    Path("mine.toml").write_text(
        'name = "mine"\nversion = 1\n[[cross]]\nestimand = "trace"\nproblems = ["diagonal[n=100]"]\n'
        'methods = ["hutchinson"]\nnum_matvecs = [4]\nrepeats = 1\n'
    )
    runner = CliRunner()
    without = runner.invoke(main, ["plan", "mine.toml", "--no-prices"])
    assert without.exit_code == 0
    assert "in all" not in without.output
    nothing = runner.invoke(main, ["plan", "mine.toml", "--price-limit", "0.001s"])
    assert "no cell has a price" in nothing.output
    refused = runner.invoke(main, ["plan", "mine.toml", "--price-limit", "none"])
    assert "--no-prices measures nothing" in str(refused.exception) + refused.output
    measured = runner.invoke(main, ["plan", "mine.toml"])
    assert measured.exit_code == 0, measured.output
    assert "1 measured now" in measured.output
    assert "1 remembered" in runner.invoke(main, ["plan", "mine.toml", "--cells"]).output
