"""The smallest budget from which on every repeat stays within a tolerance."""

import dataclasses

import pytest
from planted_ledgers import cell, repeats, shots

from hessbench.ledger.answering import State, answer
from hessbench.ledger.record import Status


def one(rows, tolerance=0.03, by="seconds"):
    (found,) = answer(rows, (tolerance,), by)
    (entry,) = found.entries
    return entry


@pytest.mark.parametrize("make", [repeats, shots])
def test_the_smallest_budget_from_which_on_every_repeat_is_within(make):
    entry = one(make("slq"), tolerance=0.05)
    assert (entry.state, entry.budget, entry.repeats, entry.reason) == (State.REACHED, 20, 3, "")
    assert entry.products.median == 20
    assert entry.gradient_equivalents.median == 40
    assert entry.error.median == 1 / 20
    assert entry.wall_s.median == pytest.approx(0.02)
    assert entry.seconds.median == pytest.approx(0.07)


def test_an_error_at_the_tolerance_is_within_it():
    assert one(repeats(error=lambda budget, repeat: 0.03)).budget == 10


def test_one_repeat_outside_at_a_larger_budget_moves_the_answer_beyond_it():
    entry = one(repeats(error=lambda budget, repeat: 0.5 if (budget, repeat) == (20, 1) else 0.001))
    assert (entry.state, entry.budget) == (State.REACHED, 40)


def test_a_tolerance_that_is_left_again_is_not_reached():
    entry = one(repeats(error=lambda budget, repeat: 0.5 if (budget, repeat) == (40, 2) else 0.001))
    assert (entry.state, entry.budget) == (State.NOT_REACHED, 40)
    assert entry.reason == "2 of 3 repeats within 3 %; within at budget 20, not from there on"


def test_what_is_not_reached_is_given_at_the_largest_budget():
    entry = one(repeats(), tolerance=0.001)
    assert (entry.state, entry.budget, entry.reason, entry.ratio) == (State.NOT_REACHED, 40, "", None)
    assert entry.error.median == 1 / 40


def test_two_repeats_are_too_few_and_said_to_be():
    entry = one(repeats(number=2), tolerance=0.05)
    assert (entry.state, entry.budget) == (State.NOT_JUDGED, 20)
    assert entry.reason == "within 5 % in 2 repeats; 3 are needed"


def test_two_repeats_are_enough_to_say_that_it_is_not_reached():
    assert one(repeats(number=2), tolerance=0.001).state is State.NOT_REACHED


@pytest.mark.parametrize(
    ("drew", "state"), [(False, State.REACHED), (True, State.NOT_JUDGED), (None, State.NOT_JUDGED)]
)
def test_one_repeat_is_enough_of_a_method_without_randomness(drew, state):
    entry = one(cell("exact", error=lambda budget, repeat: 0.0, drew_random=drew))
    assert (entry.state, entry.is_random) == (state, drew)


def test_the_dense_method_of_an_old_ledger_is_known_to_draw_nothing():
    entry = one(cell("dense", budgets=(1930,)))
    assert (entry.state, entry.is_random) == (State.REACHED, False)


def test_a_budget_with_enough_repeats_is_preferred_to_a_smaller_one_without():
    rows = [*shots("slq", (20,), 2), *shots("slq", (40,), 3)]
    entry = one(rows, tolerance=0.1)
    assert (entry.state, entry.budget, entry.repeats) == (State.REACHED, 40, 3)


def test_a_repeat_that_lacks_at_the_budget_is_said():
    rows = [*shots("slq", (20,), 3), *shots("slq", (40,), 5)]
    entry = one(rows, tolerance=0.1)
    assert (entry.budget, entry.reason) == (20, "3 of 5 repeats")


def test_a_cell_cut_short_keeps_what_it_came_to():
    rows = [*repeats(number=2), *cell(repeat=2, status=Status.TIMEOUT, came_to=20)]
    entry = one(rows, tolerance=0.05)
    assert (entry.state, entry.budget, entry.repeats) == (State.REACHED, 20, 3)
    assert entry.reason == "at budget 40: 1 timeout"


def test_a_cell_cut_short_lends_its_last_error_to_no_larger_budget():
    rows = [row for repeat in range(3) for row in cell(repeat=repeat, status=Status.TIMEOUT, came_to=10)]
    entry = one(rows, tolerance=0.1)
    assert (entry.budget, entry.reason) == (10, "at budget 20: 3 timeout; at budget 40: 3 timeout")


