"""The error that is shown: of a trace relative to itself, of all else the primary one."""

import pytest

from hessbench.ledger.record import Kind, Record, Status
from hessbench.ledger.shown_errors import NEAR_ZERO, ShownError, error_definition, shown_error, shown_name, trace_share


def row(error, estimand="trace", bound=1e-6, **errors):
    return Record(Kind.TERMINAL, "c", "p", "m", estimand, Status.OK, error=error, errors=errors, reference_bound=bound)


def test_a_trace_is_shown_relative_to_itself_with_its_bound_on_that_scale():
    shown = shown_error(row(0.01, relative=0.1))
    assert shown == ShownError(0.1, pytest.approx(1e-5), "relative")


@pytest.mark.parametrize("share", [NEAR_ZERO / 2, 0.0])
def test_a_trace_near_zero_keeps_the_scaled_error(share):
    assert shown_error(row(0.01, relative=5.0, trace_share=share)) == ShownError(0.01, 1e-6, "relative_to_abs_sum")


def test_a_trace_below_the_bound_of_its_reference_keeps_the_scaled_error():
    assert shown_error(row(0.01, relative=0.2, bound=0.06)).name == "relative_to_abs_sum"


def test_an_exact_trace_is_zero_on_either_scale():
    assert shown_error(row(0.0, relative=0.0)) == ShownError(0.0, 1e-6, "relative")
    assert shown_error(row(0.0, relative=0.0, trace_share=0.5)) == ShownError(0.0, 2e-6, "relative")


@pytest.mark.parametrize("estimand", ["density", "diagonal", "top-eigenvalues[k=3]"])
def test_all_else_is_shown_by_its_primary_error(estimand):
    shown = shown_error(row(0.01, estimand, relative=0.1))
    assert (shown.value, shown.bound) == (0.01, 1e-6)
    assert shown.name == error_definition(estimand, shown.name).label or error_definition(estimand, shown.name).sentence


def test_without_an_error_or_the_other_one_nothing_is_converted():
    assert shown_error(row(None)) == ShownError(None, 1e-6, "relative_to_abs_sum")
    assert shown_error(row(0.1)) == ShownError(0.1, 1e-6, "relative_to_abs_sum")


def test_the_share_of_a_trace_follows_from_its_two_errors():
    assert trace_share(row(0.01, relative=0.1)) == pytest.approx(0.1)
    assert trace_share(row(0.0, relative=0.0)) is None


def test_the_name_of_several_is_that_of_those_that_are_not_zero():
    rows = [row(0.0, relative=0.0), row(0.01, relative=9.0), row(0.0, relative=0.0)]
    assert shown_name(rows) == "relative_to_abs_sum"
    assert shown_name([]) == "error"


def test_an_unknown_error_is_named_by_its_name():
    assert error_definition("trace", "other").label == "other"
    assert error_definition("no-such", "relative").label == "relative"
