"""A method of one's own over a published suite: its budgets, repeats and seeds, and nobody else."""

import pytest
from planted_runs import tiny_suite

from hessbench.catalog import load_catalog
from hessbench.estimand import Diagonal
from hessbench.method import Method
from hessbench.running.own_suite import own_suite
from hessbench.running.plan import plan
from hessbench.running.suite import Suite


def everything(estimand):
    return bool(estimand)


def test_it_runs_alone_at_the_published_budgets_from_the_published_seeds():
    catalog = load_catalog()
    published = plan(tiny_suite(), catalog)
    asked = own_suite(tiny_suite(), catalog.methods["xtrace"], "xtrace", everything)
    cells = [entry.cell for entry in plan(asked, catalog)]
    assert {cell.method for cell in cells} == {"xtrace"}
    assert {cell.pass_ for cell in cells} == {"time"}
    known = {(entry.cell.problem, entry.cell.estimand, entry.cell.repeat, entry.cell.seed) for entry in published}
    assert {(cell.problem, cell.estimand, cell.repeat, cell.seed) for cell in cells} <= known
    assert {budget for cell in cells for budget in cell.budgets} == {6, 12}


def test_crosses_of_the_dimension_and_of_other_estimands_are_left_out():
    catalog = load_catalog()
    quick = Suite.load("quick")
    asked = own_suite(quick, catalog.methods["lanczos"], "lanczos[reorth=none]", everything)
    assert {cross.estimand for cross in asked.crosses} == {"top-eigenvalues[k=10]", "density"}
    assert all(cross.num_matvecs != ("n",) for cross in asked.crosses)
    only = own_suite(quick, catalog.methods["lanczos"], "lanczos", lambda estimand: estimand == "density")
    assert {entry.cell.estimand for entry in plan(only, catalog)} == {"density"}


def test_a_method_of_another_estimand_is_refused():
    method = Method("mine", lambda op, *, num_matvecs, generator: 0, (Diagonal,))
    with pytest.raises(ValueError, match=r"mine answers diagonal; the suite tiny-1 asks for trace"):
        own_suite(tiny_suite(), method, "mine", everything)
    with pytest.raises(ValueError, match="asks for nothing of that name"):
        own_suite(tiny_suite(), load_catalog().methods["xtrace"], "xtrace", lambda estimand: not estimand)
