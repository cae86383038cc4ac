"""Which runs are compared over all problems: fully crossed, in pairs, nothing unlike pooled."""

import numpy as np
from planted_ledgers import cell, repeats

from hessbench.ledger.answering import attainments
from hessbench.reports.profiles.crossing import crossings


def on(problem, method, cost=10, number=3, **fields):
    """Repeats that stay within 5 % from `cost` on."""
    return repeats(
        method, number, problem=problem, problem_hash=problem * 3,
        error=lambda budget, repeat: 0.01 if budget >= cost else 0.9, **fields,
    )  # fmt: skip


def crossed(rows, tolerance=0.05):
    return crossings(attainments(rows, (tolerance,)))


def test_every_method_on_every_problem_repeat_by_repeat():
    rows = [*on("a", "x"), *on("b", "x", 20), *on("a", "y", 40), *on("b", "y", 99)]
    (one,) = crossed(rows)
    assert (one.methods, one.problems, len(one.instances)) == (("x", "y"), ("a", "b"), 6)
    expected = [[10] * 3 + [20] * 3, [40] * 3 + [np.inf] * 3]
    assert np.array_equal(one.costs[0.05, "products"], expected)


def test_one_problem_or_one_method_is_nothing_over_all_problems():
    assert crossed([*on("a", "x"), *on("a", "y")]) == ()
    assert crossed([*on("a", "x"), *on("b", "x")]) == ()


def test_what_does_not_cross_is_left_out_and_named():
    rows = [row for problem in "abc" for method in ("x", "y") for row in on(problem, method)]
    (one,) = crossed([*rows, *on("a", "z"), *on("d", "z")])
    assert (one.methods, one.problems, dict(one.left_out)) == (("x", "y"), ("a", "b", "c"), {"z": 2})


def test_conditions_and_estimands_are_apart():
    rows = [row for problem in "ab" for method in ("x", "y") for row in on(problem, method)]
    double = [row for problem in "ab" for method in ("x", "y") for row in on(problem, method, dtype="float64")]
    assert [one.conditions for one in crossed([*rows, *double])] == ["cpu, float32, 1 thread", "cpu, float64, 1 thread"]


def test_a_method_without_randomness_has_as_many_repeats_as_are_wanted():
    exact = [row for problem in "ab" for row in on(problem, "dense", 40, number=1, drew_random=False)]
    (one,) = crossed([*on("a", "x"), *on("b", "x"), *exact])
    assert np.array_equal(one.costs[0.05, "products"], [[40] * 6, [10] * 6])


def test_an_instance_with_a_cost_that_is_not_known_is_in_no_profile():
    busy = cell("x", problem="a", problem_hash="aaa", error=lambda budget, repeat: 0.01, contended=True, repeat=3)
    rows = [*on("a", "x"), *busy, *on("a", "y", number=4), *on("b", "x"), *on("b", "y")]
    (one,) = crossed(rows)
    assert len(one.instances) == 7
    assert one.known(0.05, "products").shape == (2, 7)
    assert one.known(0.05, "seconds").shape == (2, 6)
    assert one.known(0.05, "memory").shape == (2, 0)


def test_what_a_reference_cannot_judge_is_in_no_profile():
    rough = [row for method in "xy" for row in on("a", method, reference_bound=0.5)]
    (one,) = crossed([*rough, *on("b", "x"), *on("b", "y")])
    assert {it.problem for it, known in zip(one.instances, one.costs[0.05, "products"].T, strict=True)
            if not np.isnan(known).any()} == {"b"}  # fmt: skip
