"""The Pareto front of error against each cost."""

import pytest
from planted_ledgers import cell, repeats, shots

from hessbench.ledger.record import Status
from hessbench.reports.fronts.figure import draw_front
from hessbench.reports.fronts.points import fronts, not_dominated
from hessbench.reports.fronts.tables import front_frame, front_rows, front_sheet
from hessbench.reports.writing.sheets import to_markdown


@pytest.mark.parametrize(
    ("places", "kept"),
    [
        ([(1, 5), (2, 3), (3, 4), (4, 1)], [0, 1, 3]),
        ([(2, 3), (2, 3), (1, 9)], [0, 1, 2]),  # equal points are there together
        ([(1, 3), (2, 3)], [0]),  # as good for more
        ([(1, 3), (1, 2)], [1]),
        ([], []),
    ],
)
def test_what_no_other_dominates(places, kept):
    assert not_dominated(places) == kept


def one(rows):
    (front,) = fronts(rows)
    return front


def test_medians_over_the_repeats_with_their_spread():
    front = one(repeats(error=lambda budget, repeat: (1 + repeat) / budget, wall=0.01))
    point = front.points[0]
    assert (point.error.median, point.error.low, point.error.high) == (0.2, 0.1, 0.3)
    assert point.costs["seconds"].median == pytest.approx(0.05 + 0.1)
    assert [point.budget for point in front.on("products")] == [10, 20, 40]


def test_the_front_differs_with_the_cost():
    fast = shots("fast", error=lambda budget, repeat: 0.5 / budget, wall=0.001)
    slow = shots("slow", error=lambda budget, repeat: 0.4 / budget, wall=1.0)
    front = one([*fast, *slow])
    assert {point.method for point in front.on("products")} == {"slow"}
    assert {point.method for point in front.on("seconds")} == {"fast", "slow"}
    frame = front_frame([front])
    assert frame["on_front_products"].sum() == 3
    assert len(front_rows([front])) == sum(len(front.on(by)) for by in front.points[0].costs)


def test_below_the_bound_of_the_reference_nothing_is_nearer():
    best = shots("best", error=lambda budget, repeat: 1e-12, reference_bound=1e-3)
    good = shots("good", error=lambda budget, repeat: 1e-9, reference_bound=1e-3)
    front = one([*best, *good])
    assert {(it.method, it.budget) for it in front.on("products")} == {("best", 10), ("good", 10)}
    assert "at the bound" in to_markdown(front_sheet(front_rows([front])))


def test_a_budget_at_which_a_cell_failed_is_no_point_and_a_peak_is_of_its_own_budget():
    rows = [
        *shots("a", budgets=(10, 20), number=3),
        *cell("a", budgets=(40,), repeat=0, status=Status.TIMEOUT),
        *cell("a", budgets=(20,), pass_="memory", host_peak_bytes=7 << 20),
    ]
    front = one(rows)
    assert [point.budget for point in front.points] == [10, 20]
    assert ["memory" in point.costs for point in front.points] == [False, True]


def test_seconds_taken_while_other_work_ran_are_on_no_front():
    assert one(repeats(contended=True)).on("seconds") == ()


def test_the_figure_escapes_names_and_is_the_same_every_time():
    name = '<b onload="x">'
    rows = [*shots(name), *shots("b", error=lambda budget, repeat: 0.3)]
    text = draw_front(one(rows), {}, "s").svg.decode()
    assert "<b onload" not in text
    assert "error against products" in text
    assert text == draw_front(one(rows), {}, "s").svg.decode()


def test_errors_of_zero_without_a_bound_are_drawn():
    rows = [*shots("a", error=lambda budget, repeat: 0.0, reference_bound=0.0), *shots("b")]
    assert draw_front(one(rows), {}, "s") is not None
