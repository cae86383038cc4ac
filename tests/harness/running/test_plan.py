"""From a suite to cells: crossings, skips, order and shards."""

import numpy as np
import pytest

from hessbench.catalog import Catalog
from hessbench.cells.cell import MEMORY, TIME, Cell
from hessbench.estimand import Estimate, TopEigenvalues, Trace
from hessbench.method import Method
from hessbench.operators import dense_operator
from hessbench.problem import Problem, ProblemFamily
from hessbench.registry import Registry
from hessbench.running.plan import Conditions, PlannedCell, conditions_of, largest_budgets, plan, shard
from hessbench.running.suite import Cross, Suite


def flat(n, **more):
    return Problem("flat", n, lambda device, dtype: dense_operator(np.eye(n), device, dtype), **more)


def one_shot(op, /, *, num_matvecs, generator):
    return Estimate(1.0)


def anytime(op, /, *, num_matvecs, generator, depth=1):
    yield Estimate(1.0)


def top(op, /, *, num_matvecs, generator, k):
    yield Estimate(1.0)


def make_flat(*, n: int = 50, instance: int = 0):
    return flat(n)


CATALOG = Catalog(
    Registry(
        "problem",
        [
            ProblemFamily("flat", make_flat, presets=("flat", "flat[n=5]")),
            ProblemFamily("gone", lambda: flat(50, unavailable=lambda: "its file is missing: set IT")),
        ],
    ),
    Registry(
        "method",
        [
            Method("once", one_shot, (Trace,)),
            Method("any", anytime, (Trace,), presets=("any", "any[depth=2]")),
            Method("needs-psd", one_shot, (Trace,), requires=("psd",)),
            Method("needs-many", anytime, (Trace,), min_matvecs=30),
            Method("values", top, (TopEigenvalues,)),
        ],
    ),
)


def planned(problems, methods, budgets=(20, 40), estimand="trace", conditions=None, **more):
    cross = Cross(estimand, tuple(problems), tuple(methods), tuple(budgets), **more)
    return plan(Suite("s", 1, (cross,)), CATALOG, conditions)


def cells(*arguments, **more):
    return [(p.cell.method, p.cell.budgets, p.cell.pass_) for p in planned(*arguments, **more)]


def test_an_anytime_method_is_one_cell_for_the_grid_and_a_one_shot_one_per_budget():
    assert sorted(cells(["flat"], ["any", "once"], memory=False)) == [
        ("any", (20, 40), TIME), ("once", (20,), TIME), ("once", (40,), TIME),
    ]  # fmt: skip


def test_the_memory_pass_is_one_cell_at_the_largest_budget_and_comes_last():
    found = cells(["flat"], ["any", "once"], repeats=2)
    assert sorted(found[-2:]) == [("any", (40,), MEMORY), ("once", (40,), MEMORY)]
    assert all(pass_ == TIME for _, _, pass_ in found[:-2])


def test_repeats_are_interleaved_across_methods():
    repeats = [p.cell.repeat for p in planned(["flat", "flat[n=60]"], ["any", "once"], repeats=3, memory=False)]
    assert repeats == sorted(repeats)
    assert repeats.count(0) == repeats.count(2) == 6


def test_the_order_is_the_same_every_time_and_mixes_the_methods():
    one = planned(["flat", "flat[instance=[1,2,3]]"], ["any", "once"])
    assert [p.cell.id for p in one] == [p.cell.id for p in planned(["flat", "flat[instance=[1,2,3]]"], ["any", "once"])]
    methods = [p.cell.method for p in one if p.cell.pass_ == TIME]
    assert methods != sorted(methods)


def test_n_stands_for_the_dimension_and_equal_budgets_are_one():
    assert cells(["flat"], ["any"], ["n", 50, np.int64(20), 20], memory=False) == [("any", (20, 50), TIME)]
    (cell,) = [p.cell for p in planned(["flat"], ["any"], [np.int64(20)], memory=False)]
    assert type(cell.budget) is int


def test_a_cell_named_twice_is_planned_once():
    assert len(planned(["flat", "flat[instance=0]", "flat[n=50]"], ["any", "any[depth=1]", "a?y"])) == 4


def test_conditions_override_the_suite():
    asked = Conditions("cuda", "float64", 4, 60.0, 10)
    (cell,) = [p.cell for p in planned(["flat"], ["any"], memory=False, conditions=asked)]
    assert (cell.device, cell.dtype, cell.threads) == ("cuda", "float64", 4)
    assert (cell.timeout_s, cell.memory_cap_bytes) == (60.0, 10)


def test_problems_and_methods_are_named_by_their_canonical_specs():
    (found,) = planned(["flat[instance=0,n=60]"], ["any[depth=1]"], memory=False)
    assert (found.cell.problem, found.cell.method, found.cell.estimand) == ("flat[n=60]", "any", "trace")


