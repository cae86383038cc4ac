"""Rows brought together: repeats, passes, answers beside the own one, failures, variants."""

import dataclasses

import pytest

from hessbench.ledger.grouping import answers
from hessbench.ledger.reading import Ledger
from hessbench.ledger.record import Kind, Status
from hessbench.reports.costs.lines import lines, lines_by_budget
from hessbench.reports.page import render_report


def _one(builder, prices=()):
    (line,) = lines(builder.rows, prices)
    return line


def test_a_line_is_the_median_over_repeats_at_the_largest_budget(builder):
    for repeat, error in enumerate((0.3, 0.1, 0.2)):
        builder.cell(repeat=repeat, error=lambda budget, error=error: error * 80 / budget)
    line = _one(builder)
    assert (line.budget, len(line.answers), line.dim) == (80, 3, 1000)
    assert line.error is not None
    assert (line.error.median, line.error.low, line.error.high) == pytest.approx((0.2, 0.1, 0.3))
    assert line.matvecs is not None
    assert line.matvecs.median == 80
    assert line.wall_s is not None
    assert line.wall_s.median == pytest.approx(0.16 * 1.1)


def test_a_one_shot_method_without_checkpoints_has_the_same_line(builder):
    for budget in (10, 20):
        builder.cell(budgets=(budget,))
    builder.rows[:] = [row for row in builder.rows if row.kind is Kind.TERMINAL]
    line = _one(builder)
    assert line.budget == 20
    assert line.error is not None
    assert line.error.median == 1 / 20
    assert [answer.row.budget for answer in answers(builder.rows)] == [10, 20]


def test_peaks_come_from_the_memory_pass_at_the_same_budget(builder):
    builder.cell()
    builder.cell(pass_="memory")
    line = _one(builder)
    assert line.host_peak_bytes == 3 << 20
    assert line.memory.flops == 10**9
    assert line.reasons["device_peak_bytes"] == "no device"


@pytest.mark.parametrize(
    ("memory", "reason"),
    [
        (None, "no memory pass in this ledger"),
        ({"budgets": (10, 40)}, "the memory pass ran at budget 40, not 80"),
        ({"status": Status.OOM_HOST}, "the memory pass ended with oom-host"),
    ],
)
def test_a_missing_peak_has_a_reason(builder, memory, reason):
    builder.cell()
    if memory is not None:
        builder.cell(pass_="memory", **memory)
    line = _one(builder)
    assert line.host_peak_bytes is None
    assert line.reasons["host_peak_bytes"] == reason


def test_a_memory_pass_alone_gives_a_line_without_seconds(builder):
    builder.cell(pass_="memory")
    line = _one(builder)
    assert line.wall_s is None
    assert line.error is not None


def test_an_answer_beside_the_own_one_is_a_line_with_the_cost_of_its_run(builder):
    builder.cell(also=("density",))
    builder.cell(pass_="memory", also=("density",))
    density, trace = lines(builder.rows)
    assert (density.key.estimand, trace.key.estimand) == ("density", "trace")
    assert density.method == "lanczos (from its trace run)"
    assert density.host_peak_bytes == trace.host_peak_bytes == 3 << 20
    assert density.matvecs == trace.matvecs


def test_an_own_run_and_an_answer_beside_another_are_not_pooled(builder):
    builder.cell(also=("density",))
    builder.cell(estimand="density")
    assert sorted(line.method for line in lines(builder.rows) if line.key.estimand == "density") == [
        "lanczos",
        "lanczos (from its trace run)",
    ]


def test_a_failed_repeat_is_counted_for_every_estimand_of_its_run(builder):
    builder.cell(also=("density",))
    builder.cell(repeat=1, status=Status.CRASH)
    for line in lines(builder.rows):
        assert line.statuses == {"crash": 1, "ok": 1}
        assert line.error is not None
        assert line.error.number == 1
        assert line.reasons["error"] == "median over the 1 of 2 repeats that have an error"


def test_a_failed_cell_without_hashes_joins_the_only_variant(builder):
    builder.cell()
    builder.cell(repeat=1, status=Status.CRASH, problem_hash="", method_hash="", library_version="")
    assert _one(builder).statuses == {"crash": 1, "ok": 1}


