"""Profiles, targets reached and methods left out, with numbers worked out by hand."""

import numpy as np
import pytest

from hessbench.ledger.answering import RANKINGS
from hessbench.ledger.grouping import Key
from hessbench.reports.profiles.crossing import Crossing, Instance
from hessbench.reports.profiles.figures import draw_profiles, draw_reached
from hessbench.reports.profiles.profile import (
    leave_one_out,
    pooled,
    profile_rows,
    ratios,
    reached_rows,
    share_within,
    steps,
)
from hessbench.reports.profiles.tables import (
    left_out_frame,
    left_out_sheet,
    profile_frame,
    profile_sheet,
    reached_frame,
    reached_sheet,
)
from hessbench.reports.writing.sheets import to_markdown

INF = np.inf
BY_HAND = np.array([[10, 40, INF, 20.0], [20, 10, INF, 20.0], [30, INF, INF, 10.0]])


def crossing(costs, methods="abcdefgh", tolerances=(0.1,)):
    """A crossing in which every cost is the same number."""
    costs = np.asarray(costs, dtype=float)
    names = tuple(methods[: len(costs)])
    keys = tuple(Key("p", "h", "trace", name, "m", "v", "cpu", "float32", 1, "trace", 1) for name in names)
    instances = tuple(Instance(f"p{place % 2}", place // 2) for place in range(costs.shape[1]))
    known = {(tolerance, by): costs for tolerance in tolerances for by in RANKINGS}
    return Crossing("trace", "cpu, float32, 1 thread", tolerances, names, keys, instances, {}, known)


def test_a_profile_by_hand():
    ratio = ratios(BY_HAND)
    assert np.array_equal(ratio, [[1, 4, INF, 2], [2, 1, INF, 2], [3, INF, INF, 1]])
    assert share_within(ratio, 1).tolist() == [0.25, 0.25, 0.25]
    assert share_within(ratio, 2).tolist() == [0.5, 0.75, 0.25]
    assert share_within(ratio, 1e9).tolist() == [0.75, 0.75, 0.5]  # censored: never 1


def test_who_is_level_with_the_best_is_best_as_well():
    assert np.array_equal(ratios(np.array([[5.0], [5.0], [10.0]])), [[1], [1], [2]])


def test_what_costs_something_is_infinitely_far_from_what_costs_nothing():
    assert np.array_equal(ratios(np.array([[0.0], [0.0], [3.0]])), [[1], [1], [INF]])


def test_steps_end_below_one_where_failures_are_censored():
    assert steps(BY_HAND[0]) == [(10.0, 0.25), (20.0, 0.5), (40.0, 0.75)]
    assert steps(BY_HAND[2]) == [(10.0, 0.25), (30.0, 0.5)]
    assert steps(np.full(3, INF)) == []


def test_the_table_of_a_profile_says_best_within_and_reached():
    rows = [row for row in profile_rows(crossing(BY_HAND)) if row.by == "products"]
    assert [(row.method, row.shares, row.reached) for row in rows] == [
        ("b", (0.25, 0.75, 0.75, 0.75), 0.75),
        ("a", (0.25, 0.5, 0.75, 0.75), 0.75),
        ("c", (0.25, 0.25, 0.5, 0.5), 0.5),
    ]
    assert profile_frame(rows)["share_within_2"].tolist() == [0.75, 0.5, 0.25]
    assert "75 % \\(3 of 4\\)" in to_markdown(profile_sheet(rows))


def test_targets_of_every_tolerance_are_pooled_and_what_is_never_reached_has_no_cost():
    both = crossing(BY_HAND, tolerances=(0.1, 0.01))
    assert pooled(both, "products").shape == (3, 8)
    rows = {row.method: row for row in reached_rows(both) if row.by == "products"}
    assert (rows["a"].reached, rows["a"].quartiles) == (0.75, (10.0, 20.0, 40.0))
    assert rows["c"].quartiles == (10.0, 30.0, INF)
    frame = reached_frame([rows["c"]])
    assert frame["cost_of_three_quarters"].isna().all()
    assert "never" in to_markdown(reached_sheet([rows["c"]]))


def swapped():
    """With c, a is ahead of b at the ratio 2; without c it is behind.

    c is the best by far on the first two instances, where it keeps a and b from being within twice the best; a alone is
    near it on the third and fourth.
    """
    a = [90, 90, 10, 10, 10.0]
    b = [30, 30, 30, 30, 10.0]
    c = [10, 10, 10, 10, 99.0]
    return crossing([a, b, c])


def test_an_order_that_turns_when_a_method_is_left_out():
    one = swapped()
    costs = one.costs[0.1, "products"]
    assert share_within(ratios(costs), 2).tolist() == [0.6, 0.2, 0.8]
    assert share_within(ratios(costs[:2]), 2).tolist() == [0.6, 0.6]
    # Level without c; one more instance on which b is then ahead turns it around.
    a, b, c = costs
    turned = crossing([[*a, 90, 90], [*b, 30, 30], [*c, 10, 10]])
    rows = {row.method: row for row in leave_one_out(turned) if row.by == "products"}
    assert (rows["c"].swaps, rows["c"].levels, rows["c"].pairs) == ((("a", "b"),), (), 1)
    assert (rows["a"].swaps, rows["b"].swaps) == ((), ())
    level = next(row for row in leave_one_out(one) if row.by == "products" and row.method == "c")
    assert (level.swaps, level.levels) == ((), (("a", "b"),))
    frame = left_out_frame([rows["c"]])
    assert frame[["left_out", "swapped", "swaps"]].values.tolist() == [["c", 1, "a | b"]]
    assert "a before b" in to_markdown(left_out_sheet([rows["c"]]))


def test_two_methods_leave_no_pair():
    assert leave_one_out(crossing(BY_HAND[:2])) == ()


HOSTILE = ("<script>x</script>", '"&|', "=cmd()")


@pytest.mark.parametrize("draw", [draw_profiles, draw_reached])
def test_a_figure_has_a_line_for_each_method_and_escapes_its_name(draw):
    picture = draw(crossing(BY_HAND, HOSTILE), "products", {}, "s")
    text = picture.svg.decode()
    assert "<script>x" not in text
    assert text.count('class="key') == 3
    assert text == draw(crossing(BY_HAND, HOSTILE), "products", {}, "s").svg.decode()


@pytest.mark.parametrize("draw", [draw_profiles, draw_reached])
def test_nothing_reached_is_no_figure(draw):
    assert draw(crossing(np.full((2, 4), INF)), "products", {}, "s") is None
    assert draw(crossing(np.full((2, 4), np.nan)), "products", {}, "s") is None


def test_a_figure_of_very_many_instances_stays_small():
    rng = np.random.default_rng(0)
    many = crossing(rng.lognormal(3, 2, (40, 3000)), [f"method-{number}" for number in range(40)])
    assert len(draw_profiles(many, "seconds", {}, "s").svg) < 300_000
    assert len(draw_reached(many, "seconds", {}, "s").svg) < 300_000
