"""What a cell will take: planted prices give known sums, and what was not measured is not made up."""

import dataclasses

import pytest

from hessbench.catalog import load_catalog
from hessbench.cells.cell import MEMORY, TIME
from hessbench.ledger.record import Kind, Record, Status
from hessbench.running.cell_prices import CellPrices, guessed_seconds, remembered
from hessbench.running.plan import plan
from hessbench.running.price_store import Place, PriceStore
from hessbench.running.suite import Cross, Suite
from hessbench.workers.price_messages import BlockPrice, BuiltPrice, MemoryPassPrice, Rehearsal

PROBLEM, DIM, MIB = "student-t[n=2000]", 2000, 1 << 20
BUILT = BuiltPrice(kind_of_product="product", dim=DIM, engine="any", build_s=3.0, build_peak_bytes=5 * MIB,
                   operator_bytes=2 * MIB, base_bytes=300 * MIB, bandwidth=None)  # fmt: skip
# 0.25 s a call and 0.25 s a column; 1 MiB for each column.
BLOCKS = [
    BlockPrice(kind_of_product="product", width=1, seconds=0.5, working_bytes=MIB),
    BlockPrice(kind_of_product="product", width=5, seconds=1.5, working_bytes=5 * MIB),
]
# A product takes twice as long in the memory pass, and counting 1 s for each.
COUNTED = [
    MemoryPassPrice(kind_of_product="product", width=1, seconds=1.0, counted_s=2.0),
    MemoryPassPrice(kind_of_product="product", width=5, seconds=3.0, counted_s=4.0),
]
REHEARSAL = Rehearsal(method="sketch", estimand="trace", budget=20, dim=DIM, allowed=20, spent=20, own_s=0.125,
                      counted_own_s=0.25, blocks={"product 5": 3, "product 3": 2})  # fmt: skip


@pytest.fixture
def store(tmp_path):
    return PriceStore(tmp_path / "prices.jsonl")


def cells(method="sketch", budgets=(20,), problem=PROBLEM, estimand="trace", repeats=1):
    suite = Suite("mine", 1, (Cross(estimand, (problem,), (method,), budgets, repeats),))
    planned = plan(suite, load_catalog(()))
    return {entry.cell.pass_: entry for entry in planned}


def planted(store, entry, *found, start_s=0.0625):
    store.add(Place.of(entry.cell), [BUILT, *BLOCKS, *COUNTED, *found], start_s)
    return CellPrices(store)


def test_seconds_are_those_of_the_start_the_build_the_warm_up_the_blocks_and_the_method(store):
    entry = cells()[TIME]
    price = planted(store, entry, REHEARSAL).cell_price(entry)
    assert (price.start_s, price.build_s, price.own_s, price.counted_s) == (0.0625, 3.0, 0.125, 0.0)
    assert price.products_s == 3 * 1.5 + 2 * 1.0
    # The check has three columns, the sketch is one block of 20, and a column is multiplied before the run and after.
    assert price.warmup_s == 1.0 + 5.25 + 2 * 0.5
    assert price.seconds == 0.0625 + 3.0 + 7.25 + 6.5 + 0.125


def test_the_memory_pass_runs_a_second_time_with_flops_counted_and_all_under_its_own_settings(store):
    entry = cells()[MEMORY]
    price = planted(store, entry, REHEARSAL).cell_price(entry)
    assert price.counted_s == 3 * 4.0 + 2 * 3.0 + 0.25
    assert (price.build_s, price.products_s, price.own_s) == (2 * 3.0, 2 * 6.5, 0.125)
    assert price.warmup_s == 2 * 7.25


def test_without_a_price_under_the_settings_of_the_memory_pass_its_cells_have_none(store):
    found = cells()
    store.add(Place.of(found[TIME].cell), [BUILT, *BLOCKS, REHEARSAL])
    prices = CellPrices(store)
    assert prices.is_measured(found[TIME])
    assert not prices.is_measured(found[MEMORY])


def test_bytes_are_those_of_the_operator_the_widest_product_and_the_method_s_vectors(store):
    entry = cells()[TIME]
    price = planted(store, entry, REHEARSAL).cell_price(entry)
    vectors = entry.bound.footprint(DIM, 20).vectors
    assert price.own_bytes == int(vectors * DIM * 4)
    assert price.working_bytes == 20 * MIB
    assert price.run_bytes == 22 * MIB + price.own_bytes
    assert price.held_bytes == price.run_bytes
    heavy = dataclasses.replace(BUILT, build_peak_bytes=100 * MIB)
    store.add(Place.of(entry.cell), [heavy, *BLOCKS])
    assert CellPrices(store).cell_price(entry).held_bytes == 100 * MIB


