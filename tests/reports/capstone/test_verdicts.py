"""Rules of the capstone's claims, on planted numbers."""

from __future__ import annotations

import pytest

from hessbench.reports.capstone.judging import by_nets, judged, seen
from hessbench.reports.capstone.measures import (
    APPROXIMATIONS,
    BLOCKS,
    KFAC,
    LANCZOS,
    LATE,
    METHODS,
    RANDOMIZED,
    STEPS,
    TEN_MILLION,
    step,
    width,
)
from hessbench.reports.capstone.verdicts import CLAIMS
from hessbench.reports.claims.claim import ClaimOutcome
from hessbench.reports.claims.measured import measured_of

YES, NO, OPEN, ELSEWHERE = (
    ClaimOutcome.BORNE_OUT, ClaimOutcome.REFUTED, ClaimOutcome.UNDECIDED, ClaimOutcome.NOT_TESTABLE
)  # fmt: skip
GAUSSIAN, BULK, ENOUGH, LAZY, FEATURES, FISHER, KRONECKER, INFLUENCE, PRODUCTS, BUDGET = CLAIMS


def nets(measure, values, **where):
    return [{"unit": f"run={net}", "measure": measure, "value": value, **where} for net, value in enumerate(values)]


def verdicts(claim, rows):
    return [verdict.outcome for verdict in claim.judge(measured_of(rows))]


def test_nothing_measured_is_undecided_and_never_borne_out():
    for claim in CLAIMS:
        assert not {YES, NO} & set(verdicts(claim, []))


@pytest.mark.parametrize(
    ("agrees", "disagrees", "outcome"),
    [(9, 0, YES), (10, 0, YES), (8, 2, OPEN), (8, 0, OPEN), (0, 9, NO), (1, 9, NO), (0, 8, OPEN)],
)
def test_nine_of_ten_nets_decide(agrees, disagrees, outcome):
    assert by_nets([place < agrees for place in range(10)], [place >= 10 - disagrees for place in range(10)]) is outcome


def test_all_of_five_nets_are_needed():
    assert by_nets([True] * 5, [False] * 5) is YES
    assert by_nets([True] * 4 + [False], [False] * 5) is OPEN


def test_a_verdict_tells_its_median_and_how_many_nets_agree():
    verdict = judged([True, True, False], [False] * 3, f"distance {seen([0.1, 0.2, 0.4])}")
    assert verdict.detail == "2 of 3 nets agree, 0 disagree. distance 0.2 [0.1, 0.4]"


@pytest.mark.parametrize(("value", "outcome"), [(0.04, YES), (0.1, OPEN), (0.3, NO)])
def test_a_spectrum_near_the_normal_is_gaussian(value, outcome):
    assert verdicts(GAUSSIAN, nets("ks_to_normal", [value] * 10, problem=step(0))) == [outcome]


@pytest.mark.parametrize(
    ("share", "place", "outcome"), [(0.95, 9, YES), (0.95, 25, OPEN), (0.8, 9, OPEN), (0.4, 9, NO)]
)
def test_a_bulk_near_zero_needs_its_share_and_an_early_gap(share, place, outcome):
    rows = nets("near_zero_share", [share] * 10, problem=step(500)) + nets("gap_place", [place] * 10, problem=step(500))
    assert verdicts(BULK, rows) == [outcome]


def test_one_step_with_a_large_error_makes_a_net_disagree():
    rows = [row for number in STEPS for row in nets("top_error", [1e-3] * 10, problem=step(number), method=LANCZOS)]
    assert verdicts(ENOUGH, rows) == [YES]
    worse = [row | {"value": 0.02} if row["problem"] == step(0) else row for row in rows]
    assert verdicts(ENOUGH, worse) == [NO]


