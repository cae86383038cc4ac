"""What a method said of itself, whether it was true, and how many values are within."""

import dataclasses

import pytest
from planted_ledgers import cell, repeats

from hessbench.ledger.answering import answer
from hessbench.ledger.record import Kind

TOP = "top-eigenvalues[k=10]"


def entry(rows, tolerance):
    return answer(rows, (tolerance,))[0].entries[0]


def said(rows, *values):
    """The rows with what was said in each repeat."""
    return [dataclasses.replace(row, said_converged=values[row.repeat]) for row in rows]


@pytest.mark.parametrize(
    ("values", "error", "text"),
    [
        ((True, True, True), 0.001, "says converged: true"),
        ((True, True, True), 0.5, "says converged: not true"),
        ((True, False, True), 0.001, "says converged in 2 of 3: true"),
        ((False, False, False), 0.001, "says it has not converged"),
    ],
)
def test_what_it_said_of_convergence(values, error, text):
    rows = said(repeats(error=lambda budget, repeat: error), *values)
    assert [claim.text for claim in entry(rows, 0.01).claims] == [text]


def test_of_an_answer_that_nothing_judges_it_is_not_said_whether_it_was_true():
    bare = [
        dataclasses.replace(row, error=None, errors={}, reference_source="", reference_bound=None) for row in repeats()
    ]
    (claim,) = entry(said(bare, True, True, True), 0.01).claims
    assert (claim.said, claim.true, claim.text) == (3, None, "says converged")


def test_a_claim_that_is_true_in_part():
    rows = said(repeats(error=lambda budget, repeat: 0.5 if repeat == 1 else 0.001), True, True, True)
    (claim,) = entry(rows, 0.01).claims
    assert (claim.said, claim.true, claim.text) == (3, 2, "says converged: true in 2 of 3")


def test_who_says_nothing_claims_nothing():
    assert entry(repeats(), 0.05).claims == ()


def test_intervals_hold_where_no_value_is_outside_of_its_own():
    def errors(value):
        return {"max_relative": 0.001, "interval_misses": 0.0 if value == 0.001 else 2.0, "interval_half_width": 0.01}

    rows = repeats(error=lambda budget, repeat: 0.002 if repeat == 1 else 0.001, errors=errors)
    (claim,) = entry(rows, 0.05).claims
    assert (claim.what, claim.said, claim.true) == ("intervals", 3, 2)
    assert claim.text == "intervals of 1 %: hold every value in 2 of 3"


def traces(stderr, diagnostics=(), **more):
    """A trace of 100, with absolute eigenvalues that sum to 200, found with an error of 4."""

    def errors(value):
        return {"relative_to_abs_sum": 0.02, "relative": 0.04, "absolute": 4.0, "trace_share": 0.5} | more

    fields = {"said_stderr": stderr, "diagnostics": dict(diagnostics)}
    return repeats("hutchpp", estimand="trace", error=lambda budget, repeat: 0.02, errors=errors, **fields)


def test_a_standard_error_is_put_on_the_scale_of_the_error_shown():
    (claim,) = entry(traces(3.0), 0.1).claims
    assert (claim.what, claim.said, claim.true, claim.size.median) == ("standard error", 3, 3, pytest.approx(0.03))
    assert claim.text == "standard error 3 %: error within its 95 % interval in 3 of 3"


def test_a_standard_error_that_is_too_small_is_not_true():
    (claim,) = entry(traces(1.0), 0.1).claims
    assert (claim.true, claim.text) == (0, "standard error 1 %: error within its 95 % interval in 0 of 3")


@pytest.mark.parametrize(
    ("dof", "factor"), [(None, 1.95996), (1.0, 12.7062), (2, 4.30265), (4.0, 2.77645), (9.0, 2.26216), (1e6, 1.95997)]
)
def test_the_interval_is_that_of_students_t_where_the_degrees_of_freedom_are_said(dof, factor):
    """Two-sided 95 % quantiles, as printed in tables."""
    said = {} if dof is None else {"stderr_dof": dof}
    for share, true in ((1.0001, 3), (0.9999, 0)):
        (claim,) = entry(traces(share * 4.0 / factor, said, reference_bound=0.0), 0.1).claims
        assert claim.true == true


@pytest.mark.parametrize("dof", ["many", True, 0, -1.0, None, [3.0]])
def test_degrees_of_freedom_that_cannot_be_are_not_taken(dof):
    assert entry(traces(4.0 / 1.97, {"stderr_dof": dof}), 0.1).claims[0].true == 0
    assert entry(traces(4.0 / 1.95, {"stderr_dof": dof}), 0.1).claims[0].true == 3


def test_that_of_a_diagonal_is_judged_in_the_2_norm():
    """Entries of norm 20, found with an error of 0.4 in the 2-norm."""
    errors = {"relative_norm": 0.02, "max_relative": 0.05, "absolute": 0.4}
    for stderr, true in ((0.25, 3), (0.15, 0)):
        rows = repeats(
            "diagpp", estimand="diagonal", error=lambda budget, repeat: 0.02, errors=lambda value: errors,
            said_stderr=stderr, diagnostics={"stderr_dof": 30.0},
        )  # fmt: skip
        (claim,) = entry(rows, 0.1).claims
        assert (claim.true, claim.size.median) == (true, pytest.approx(stderr / 20))


def test_of_an_old_row_it_is_not_known_whether_a_standard_error_was_true():
    rows = [dataclasses.replace(row, errors={"relative_to_abs_sum": 0.02, "relative": 0.04}) for row in traces(3.0)]
    (claim,) = entry(rows, 0.1).claims
    assert (claim.true, claim.size, claim.text) == (None, None, "gives a standard error")


def values(*counts, **fields):
    rows = repeats("lanczos", estimand=TOP, error=lambda budget, repeat: 1.0, number=len(counts), **fields)
    names = ("values_within_10pct", "values_within_1pct", "values_within_0.1pct")
    return [
        dataclasses.replace(row, errors={name: float(counts[row.repeat]) for name in names})
        if row.kind is Kind.CHECKPOINT
        else row
        for row in rows
    ]


@pytest.mark.parametrize(
    ("tolerance", "counts", "text"),
    [
        (0.01, (7, 7, 7), "7 of 10 values within 1 %"),
        (0.1, (7, 8, 9), "7 to 9 of 10 values within 10 %"),
        (0.05, (7, 7, 7), "at least 7 of 10 values within 5 %"),
        (1e-4, (7, 7, 7), ""),
    ],
)
def test_how_many_values_are_within(tolerance, counts, text):
    assert entry(values(*counts), tolerance).values == text


def test_an_old_row_does_not_tell_how_many():
    rows = repeats(estimand=TOP, error=lambda budget, repeat: 1.0)
    assert entry(rows, 0.01).values == ""
    assert entry(cell(estimand="trace"), 0.01).values == ""