def test_a_longer_run_takes_in_proportion_and_longer_vectors_by_the_declared_passes(store):
    entry = cells(budgets=(40,))[TIME]
    short = dataclasses.replace(REHEARSAL, budget=40, dim=DIM // 2)
    price = planted(store, entry, short).cell_price(entry)
    assert price.products_s == 2 * 6.5
    passes = [entry.bound.footprint(dim, budget).passes * dim for dim, budget in ((DIM, 40), (DIM // 2, 20))]
    assert price.own_s == pytest.approx(0.25 + (passes[0] - passes[1]) * 4 / 1e10)


def test_without_a_build_or_a_rehearsal_there_is_no_price_and_the_weight_is_a_guess(store):
    entry = cells()[TIME]
    prices = CellPrices(store)
    assert prices.cell_price(entry).seconds is None
    assert not prices.is_measured(entry)
    assert prices.cell_seconds(entry) == guessed_seconds(entry) > 0
    price = planted(store, entry).cell_price(entry)
    assert price.seconds is None
    assert price.run_bytes is not None
    assert "not rehearsed" in price.reasons[0]


def test_a_guess_weighs_by_products_dimension_network_and_pass():
    one = cells()[TIME]
    for more in (cells(budgets=(500,))[TIME], cells(problem="student-t[n=2000000]")[TIME],
                 cells(problem="mlp[weights=random]")[TIME], cells()[MEMORY]):  # fmt: skip
        assert guessed_seconds(more) > guessed_seconds(one)


def row(entry, **fields):
    cell = entry.cell
    known = {"status": Status.OK, "build_s": 6.0, "warmup_s": 1.0, "overhead_s": 0.125, "wall_s": 4.0,
             "operator_bytes": 10 * MIB, "host_peak_bytes": 12 * MIB, "pass_": cell.pass_} | fields  # fmt: skip
    return Record(Kind.TERMINAL, cell.id, cell.problem, cell.method, cell.estimand, **known)


def test_the_last_misprediction_of_a_cell_is_remembered_for_every_repeat(store):
    entry = cells()[TIME]
    prices = planted(store, entry, REHEARSAL)
    assert prices.last_miss(entry) is None
    prices.remember(entry, row(entry))
    again = CellPrices(PriceStore(store.file))
    miss = again.last_miss(cells(repeats=3)[TIME])
    assert miss.measured_s == 11.125
    assert miss.seconds_ratio == 11.125 / prices.cell_price(entry).seconds
    assert miss.bytes_ratio == 22 * MIB / prices.cell_price(entry).run_bytes
    assert again.last_miss(cells(budgets=(30,))[TIME]) is None
    assert again.last_miss(cells()[MEMORY]) is None


def test_a_failed_cell_says_nothing_of_a_price(store):
    entry = cells()[TIME]
    prices = CellPrices(store)
    prices.remember(entry, row(entry, status=Status.TIMEOUT))
    assert prices.last_miss(entry) is None
    assert not store.file.exists()


def test_a_cell_whose_parts_have_no_price_has_that_of_its_last_run(store):
    entry = cells()[TIME]
    prices = CellPrices(store)
    assert prices.cell_price(entry).seconds is None
    prices.remember(entry, row(entry))
    again = CellPrices(PriceStore(store.file))
    assert again.cell_price(cells(repeats=3)[TIME]).seconds == 11.125
    assert again.is_measured(entry)
    assert again.last_miss(entry).seconds_ratio is None
    assert again.cell_price(cells(budgets=(30,))[TIME]).seconds is None
    assert planted(PriceStore(store.file), entry, REHEARSAL).cell_price(entry).seconds != 11.125


def test_a_method_whose_declarations_raise_has_no_price_and_its_reason(store, monkeypatch):
    entry = cells()[TIME]
    prices = planted(store, entry, REHEARSAL)
    monkeypatch.setattr(type(entry.bound), "block_widths", lambda self, budget: 1 // 0)
    assert prices.cell_price(entry).seconds is None
    assert "ZeroDivisionError" in prices.cell_price(entry).reasons[0]
    assert prices.cell_seconds(entry) > 0


def test_what_the_cache_remembers_prices_a_plan(monkeypatch, tmp_path):
    monkeypatch.setenv("HESSBENCH_CACHE", str(tmp_path))
    entry = cells()[TIME]
    planted(PriceStore(), entry, REHEARSAL)
    assert remembered([entry]).is_measured(entry)
