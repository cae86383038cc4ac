"""The time that is left: cells weigh what they do, at the pace of those like them."""

import dataclasses

import pytest

from hessbench.cells.cell import MEMORY, Cell
from hessbench.running import remaining
from hessbench.running.remaining import Remaining


@dataclasses.dataclass(frozen=True)
class Sized:
    """What a weight is taken of: a problem with its dimension."""

    dim: int


@dataclasses.dataclass(frozen=True)
class Planned:
    cell: Cell
    problem: Sized


def planned(problem="net", budget=10, repeat=0, dim=100, **changes):
    return Planned(Cell(problem, "lanczos", "trace", (budget,), repeat, **changes), Sized(dim))


def products_by_dim(entry):
    """The products a cell may spend times the dimension; twice in the memory pass, which runs it twice."""
    return (2 if entry.cell.pass_ == MEMORY else 1) * entry.cell.budget * entry.problem.dim


@pytest.fixture
def clock(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(remaining.time, "monotonic", lambda: now[0])
    return now


def test_nothing_is_promised_before_anything_is_known_and_nothing_is_left_of_nothing():
    assert Remaining([planned()], products_by_dim).seconds is None
    assert Remaining([], products_by_dim).seconds == 0


def test_ten_times_the_products_take_ten_times_as_long():
    small, large = planned(budget=10), planned(budget=100)
    left = Remaining([small, large], products_by_dim)
    left.ended(small.cell, 2.0)
    assert left.seconds == pytest.approx(20.0)


def test_what_every_cell_takes_is_told_from_what_its_products_take():
    cells = [planned(budget=budget) for budget in (10, 20, 100)]
    left = Remaining(cells, products_by_dim)
    for entry in cells[:2]:
        left.ended(entry.cell, 1.0 + 0.1 * entry.cell.budget)
    assert left.seconds == pytest.approx(11.0)


def test_a_costly_problem_is_no_measure_of_a_cheap_one():
    cells = [planned("net", repeat=repeat) for repeat in range(3)] + [planned("matrix", repeat=r) for r in range(5)]
    left = Remaining(cells, products_by_dim)
    left.ended(cells[0].cell, 10.0)
    left.ended(cells[3].cell, 0.1)
    assert left.seconds == pytest.approx(2 * 10.0 + 4 * 0.1)


def test_a_cell_at_work_counts_for_what_it_has_yet_to_do(clock):
    entry = planned(budget=100)
    left = Remaining([entry], products_by_dim)
    left.at(entry.cell, 0)
    assert left.seconds is None
    clock[0] = 5.0
    left.at(entry.cell, 25)
    assert left.seconds == pytest.approx(15.0)
    left.ended(entry.cell, 20.5)
    assert left.seconds == 0


def test_a_cell_that_takes_longer_than_those_like_it_is_judged_by_itself(clock):
    one, other = planned(budget=100, repeat=0), planned(budget=100, repeat=1)
    left = Remaining([one, other], products_by_dim)
    left.ended(one.cell, 2.0)
    left.at(other.cell, 0)
    clock[0] = 1.0
    left.at(other.cell, 10)
    assert left.seconds == pytest.approx(1.0)
    clock[0] = 20.0
    left.at(other.cell, 50)
    assert left.seconds == pytest.approx(20.0)


def test_the_memory_pass_runs_a_cell_twice():
    timed, memory = planned(), planned(pass_=MEMORY)
    left = Remaining([timed, memory], products_by_dim)
    left.ended(timed.cell, 3.0)
    assert left.seconds == pytest.approx(6.4)
    another = planned(pass_=MEMORY, repeat=1)
    left = Remaining([timed, memory, another], products_by_dim)
    left.ended(timed.cell, 3.0)
    left.ended(memory.cell, 7.0)
    assert left.seconds == pytest.approx(7.0)


def test_cells_run_side_by_side():
    cells = [planned(repeat=repeat) for repeat in range(5)]
    left = Remaining(cells, products_by_dim, jobs=2)
    left.ended(cells[0].cell, 3.0)
    assert left.seconds == pytest.approx(6.0)


def test_weights_may_be_seconds_and_zero():
    cells = [planned("net"), planned("matrix"), planned("other")]
    left = Remaining(cells, weigh=lambda entry: {"net": 2.0, "matrix": 50.0, "other": 0.0}[entry.cell.problem])
    left.ended(cells[0].cell, 2.0)
    assert left.seconds == pytest.approx(50.0)


def test_a_cell_that_another_process_ran_is_not_waited_for():
    one, other = planned(repeat=0), planned(repeat=1)
    left = Remaining([one, other], products_by_dim)
    left.dropped(other.cell)
    left.ended(one.cell, 1.0)
    assert left.seconds == 0
