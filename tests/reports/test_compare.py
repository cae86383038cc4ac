"""Regressions, and what is none."""

import dataclasses
import math

import pytest

from hessbench.ledger.record import Kind, Status
from hessbench.reports.compare import Verdict, compare, median_ratio, to_text


def _changed(rows, **fields):
    return [dataclasses.replace(row, **fields) for row in rows]


def _verdicts(comparison):
    return [line.verdict for line in comparison.lines]


@pytest.fixture
def five(builder):
    """Five repeats of one method, error 1 / budget."""
    for repeat in range(5):
        builder.cell(repeat=repeat, budgets=(80,))
    return builder.rows


def test_the_same_ledger_has_no_difference(five):
    found = compare(five, five, time=True)
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


@pytest.mark.parametrize(("factor", "expected"), [(1.4, []), (1.6, [Verdict.REGRESSION]), (0.5, [Verdict.IMPROVEMENT])])
def test_errors_are_judged_by_the_median_paired_ratio(five, factor, expected):
    assert _verdicts(compare(five, _changed(five, error=factor / 80))) == expected


def test_pairs_are_judged_not_medians(builder):
    # Old 1..5, new a cyclic shift of them: the medians are equal, and the median ratio is 2 / 1, 3 / 2, 4 / 3, ...
    for repeat in range(5):
        builder.cell(repeat=repeat, budgets=(80,), error=lambda b, r=repeat: float(10**r))
    new = [dataclasses.replace(row, error=float(10 ** ((row.repeat + 1) % 5))) for row in builder.rows]
    assert compare(builder.rows, new).is_regression


def test_two_bad_repeats_of_five_are_no_regression(five):
    new = [dataclasses.replace(row, error=1.0) if row.repeat < 2 else row for row in five]
    assert compare(five, new).lines == ()


def test_fewer_than_five_repeats_are_reported_and_not_judged(five):
    few = [row for row in five if row.repeat < 4]
    found = compare(few, _changed(few, error=1.0))
    assert _verdicts(found) == [Verdict.TOO_FEW]
    assert not found.is_regression


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
    assert "density budget 20" in line.where


def test_time_is_judged_only_when_asked_and_counts_the_build(five):
    slow = _changed(five, build_s=1.0)
    assert compare(five, slow).lines == ()
    found = compare(five, slow, time=True)
    assert _verdicts(found) == [Verdict.REGRESSION]
    assert "build + wall" in found.lines[0].text
    assert not compare(slow, five, time=True).is_regression


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


def test_the_median_of_ratios_by_hand():
    assert median_ratio([(1, 2), (2, 2), (1, 4)]) == 2
    assert median_ratio([(0, 0)]) == 1
    assert median_ratio([(0, 1)]) == math.inf