@pytest.mark.parametrize(
    ("problems", "methods", "says"),
    [(["flat"], ["needs-psd"], "requires the trait 'psd'"), (["gone"], ["any"], "its file is missing: set IT")],
)
def test_what_cannot_run_is_skipped_with_the_reason_once_per_grid(problems, methods, says):
    found = planned(problems, methods, [20], repeats=3)
    assert len(found) == 1
    assert says in found[0].skip_reason


def test_a_budget_too_small_is_refused_by_name_and_skipped_by_glob():
    with pytest.raises(ValueError, match="needs-many needs at least 30 products on flat, got num_matvecs = 20"):
        planned(["flat"], ["needs-many"])
    found = {p.cell.budgets: p.skip_reason for p in planned(["flat"], ["needs-m*"], memory=False)}
    assert found[(40,)] == ""
    assert "at least 30" in found[(20,)]


def test_a_glob_leaves_out_methods_that_do_not_answer_and_a_name_is_refused():
    assert {p.cell.method for p in planned(["flat"], ["*"])} == {
        "once", "any", "any[depth=2]", "needs-psd", "needs-many",
    }  # fmt: skip
    with pytest.raises(ValueError, match="does not answer trace"):
        planned(["flat"], ["values"])


def test_more_eigenvalues_than_the_dimension_are_refused_by_name_and_skipped_by_glob():
    with pytest.raises(ValueError, match=r"flat\[n=5\].*between 1 and the dimension 5"):
        planned(["flat[n=5]"], ["values"], estimand="top-eigenvalues[k=6]")
    found = {
        p.cell.problem: p.skip_reason
        for p in planned(["fla*"], ["values"], estimand="top-eigenvalues[k=6]", memory=False)
    }
    assert found["flat"] == ""
    assert "dimension 5" in found["flat[n=5]"]


@pytest.mark.parametrize(
    ("problems", "methods", "estimand"),
    [(["flt"], ["any"], "trace"), (["flat"], ["an"], "trace"), (["flat[m=1]"], ["any"], "trace"),
     (["flat"], ["any[depth=x]"], "trace"), (["flat"], ["any"], "tracee"), (["z*"], ["any"], "trace")],
)  # fmt: skip
def test_what_is_not_registered_or_accepted_is_refused(problems, methods, estimand):
    with pytest.raises(ValueError, match=r"flat|flt|an|depth|tracee|z\*"):
        planned(problems, methods, estimand=estimand)


@pytest.mark.parametrize("count", [1, 2, 3, 7])
def test_shards_part_the_plan(count):
    whole = planned(["flat[instance=[0,1,2,3]]"], ["any", "once"])
    parts = [shard(whole, index, count) for index in range(1, count + 1)]
    assert sorted(p.cell.id for part in parts for p in part) == sorted(p.cell.id for p in whole)


def test_the_shard_of_a_cell_does_not_depend_on_the_other_cells():
    whole = planned(["flat[instance=[0,1,2,3]]"], ["any", "once"])
    assert shard(whole[3:], 2, 3) == [p for p in shard(whole, 2, 3) if p in whole[3:]]


@pytest.mark.parametrize(("index", "count"), [(0, 2), (3, 2), (-1, 2), (1, 0)])
def test_a_shard_that_is_not_there_is_refused(index, count):
    with pytest.raises(ValueError, match="shard must be between"):
        shard([], index, count)


def test_the_largest_budget_of_a_problem_under_its_conditions_is_that_of_all_methods():
    cells = [
        Cell("flat", "one-shot", "trace", (10,)),
        Cell("flat", "anytime", "trace", (20, 400)),
        Cell("flat", "one-shot", "trace", (30,), dtype="float64"),
    ]
    planned = [
        PlannedCell(cell, flat(50), Method("one-shot", one_shot, (Trace,)).bind("one-shot", Trace())) for cell in cells
    ]
    largest = largest_budgets(planned)
    assert [largest[conditions_of(cell)] for cell in cells] == [400, 400, 30]


@pytest.mark.parametrize("by", ["rows", "factor", "copy"])
def test_no_engine_is_chosen_for_the_budget_of_a_method_that_needs_none(by):
    methods = [Method("few", one_shot, (Trace,)), Method("copies", one_shot, (Trace,), works_by=by)]
    whole, copies = (
        PlannedCell(Cell("flat", method.name, "trace", (budget,)), flat(50), method.bind(method.name, Trace()))
        for method, budget in zip(methods, (20, 4000), strict=True)
    )
    assert set(largest_budgets([copies, whole, copies]).values()) == {20}
    assert set(largest_budgets([copies]).values()) == {4000}
