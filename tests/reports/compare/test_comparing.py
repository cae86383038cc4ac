"""Regressions, and what is none."""

import dataclasses
import math

import numpy as np
import pytest

from hessbench.ledger.reading import Ledger
from hessbench.ledger.record import Kind, Status
from hessbench.reports.compare import Verdict, compare, to_text


def _changed(rows, **fields):
    return [dataclasses.replace(row, **fields) for row in rows]


def _verdicts(comparison):
    return [line.verdict for line in comparison.lines]


def _fill(builder, problems, method="hutchpp", repeats=5, seed=0, **fields):
    """Random runs: errors of every scale, none equal to another."""
    rng = np.random.default_rng(seed)
    for problem in problems:
        for repeat in range(repeats):
            scale = abs(rng.normal())
            builder.cell(
                problem, method, repeat=repeat, budgets=(20, 40, 80), drew_random=True,
                error=lambda b, scale=scale: scale / b, **fields,
            )  # fmt: skip


def _worse(rows, factor, spread=0.05, only=""):
    """Errors a factor larger, give or take a spread."""
    rng = np.random.default_rng(1)
    return [
        dataclasses.replace(row, error=row.error * factor * float(np.exp(spread * rng.normal())))
        if row.error is not None and row.method.startswith(only)
        else row
        for row in rows
    ]


def _shaken(rows):
    """Errors changed by a percent, either way."""
    return _worse(rows, 1.0, spread=0.01)


@pytest.fixture
def random(builder):
    """Five repeats of a random method on two problems, at three budgets."""
    _fill(builder, ["p", "q"])
    return builder.rows


@pytest.fixture
def five(builder):
    """Five repeats of one method, error 1 / budget."""
    for repeat in range(5):
        builder.cell(repeat=repeat, budgets=(80,))
    return builder.rows


def test_the_same_ledger_has_no_difference(five):
    found = compare(five, five)
    assert found.lines == ()
    assert not found.is_regression
    assert to_text(found) == "5 cells compared: no difference"


def test_the_order_of_rows_does_not_matter(five):
    assert compare(five, five[::-1]).lines == ()


@pytest.mark.parametrize("name", ["matvecs", "calls", "gradient_equivalents"])
def test_one_product_more_is_a_regression_and_one_less_an_improvement(five, name):
    more = [dataclasses.replace(row, **{name: getattr(row, name) + 1}) for row in five]
    found = compare(five, more)
    assert found.is_regression
    assert set(_verdicts(found)) == {Verdict.REGRESSION}
    found = compare(more, five)
    assert not found.is_regression
    assert set(_verdicts(found)) == {Verdict.IMPROVEMENT}


def test_another_mix_of_kinds_at_the_same_price_is_a_change(five):
    found = compare(five, _changed(five, counts={"jvp": 80}))
    assert not found.is_regression
    assert set(_verdicts(found)) == {Verdict.CHANGED}
    assert "jvp 0, now 80" in found.lines[0].text


def test_rounding_in_gradient_equivalents_is_no_difference(five):
    assert compare(five, _changed(five, gradient_equivalents=160.0 * (1 + 1e-14))).lines == ()


@pytest.mark.parametrize(
    ("old", "new", "verdict"),
    [
        (Status.OK, Status.TIMEOUT, Verdict.REGRESSION),
        (Status.OK, Status.SKIPPED, Verdict.REGRESSION),
        (Status.CRASH, Status.OK, Verdict.IMPROVEMENT),
        (Status.CRASH, Status.TIMEOUT, Verdict.CHANGED),
        (Status.OVER_BUDGET, Status.CRASH, Verdict.REGRESSION),
        (Status.DIVERGED, Status.CRASH, Verdict.REGRESSION),
        (Status.DIVERGED, Status.OVER_BUDGET, Verdict.IMPROVEMENT),
    ],
)
def test_statuses_are_compared_exactly(builder, old, new, verdict):
    builder.cell(budgets=(80,))
    terminal = builder.rows[-1]
    before, after = [dataclasses.replace(terminal, status=old)], [dataclasses.replace(terminal, status=new, reason="x")]
    found = compare(before, after)
    assert _verdicts(found) == [verdict]
    assert f"was {old.value}, is {new.value} (x)" in found.lines[0].text


