"""An answer in few words: what it costs, how sure it is, and why there is none."""

import pytest

from hessbench.ledger.answering import answer
from hessbench.ledger.record import Status
from hessbench.reports.page.answer_cells import HEADS, shown_questions


def _shown(builder, within=(0.1, 0.01)):
    methods = {row.method: place for place, row in enumerate(builder.rows)}
    (question,) = shown_questions(answer(builder.rows, within), methods)
    return question


def test_the_best_is_named_with_its_cost_and_how_far_the_next_is_behind(builder):
    for repeat in range(3):
        builder.cell(method="fast", repeat=repeat, error=lambda budget: 0.2 / budget)
        builder.cell(method="slow", repeat=repeat, error=lambda budget: 0.2 / budget, wall_s=5.0)
    wide, narrow = (tolerance.best for tolerance in _shown(builder).tolerances)
    assert (wide.within, wide.method, wide.run) == ("10 %", "fast", "")
    assert wide.cost == "72.0 ms, 10 products"
    assert wide.sure.startswith("3 of 3 repeats; slow takes ")
    assert narrow.cost == "94.0 ms, 20 products"


def test_what_another_run_answered_is_said_apart_from_the_method(builder):
    for repeat in range(3):
        builder.cell(estimand="density", also=("trace",), repeat=repeat, error=lambda budget: 0.001)
    questions = shown_questions(
        [one for one in answer(builder.rows, (0.1,)) if one.question.estimand == "trace"], {"lanczos": 0}
    )
    best = questions[0].tolerances[0].best
    assert (best.method, best.run) == ("lanczos", " (from its density run)")


def test_what_is_not_reached_says_how_far_off_the_worst_repeat_is(builder):
    for repeat in range(3):
        builder.cell(repeat=repeat, error=lambda budget, repeat=repeat: 0.008 + 0.004 * repeat)
    question = _shown(builder)
    best = question.tolerances[1].best
    assert (best.method, best.cost, best.sure) == ("", "not reached", "nearest lanczos: 1.6 % at worst")
    (row,) = question.rows
    assert [entry.short.text for entry in row.cells] == ["72.0 ms", "1.6 % at worst"]
    assert row.cells[1].short.detail == "not reached by 80"
    assert [entry.rank for entry in row.cells] == [0.0, None]


def test_every_method_has_a_cell_under_each_head(builder):
    for repeat in range(3):
        builder.cell(repeat=repeat)
    builder.cell(method="broken", status=Status.ERROR, reason="no")
    for tolerance in _shown(builder).tolerances:
        assert all(len(entry.cells) == len(HEADS) for entry in tolerance.entries)


def test_one_that_is_within_in_too_few_repeats_comes_before_those_that_do_not_reach_it(builder):
    builder.cell(error=lambda budget: 0.0001)
    for repeat in range(3):
        builder.cell(method="far", repeat=repeat, error=lambda budget: 1.4)
    best = _shown(builder).tolerances[0].best
    assert (best.cost, best.sure) == ("not judged", "lanczos: within 10 % in 1 repeat; 3 are needed")


@pytest.mark.parametrize("number", [1, 2])
def test_too_few_repeats_are_no_answer(builder, number):
    for repeat in range(number):
        builder.cell(repeat=repeat, error=lambda budget: 0.0001 * budget)
    assert all(tolerance.best.method == "" for tolerance in _shown(builder).tolerances)