@pytest.mark.parametrize(
    ("name", "old", "new", "shown"),
    [
        ("problem_hash", "1" * 64, "2" * 64, {"student-t #111111", "student-t #222222"}),
        ("method_hash", "1" * 16, "2" * 16, {"lanczos #111111", "lanczos #222222"}),
        ("library_version", "lib 1", "lib 2", {"lanczos lib 1", "lanczos lib 2"}),
    ],
)
def test_variants_are_lines_of_their_own(builder, name, old, new, shown):
    builder.cell("student-t", repeat=0, **{name: old})
    builder.cell("student-t", repeat=1, **{name: new})
    made = lines(builder.rows)
    assert [len(line.answers) for line in made] == [1, 1]
    assert {line.problem if name == "problem_hash" else line.method for line in made} == shown


@pytest.mark.parametrize(("name", "value"), [("dtype", "float64"), ("device", "cuda"), ("threads", 1), ("schema", 2)])
def test_other_conditions_are_lines_of_their_own(builder, name, value):
    builder.cell()
    builder.rows += [dataclasses.replace(row, cell="other", **{name: value}) for row in builder.rows]
    assert len(lines(builder.rows)) == 2


def test_skipped_cells_have_no_line(builder):
    builder.cell(status=Status.SKIPPED)
    assert lines(builder.rows) == ()


def test_checkpoints_without_an_end_are_left_out(builder):
    builder.cell()
    builder.rows.pop()
    assert lines(builder.rows) == ()


@pytest.mark.parametrize(("error", "expected"), [(1e-7, True), (1e-6, True), (2e-6, False)])
def test_an_error_not_above_the_bound_is_at_the_bound(builder, error, expected):
    builder.cell(error=lambda budget: error)
    assert _one(builder).is_at_bound is expected


def test_seconds_measured_beside_other_work_say_so(builder):
    builder.cell(contended=True)
    assert "other work" in _one(builder).reasons["wall_s"]


def test_the_prediction_uses_the_products_of_the_line(builder, make_price):
    builder.cell()
    line = _one(builder, [make_price(10**7, 0.1)])
    assert line.prediction.products_s == pytest.approx(8.0)
    assert line.prediction.own_s == pytest.approx(1.6)


def test_a_run_that_failed_predicts_nothing_and_does_not_dilute_those_that_ended(builder, make_price):
    builder.cell(repeat=0, status=Status.CRASH)
    builder.cell(repeat=1, status=Status.CRASH)
    line = _one(builder, [make_price(10**7, 0.1)])
    assert (line.prediction.products_s, line.prediction.memory_bytes) == (None, None)
    assert line.reasons["predicted_s"] == "nothing to predict from: ended with crash"
    builder.cell(repeat=2)
    assert _one(builder, [make_price(10**7, 0.1)]).prediction.products_s == pytest.approx(8.0)


def test_the_time_to_an_answer_counts_the_build(builder):
    builder.cell()
    first = answers(builder.rows)[0]
    assert first.row.budget == 10
    assert first.seconds == pytest.approx(0.05 + 0.02)


def test_no_rows_give_no_lines():
    assert lines([]) == ()


def test_a_line_of_a_smaller_budget_is_not_made_from_the_middle_of_a_longer_run(builder):
    builder.cell(budgets=(10, 20))
    builder.cell(budgets=(10,), repeat=1)
    small, large = lines_by_budget(builder.rows)
    assert (small.budget, [answer.terminal.budget for answer in small.answers]) == (10, [10])
    assert (large.budget, [answer.terminal.budget for answer in large.answers]) == (20, [20])
    assert lines(builder.rows) == (large,)


def test_checkpoints_at_budgets_that_their_terminal_row_lacks_make_no_line_of_their_own(builder, tmp_path):
    builder.cell()
    cut = builder.cell(method="hutchinson")
    builder.rows = [
        dataclasses.replace(row, budget=30, budgets=(30,)) if row.cell == cut and row.kind is Kind.TERMINAL else row
        for row in builder.rows
    ]
    (line,) = (line for line in lines_by_budget(builder.rows) if line.method == "hutchinson")
    assert (line.budget, [answer.row.budget for answer in line.answers]) == (30, [30])
    assert {line.key.method for line in lines(builder.rows)} == {"lanczos", "hutchinson"}
    page = render_report(Ledger(tuple(builder.rows)), tmp_path / "report", "hessbench report")
    assert "hutchinson" in page.read_text()