def test_products_of_a_cell_that_failed_both_times_are_not_compared(five):
    old = _changed([five[-1]], status=Status.TIMEOUT)
    assert compare(old, _changed(old, matvecs=99)).lines == ()


@pytest.mark.parametrize(("factor", "expected"), [(1.2, []), (1.3, [Verdict.REGRESSION]), (0.7, [Verdict.IMPROVEMENT])])
def test_without_randomness_every_answer_is_judged_alone(five, factor, expected):
    elsewhere = _changed(_changed(five, error=factor / 80), environment="f" * 12)
    assert _verdicts(compare(five, elsewhere)) == expected


def test_a_change_within_the_threshold_is_told_where_the_same_bits_must_come(five):
    found = compare(five, _changed(five, error=1.2 / 80))
    assert _verdicts(found) == [Verdict.CHANGED]
    assert "without randomness" in found.lines[0].text


def test_a_run_that_draws_nothing_is_judged_though_it_is_the_only_one(builder):
    builder.cell(budgets=(80,), drew_random=False)
    assert compare(builder.rows, _changed(builder.rows, error=1.0)).is_regression
    unknown = _changed(builder.rows, drew_random=None)
    found = compare(unknown, _changed(unknown, error=1.0))
    assert _verdicts(found) == [Verdict.TOO_FEW]
    assert not found.is_regression


def test_equal_to_rounding_is_unchanged(random):
    found = compare(random, [dataclasses.replace(row, error=row.error * (1 + 1e-7)) for row in random])
    assert found.lines == ()
    assert found.unchanged == found.answers > 0


@pytest.mark.parametrize(("factor", "verdict"), [(2.0, Verdict.REGRESSION), (0.5, Verdict.IMPROVEMENT)])
def test_random_answers_are_judged_together(random, factor, verdict):
    found = compare(random, _worse(random, factor))
    assert [line.verdict for line in found.lines if "all-runs" not in line.where] == [verdict]
    (whole,) = (it for it in found.judged if not it.problem)
    assert whole.runs == 10
    assert whole.low < whole.ratio < whole.high
    assert whole.ratio == pytest.approx(factor, rel=0.1)


def test_five_repeats_of_one_problem_are_judged(builder):
    _fill(builder, ["p"])
    (line,) = compare(builder.rows, _worse(builder.rows, 3.0)).lines
    assert (line.verdict, "over 5 runs" in line.text) == (Verdict.REGRESSION, True)


def test_random_answers_that_moved_both_ways_have_changed_and_are_no_regression(random):
    new = [dataclasses.replace(row, error=row.error * (3.0 if row.repeat % 2 else 0.3)) for row in random]
    found = compare(random, new)
    assert _verdicts(found) == [Verdict.CHANGED]
    assert "30 of 30 answers changed, all under equal conditions" in found.lines[0].text


def test_a_problem_alone_is_told_where_the_others_hide_it(builder):
    names = [f"p{number}" for number in range(8)]
    _fill(builder, names)
    new = [
        dataclasses.replace(row, error=row.error * (4 if row.problem == "p3" else 1)) for row in _shaken(builder.rows)
    ]
    found = compare(builder.rows, new)
    assert [line.where for line in found.lines if line.verdict is Verdict.REGRESSION] == [
        "p3 hutchpp trace on cpu float32 2"
    ]


