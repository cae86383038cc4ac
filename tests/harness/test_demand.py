"""What a run asks of an operator stands while it is built, and not after."""

import pytest
import torch

from hessbench.cells.build import build
from hessbench.cells.cell import Cell
from hessbench.demand import Demand, demanded, demanding
from hessbench.operators import FunctionOperator
from hessbench.problem import Problem
from hessbench.problems.curvature.engines.limits import LIMITS, limits_of


def test_nothing_is_asked_by_default_and_nothing_is_left():
    assert demanded() == Demand()
    with demanding(Demand(7, 100)):
        assert demanded() == Demand(7, 100)
        with demanding(Demand(8)):
            assert demanded() == Demand(8)
        assert demanded() == Demand(7, 100)
    assert demanded() == Demand()


def test_a_build_that_fails_leaves_nothing():
    with pytest.raises(RuntimeError), demanding(Demand(7)):
        raise RuntimeError
    assert demanded() == Demand()


@pytest.mark.parametrize("field", ["num_products", "cap_bytes"])
def test_numbers_below_one_are_refused(field):
    with pytest.raises(ValueError, match=f"{field} must be at least 1, got 0"):
        Demand(**{field: 0})


@pytest.mark.parametrize(("largest", "asked"), [(None, 40), (500, 500)])
def test_a_cell_asks_for_the_largest_budget_of_its_run_and_its_cap(largest, asked):
    seen: list[Demand] = []

    def make(device, dtype):
        seen.append(demanded())
        return FunctionOperator(lambda block: block, 3, dtype, device)

    cell = Cell("tiny", "hutchinson", "trace", (10, 40), memory_cap_bytes=10**9)
    build(cell, Problem("tiny", 3, make), largest)
    assert seen == [Demand(asked, 10**9)]


def test_half_of_a_cap_on_the_host_is_the_engine_s_and_says_nothing_of_another_device():
    assert limits_of(Demand(), torch.device("cpu")) == LIMITS
    limits = limits_of(Demand(500, 1000), torch.device("cpu"), 4)
    assert (limits.num_products, limits.cap_bytes, limits.micro_batch) == (500, 500, 4)
    assert limits_of(Demand(500, 1000), torch.device("cuda")).cap_bytes is None
    assert limits_of(Demand(cap_bytes=1), torch.device("cpu")).cap_bytes == 1
