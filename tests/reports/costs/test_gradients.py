"""Prices of products in gradients: timed by the worker, kept in the ledger, printed beside the nominal ones."""

import pytest

from hessbench.catalog import load_catalog
from hessbench.ledger.typed_fields import plain
from hessbench.reports.costs.gradients import unit_frame, unit_prices, unit_sheet
from hessbench.reports.costs.prices import ladders
from hessbench.reports.page import render_report
from hessbench.workers.jobs import perform
from hessbench.workers.messages import UnitJob

PROBLEM = "digits-mlp[operator=ggn,step=0]"


def timed(problem=PROBLEM):
    """Price rows as a worker hands them in."""
    said = []
    perform(UnitJob(problem, "cpu", "float32", 1), load_catalog(), said.append, lambda spent: None)
    assert said[-1].status == "ok", said[-1]
    return [{**plain(price), "kind": "price"} for price in said[:-1]]


def row(kind, ratio, **fields):
    return {
        "kind": "price", "problem": "mlp", "measured_problem": "mlp", "kind_of_product": kind, "dim": 9,
        "nominal": 1.5, "in_gradients": ratio, "in_gradients_min": ratio / 2, "in_gradients_max": ratio * 2,
        "column_seconds": ratio / 50, "gradient_seconds": 0.02, "device": "cpu", "dtype": "float32", "threads": 2,
        **fields,
    }  # fmt: skip


def test_every_kind_a_problem_offers_is_timed_beside_its_gradient():
    rows = {row["kind_of_product"]: row for row in timed()}
    assert {kind: row["nominal"] for kind, row in rows.items()} == pytest.approx(
        {"gradient": 1, "ggn": 4 / 3, "vjp": 2 / 3, "per-example-square": 2 / 3}
    )
    assert rows["gradient"]["in_gradients"] == 1
    for priced in rows.values():
        assert 0 < priced["in_gradients_min"] <= priced["in_gradients"] <= priced["in_gradients_max"]


def test_where_there_is_no_gradient_a_product_is_the_unit():
    (row,) = timed("student-t[n=50]")
    assert (row["kind_of_product"], row["nominal"], row["in_gradients"]) == ("product", 1, 1)
    assert row["gradient_seconds"] == row["column_seconds"] > 0
    assert unit_prices([], [row]) == ()


def test_a_ladder_is_not_changed_by_prices_in_gradients(make_price):
    rungs = [make_price(10**4, 1e-3), make_price(10**5, 1e-2)]
    assert ladders([*rungs, row("product", 1.0, problem="student-t")]) == ladders(rungs)


def test_measured_and_nominal_stand_side_by_side_and_what_is_missing_is_said(builder):
    # 80 products in 0.12 s: 1.5 ms a column, where a gradient takes 20 ms.
    builder.cell(problem="mlp", counts={"hessian": 80})
    builder.cell(problem="mlp", method="mc", counts={"vjp": 40, "per-example-square": 40})
    builder.cell(problem="other", counts={"hessian": 80})
    builder.cell(counts={"product": 80})
    found = unit_prices(builder.rows, [row("per-example-square", 1.4), row("hessian", 1.9), row("gradient", 1.0)])
    assert [(price.problem, price.kind) for price in found] == [
        ("mlp", "gradient"), ("mlp", "hessian"), ("mlp", "per-example-square"), ("mlp", "vjp"), ("other", "hessian"),
    ]  # fmt: skip
    _, hessian, square, vjp, other = found
    assert (square.nominal, square.measured.median, square.measured.low, square.measured.high) == (1.5, 1.4, 0.7, 2.8)
    assert hessian.in_runs.median == pytest.approx(0.0015 / 0.02)
    assert square.in_runs is None
    assert (vjp.nominal, vjp.measured) == (None, None)
    assert (other.nominal, other.measured, other.in_runs) == (2.0, None, None)
    sheet = unit_sheet(found)
    assert [cell.text for cell in sheet.rows[2]][1:4] == ["per-example-square", "1.50", "1.40"]
    assert any("not measured" in note for note in sheet.notes)
    assert list(unit_frame(found)["measured_max"])[2] == 2.8


@pytest.mark.usefixtures("undrawn")
def test_the_page_prints_them(builder, tmp_path):
    from hessbench.ledger.reading import Ledger

    builder.cell(problem="mlp", counts={"ggn": 80})
    ledger = Ledger(tuple(builder.rows), {}, (row("ggn", 1.23), row("gradient", 1.0)))
    page = render_report(ledger, tmp_path / "page", "hessbench report").read_text()
    section = page.partition('<h2 id="gradients">')[2].partition("<h2")[0]
    assert "1.23" in section
    assert "1.50" in section
    assert (tmp_path / "page" / "gradients.csv").read_text().startswith("problem,kind,where,nominal,measured")


@pytest.mark.slow
def test_a_run_times_them_once_and_keeps_what_its_cells_take_elsewhere(tmp_path):
    from hessbench.ledger.reading import Ledger
    from hessbench.running.runner import Options, run
    from hessbench.running.suite import Cross, Suite

    # A block has no ladder, so these are the only prices.
    cross = Cross("trace", ("mlp[block=fc2,per_class=1,weights=random,widths=3]",), ("hutchinson",), (4, "n"))
    for _ in range(2):
        run(Suite("priced", 1, (cross,)), tmp_path, Options())
        ledger = Ledger.read(tmp_path)
        assert [row["kind_of_product"] for row in ledger.prices] == ["gradient", "hessian"]
    assert {row.cost_at["10000000"][0] for row in ledger.terminals.values()} == {10_000_000}
    assert unit_prices(ledger.records, ledger.prices)[1].in_runs is not None