def test_many_methods_share_one_level(builder):
    for number in range(20):
        _fill(builder, ["p", "q"], method=f"m{number}", seed=number)
    single = [row for row in builder.rows if row.method == "m3"]
    alone = compare(single, _worse(single, 1.5, spread=0.3)).judged[0]
    new = _worse(builder.rows, 1.5, spread=0.3, only="m3")
    together = next(it for it in compare(builder.rows, _shaken(new)).judged if it.group.method == "m3")
    assert together.adjusted > 3 * together.p
    assert alone.adjusted < together.adjusted


def test_a_claimed_standard_error_that_grows_is_a_regression(builder):
    _fill(builder, ["p", "q"], said_stderr=0.5)
    new = [dataclasses.replace(row, said_stderr=0.8 + 0.01 * row.repeat) for row in builder.rows]
    found = compare(builder.rows, new)
    assert found.is_regression
    assert "claimed standard error" in found.lines[0].text


def test_an_answer_from_another_run_is_a_group_of_its_own(builder):
    for repeat in range(5):
        builder.cell(repeat=repeat, estimand="density", drew_random=True)
        builder.cell(repeat=repeat, estimand="top-eigenvalues[k=10]", also=("density",), drew_random=True)
    new = [
        dataclasses.replace(row, error=row.error * 3)
        if row.cell in {it.cell for it in builder.rows if it.estimand == "top-eigenvalues[k=10]"}
        and row.estimand == "density"
        else row
        for row in builder.rows
    ]
    found = compare(builder.rows, new)
    assert {line.where for line in found.lines} == {
        "lanczos density from its top-eigenvalues[k=10] run on cpu float32 2"
    }


@pytest.mark.parametrize("times", [100.0])
def test_six_methods_a_hundred_times_worse_fail(builder, times):
    methods = [f"m{number}" for number in range(10)]
    for number, method in enumerate(methods):
        _fill(builder, ["p", "q"], method=method, seed=number)
    new = [dataclasses.replace(row, error=row.error * (times if row.method < "m6" else 1)) for row in builder.rows]
    found = compare(builder.rows, new)
    assert [line.where.split()[0] for line in found.lines] == methods[:6]
    assert {line.verdict for line in found.lines} == {Verdict.REGRESSION}


@pytest.mark.parametrize(
    ("name", "was", "now", "expected"),
    [
        ("host_peak_bytes", 100 << 20, 150 << 20, [Verdict.REGRESSION]),
        ("host_peak_bytes", 150 << 20, 100 << 20, [Verdict.IMPROVEMENT]),
        ("host_peak_bytes", 1 << 20, 3 << 20, []),
        ("host_peak_bytes", 1000 << 20, 1050 << 20, []),
        ("host_peak_bytes", None, 1050 << 20, []),
        ("device_peak_bytes", 10 << 20, 15 << 20, [Verdict.REGRESSION]),
        ("flops", 10**9, 1.02 * 10**9, [Verdict.REGRESSION]),
        ("flops", 10**9, 1.005 * 10**9, []),
        ("flops", 10**9, 5 * 10**8, [Verdict.IMPROVEMENT]),
    ],
)
def test_memory_and_flops_have_thresholds(builder, name, was, now, expected):
    builder.cell(budgets=(80,), pass_="memory")
    (old,) = (row for row in builder.rows if row.kind is Kind.TERMINAL)
    pair = [[dataclasses.replace(old, **{name: value})] for value in (was, now)]
    assert _verdicts(compare(*pair)) == expected


def test_unlike_conditions_are_named(builder):
    builder.cell(budgets=(80,))
    facts = {"cpu_capability": "AVX512", "versions": {"torch": "2.13.0"}, "device": {"type": "cpu"}}
    old = Ledger(tuple(builder.rows), {"e" * 12: facts})
    other = facts | {"cpu_capability": "AVX2", "versions": {"torch": "2.12.0"}}
    rows = _changed(builder.rows, environment="f" * 12, engine="rules: of 3 layers", timeout_s=30.0)
    found = compare(old, Ledger(tuple(rows), {"f" * 12: other}))
    assert found.lines == ()
    assert found.conditions == (
        "CPU capability AVX512, now AVX2 (1 of 1 cells)",
        "torch 2.13.0, now 2.12.0 (1 of 1 cells)",
        "engine of student-t[n=1000,zero_fraction=0.9] kept-graph, now rules (1 of 1 cells)",
        "time limit in seconds none, now 30.0 (1 of 1 cells)",
    )