@pytest.mark.parametrize(
    ("overlaps", "r2s", "outcome"),
    [((0.8, 0.95), (0.5, 0.99), YES), ((0.95, 0.95), (0.5, 0.99), NO), ((0.5, 0.95), (0.5, 0.99), YES)],
)
def test_eigenfunctions_and_the_linearised_network_must_agree_at_every_width(overlaps, r2s, outcome):
    rows = []
    for units, overlap, r2 in zip((32, 512), overlaps, r2s, strict=True):
        rows += nets("overlap", [overlap] * 5, problem=width(units))
        rows += nets("prediction_r2", [r2] * 5, problem=width(units))
    assert verdicts(LAZY, rows) == [outcome]


def test_each_width_is_told_once():
    rows = [row for units in (32, 512) for name in ("overlap", "prediction_r2")
            for row in nets(name, [0.99] * 5, problem=width(units))]  # fmt: skip
    (verdict,) = LAZY.judge(measured_of(rows))
    assert verdict.detail.count("width 32:") == verdict.detail.count("width 512:") == 1


@pytest.mark.parametrize(("later", "outcome"), [(0.5, YES), (0.3, NO)])
def test_features_are_a_share_that_rises(later, outcome):
    rows = nets("class_share", [0.4] * 10, problem=step(0)) + nets("class_share", [later] * 10, problem=step(500))
    assert verdicts(FEATURES, rows) == [outcome]


@pytest.mark.parametrize(
    ("loss", "late", "outcome"), [(0.05, 0.08, YES), (0.05, 0.2, OPEN), (0.05, 0.4, NO), (0.2, 0.08, OPEN)]
)
def test_the_fisher_matrix_is_judged_where_the_loss_is_low(loss, late, outcome):
    rows = nets("relative_difference", [0.5] * 10, problem=step(0)) + nets("loss", [2.3] * 10, problem=step(0))
    rows += nets("relative_difference", [late] * 10, problem=step(LATE)) + nets("loss", [loss] * 10, problem=step(LATE))
    assert verdicts(FISHER, rows) == [outcome]


def test_each_approximation_of_the_fisher_matrix_is_judged_by_its_worst_step():
    rows = []
    for name, late in zip(APPROXIMATIONS, (0.95, 0.7, 0.4), strict=True):
        for number in (*STEPS, LATE):
            value = late if number == LATE else 0.95
            rows += nets("step_cosine", [value] * 10, problem=step(number), method=name)
    assert verdicts(KRONECKER, rows) == [YES, OPEN, NO]


def test_an_approximation_whose_library_is_missing_cannot_be_judged():
    rows = [row for number in (*STEPS, LATE)
            for row in nets("step_cosine", [0.95] * 10, problem=step(number), method=BLOCKS)]  # fmt: skip
    found = {verdict.subject: verdict.outcome for verdict in KRONECKER.judge(measured_of(rows))}
    assert found[BLOCKS] is YES
    assert found[KFAC] is ELSEWHERE


@pytest.mark.parametrize(("rho", "outcome"), [(0.8, YES), (0.5, OPEN), (0.1, NO)])
def test_influence_is_judged_by_the_rank_of_what_retraining_says(rho, outcome):
    rows = nets("influence_rho", [rho] * 5) + nets("left_out", [60] * 5) + nets("solve_products", [30] * 5)
    assert verdicts(INFLUENCE, rows) == [outcome]


@pytest.mark.parametrize(("count", "outcome"), [(32, YES), (48, NO)])
def test_products_of_the_randomised_method_are_counted(count, outcome):
    assert verdicts(PRODUCTS, nets("products", [count] * 4, method=RANDOMIZED)) == [outcome]


def test_the_budget_is_told_for_each_method_and_not_judged():
    told = {"product_seconds": 70.0, "own_seconds": 4.0, "basis_bytes": 2.0**31}
    rows = [{"unit": method, "problem": TEN_MILLION, "method": method, "measure": name, "value": value}
            for method in METHODS for name, value in told.items()]  # fmt: skip
    found = BUDGET.judge(measured_of(rows))
    assert [verdict.outcome for verdict in found] == [ELSEWHERE] * 4
    assert "70 s of products and 4 s of its own work, 2 GiB" in found[0].detail
