"""What a run takes at another size: what its method declares there, and not what it happened to take at a small one."""

import dataclasses

import pytest

from hessbench.catalog import load_catalog
from hessbench.estimand import parse_estimand
from hessbench.ledger.reading import Ledger
from hessbench.ledger.record import Kind
from hessbench.reports.costs.growth import needs_at
from hessbench.reports.costs.lines import lines
from hessbench.reports.costs.predict import PREDICTED_DIM
from hessbench.running.notebook import run_inline
from hessbench.running.plan import Conditions
from hessbench.running.suite import Cross, Suite

P = PREDICTED_DIM
CASES = (  # method, budget, products at P: a budget of n is P there, and dense makes the matrix whatever it was given
    ("dense", "n", P),
    ("dense", 100, P),
    ("lanczos", "n", P),
    ("lanczos", 20, 20),
    ("lanczos", 100, 100),
    ("hutchpp", 20, 20),
    ("slq[steps=60]", 60, 60),
    ("simultaneous-iteration[oversampling=50]", 80, 80),
    ("block-krylov[block=8]", 30, 24),
    ("sketch", "n", P),
)


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """Rows of real runs on an operator of dimension 40, by method and budget."""
    folder = tmp_path_factory.mktemp("ran")
    crosses = []
    for method, budget, _ in CASES:
        estimand = "trace" if method in ("hutchpp",) else "density" if method[:3] == "slq" else "top-eigenvalues[k=10]"
        crosses.append(Cross(estimand, ("student-t[n=40]",), (method,), (budget,), memory=False))
    found = {}
    for number, (cross, case) in enumerate(zip(crosses, CASES, strict=True)):
        run_inline(Suite("growth", 1, (cross,)), load_catalog(), folder / str(number), Conditions())
        found[case[:2]] = [r for r in Ledger.read(folder / str(number)).records if r.kind is Kind.TERMINAL]
    return found


def test_products_and_footprint_are_those_declared_at_the_size_asked_for(ran, make_price):
    prices = [make_price(P, 0.5, threads=1)]
    for method, budget, products in CASES:
        (row,) = ran[method, budget]
        assert row.status == "ok", row.reason
        (line,) = lines([row], prices)
        bound = load_catalog().method(row.method, parse_estimand(row.estimand))
        declared = bound.footprint(P, P if products == P else row.budget)
        assert line.prediction.products_s == pytest.approx(0.5 * products), method
        assert line.prediction.memory_bytes == pytest.approx(declared.vectors * P * 4), method
        assert line.prediction.own_s == pytest.approx(declared.passes * P * 4 / 1e10), method


def test_between_the_sizes_that_are_named_a_cost_lies_on_a_line(ran):
    (row,) = ran["dense", "n"]
    needs = needs_at(row, 250_000)
    assert needs.products == pytest.approx(250_000)
    assert needs.vectors == pytest.approx(6 * 250_000)
    assert needs_at(row, 40).products == 40


def test_a_ledger_without_the_column_says_nothing_of_what_spanned_the_dimension(ran, make_price):
    (old, short) = (dataclasses.replace(ran[case][0], cost_at={}) for case in (("dense", "n"), ("lanczos", 20)))
    (line,) = lines([old], [make_price(P, 0.5, threads=1)])
    assert line.prediction.seconds is None
    assert line.prediction.memory_bytes is None
    assert "as many products as the dimension" in line.reasons["predicted_s"]
    assert needs_at(short, P).products == 20