def test_a_budget_at_which_a_cell_was_cut_short_is_not_from_which_on_all_answered():
    rows = [*repeats(number=4), *cell(repeat=4, status=Status.OOM_HOST, came_to=10)]
    entry = one(rows, tolerance=0.2)
    assert entry.budget == 10
    entry = one(rows, tolerance=0.05)
    assert (entry.state, entry.budget) == (State.NOT_REACHED, 40)
    assert entry.reason == "4 of 5 repeats within 5 %; 1 oom-host"


def test_a_failure_from_the_start_counts_at_every_budget():
    rows = [*repeats(number=3), *cell(repeat=3, status=Status.CRASH, reason="killed by SIGSEGV")]
    assert one(rows, tolerance=0.2).state is State.NOT_REACHED


def test_an_answer_that_is_not_finite_is_not_within():
    rows = repeats(error=lambda budget, repeat: None if (budget, repeat) == (40, 0) else 0.001)
    entry = one(rows)
    assert (entry.state, entry.reason) == (
        State.NOT_REACHED,
        "2 of 3 repeats within 3 %; 1 diverged; within at budget 20, not from there on",
    )


def test_what_ended_in_an_error_is_believed_at_no_budget():
    rows = [
        row
        for repeat in range(3)
        for row in cell(repeat=repeat, status=Status.ERROR, came_to=40, reason="ValueError: no\nat line 3")
    ]
    entry = one(rows, tolerance=0.1)
    assert (entry.state, entry.budget, entry.reason) == (State.FAILED, None, "3 error: ValueError: no")


def test_a_tolerance_below_the_bound_of_the_reference_is_not_judged():
    entry = one(repeats(reference_bound=0.02), tolerance=0.01)
    assert (entry.state, entry.reason) == (State.NOT_JUDGED, "the reference itself is known to 2 % only")
    assert one(repeats(reference_bound=0.02), tolerance=0.1).state is State.REACHED
    assert one(repeats(reference_bound=0.42)).reason == "useless: the reference itself is known to 42 % only"


def test_without_a_reference_nothing_is_judged():
    rows = [
        dataclasses.replace(
            row, error=None, errors={}, reference_source="", reference_bound=None, notes={"error": "none"}
        )
        for row in repeats()
    ]
    assert (one(rows).state, one(rows).reason) == (State.NOT_JUDGED, "none")


def test_skipped_cells_are_no_answers():
    assert answer(cell(status=Status.SKIPPED)) == ()


def test_what_ran_over_its_budget_stands():
    assert one(repeats(status=Status.OVER_BUDGET, came_to=40), tolerance=0.05).budget == 20


def test_the_memory_pass_is_never_charged_and_gives_the_peak():
    memory = cell(pass_="memory", host_peak_bytes=3000, wall=9.0, build=9.0)
    entry = one([*repeats(), *memory], tolerance=0.05)
    assert entry.seconds.high < 1
    assert (entry.peak_bytes.median, entry.peak_budget, entry.repeats) == (3000, 40, 3)


def test_without_a_time_pass_the_memory_pass_answers_and_has_no_seconds():
    entry = one(cell("exact", drew_random=False, pass_="memory", host_peak_bytes=3000), tolerance=0.05)
    assert (entry.state, entry.budget, entry.seconds, entry.seconds_note) == (State.REACHED, 20, None, "not timed")


def test_the_same_repeat_of_two_suites_counts_once():
    rows = [*repeats(number=2), *repeats(number=2, budgets=(10, 20))]
    assert one(rows, tolerance=0.05).state is State.NOT_JUDGED


def test_seconds_of_repeats_that_ran_alone_are_preferred():
    rows = [*repeats(number=2, wall=0.001), *cell(repeat=2, wall=0.5, contended=True)]
    entry = one(rows, tolerance=0.05)
    assert (entry.repeats, entry.wall_s.number, entry.wall_s.high) == (3, 2, pytest.approx(0.02))
    assert entry.seconds_note == "of the 2 repeats that ran alone"
    entry = one(repeats(contended=True), tolerance=0.05)
    assert (entry.wall_s.number, entry.seconds_note) == (3, "timed while other work ran")


def test_seconds_of_another_engine_are_not_pooled():
    rows = [*repeats(number=2, wall=0.001), *cell(repeat=2, wall=0.5, engine="kept-graph")]
    entry = one(rows, tolerance=0.05)
    assert (entry.repeats, entry.wall_s.number, entry.wall_s.high) == (3, 2, pytest.approx(0.02))
    assert entry.seconds_note == "1 of 3 cells ran with the engine kept-graph: their seconds do not compare"
