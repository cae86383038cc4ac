"""What a cell would cost at another dimension: products that filled the dimension grow with it, others do not."""

from types import SimpleNamespace

import pytest

from hessbench.catalog import load_catalog
from hessbench.cells.cell import Cell
from hessbench.cells.messages import End
from hessbench.estimand import Trace
from hessbench.ledger.costs import Costs
from hessbench.ledger.record import Status
from hessbench.ledger.stored_references import Truth
from hessbench.running.rows import Context, outcome_rows
from hessbench.workers.messages import CellJob, Outcome

CATALOG = load_catalog()
PROBLEM, METHOD = "student-t[n=1000,zero_fraction=0.9]", "hutchinson"


@pytest.mark.parametrize(
    ("budget", "spans", "spent", "expected"),
    [
        (1000, True, 1000, 10_000),  # the budget was the dimension, and all of it was taken
        (1000, True, 40, 40),  # it needed less
        (40, False, 40, 40),  # the budget was a number
    ],
)
def test_products_at_another_dimension(budget, spans, spent, expected):
    cell = Cell(PROBLEM, METHOD, "trace", (budget,))
    bound = CATALOG.methods.entry_of(METHOD).bind(METHOD, Trace())
    context = Context(cell, "made-1", "", CATALOG.problem(PROBLEM), bound, spans=spans)
    outcome = Outcome(CellJob(cell), [End(Status.OK, costs=Costs(matvecs=spent))])
    writer = SimpleNamespace(save_arrays=None)
    *_, terminal = outcome_rows(context, outcome, Truth(), writer)
    assert terminal.cost_at["10000"][0] == expected
