"""The table of cost columns: what names stand in it, and what is added up."""

import dataclasses

from hessbench.ledger.costs import COST_COLUMNS, MEMORY_PASS, REPEATED, Costs, columns_of, columns_of_steps
from hessbench.ledger.record import Record


def test_a_row_has_the_cost_columns_next_to_each_other_and_in_order():
    names = [field.name for field in dataclasses.fields(Record)]
    begin = names.index(COST_COLUMNS[0])
    assert tuple(names[begin : begin + len(COST_COLUMNS)]) == COST_COLUMNS
    assert names[begin - 1] == "checkpoint"
    assert names[begin + len(COST_COLUMNS)] == "engine"


def test_what_one_pass_measures_or_a_table_sums_up_is_a_cost_column():
    assert set(MEMORY_PASS) | set(REPEATED) <= set(COST_COLUMNS)
    assert not set(MEMORY_PASS) & set(REPEATED)


def test_the_seconds_of_a_step_are_its_column_s():
    assert columns_of_steps({"build": 1.0, "a step of no column": 2.0}) == {"build_s": 1.0}
    assert columns_of_steps({}) == {}


def test_a_row_s_costs_are_its_cost_columns():
    assert columns_of(Costs(matvecs=3, wall_s=1.5)) == {**dict.fromkeys(COST_COLUMNS), **dataclasses.asdict(Costs()),
                                                        "matvecs": 3, "wall_s": 1.5}  # fmt: skip


def test_what_is_spent_between_two_moments_is_added():
    at_first = Costs(matvecs=2, calls=1, counts={"ggn": 2}, gradient_equivalents=3.0, samples=20, operator_s=0.5,
                     wall_s=7.0)  # fmt: skip
    before = dataclasses.replace(at_first, matvecs=5, calls=3, counts={"ggn": 5}, operator_s=1.0)
    after = Costs(matvecs=9, calls=4, counts={"ggn": 8, "vjp": 1}, gradient_equivalents=10.0, samples=80,
                  operator_s=1.25, wall_s=9.0)  # fmt: skip
    assert at_first.plus(after, before) == Costs(
        matvecs=6, calls=2, counts={"ggn": 5, "vjp": 1}, gradient_equivalents=10.0, samples=80, operator_s=0.75,
        wall_s=7.0,
    )  # fmt: skip


def test_a_cost_below_zero_is_named():
    assert Costs(matvecs=1, wall_s=0.0).below_zero == ""
    assert Costs(build_s=-0.1).below_zero == "build_s"
    assert Costs(counts={"vjp": -1}).below_zero == "vjp"