@pytest.mark.parametrize("threshold", [1.0, 0.5, math.inf, math.nan])
def test_a_threshold_that_is_no_factor_is_refused(five, threshold):
    with pytest.raises(ValueError, match="threshold must be above 1 and finite"):
        compare(five, five, threshold=threshold)


def test_the_threshold_decides_what_counts(random):
    new = _worse(random, 2.0)
    assert compare(random, new).is_regression
    assert _verdicts(compare(random, new, threshold=3.0)) == [Verdict.CHANGED]


def test_errors_below_the_bound_count_as_the_bound(builder):
    for repeat in range(5):
        builder.cell(repeat=repeat, budgets=(80,), error=lambda budget: 1e-12)
    assert compare(builder.rows, _changed(builder.rows, error=9e-7)).lines == ()
    assert compare(builder.rows, _changed(builder.rows, error=2e-6)).is_regression


def test_an_error_out_of_zero_is_a_regression(builder):
    for repeat in range(5):
        builder.cell(repeat=repeat, budgets=(80,), error=lambda budget: 0.0, reference_bound=None)
    assert compare(builder.rows, builder.rows).lines == ()
    assert compare(builder.rows, _changed(builder.rows, error=1e-9)).is_regression


def test_a_lost_score_is_a_regression(five):
    found = compare(five, _changed(five, error=None))
    assert found.is_regression
    assert "has none now" in found.lines[0].text


def test_checkpoints_and_other_estimands_are_groups_of_their_own(builder):
    for repeat in range(5):
        builder.cell(repeat=repeat, also=("density",))
    new = [
        dataclasses.replace(row, error=1.0) if row.budget == 20 and row.estimand == "density" else row
        for row in builder.rows
    ]
    (line,) = compare(builder.rows, new).lines
    assert line.verdict is Verdict.REGRESSION
    assert "density from its trace run on" in line.where
    assert line.where.endswith("budget 20")


def test_seconds_of_two_ledgers_are_not_compared(five):
    assert compare(five, _changed(five, build_s=1.0, wall_s=99.0)).lines == ()


def test_cells_that_are_gone_or_new(five):
    terminal = [row for row in five if row.kind is Kind.TERMINAL]
    found = compare(five, [row for row in five if row.cell != terminal[0].cell])
    assert _verdicts(found) == [Verdict.REGRESSION]
    assert "missing" in found.lines[0].text
    found = compare([row for row in five if row.cell != terminal[0].cell], five)
    assert _verdicts(found) == [Verdict.ADDED]
    assert not found.is_regression


def test_a_failed_cell_that_is_gone_is_no_regression(builder):
    builder.cell(status=Status.TIMEOUT)
    found = compare(builder.rows, [])
    assert _verdicts(found) == [Verdict.CHANGED]


def test_another_problem_is_listed_and_not_pooled(five):
    new = [dataclasses.replace(row, problem_hash="f" * 64, error=1.0) if row.repeat == 0 else row for row in five]
    found = compare(five, new)
    assert _verdicts(found) == [Verdict.NOT_COMPARABLE]
    assert found.compared == 4
    assert not found.is_regression


def test_the_text_is_one_line_per_difference_and_holds_no_control_character(builder):
    builder.cell("p\x1b[2J\n", budgets=(80,))
    text = to_text(compare(builder.rows, []))
    assert text.splitlines()[0] == "0 cells compared: 1 regression"
    assert len(text.splitlines()) == 2
    assert "\x1b" not in text
