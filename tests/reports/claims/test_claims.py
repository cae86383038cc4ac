"""Claims and the rules they share, on numbers where the right verdict is known."""

import numpy as np
import pytest
from scipy import stats

from hessbench.reports.claims.claim import (
    ClaimOutcome,
    ClaimVerdict,
    FormerRule,
    PublishedClaim,
    claims_frame,
    command_of,
    judge_all,
)
from hessbench.reports.claims.rules import (
    always,
    at_least,
    at_most,
    deviation,
    fitted_exponent,
    share_interval,
    share_uncertainty,
    typical,
    usually,
)


def claim(**changes):
    said = {
        "title": "It grows", "sentence": "it grows as 1 + 1", "seed": "002", "place": "section 3", "measure": "Size.",
        "rule": "Borne out above 2.", "judge": lambda n: (ClaimVerdict(at_least(n, 2, 1), f"{n}", "here", "in part"),),
    }  # fmt: skip
    return PublishedClaim(**(said | changes))


def test_a_claim_is_judged_by_its_own_rule_on_the_results():
    assert [judge_all([claim()], n)[0].verdicts[0].outcome for n in (3, 1.5, 0)] == [
        ClaimOutcome.BORNE_OUT, ClaimOutcome.UNDECIDED, ClaimOutcome.REFUTED,
    ]  # fmt: skip


def test_the_frame_has_a_row_for_each_verdict_with_the_words_and_their_place():
    two = claim(judge=lambda _: (ClaimVerdict(ClaimOutcome.REFUTED, "a"), ClaimVerdict(ClaimOutcome.NOT_TESTABLE, "b")))
    frame = claims_frame(judge_all([claim(), two], 3))
    assert list(frame.verdict) == ["borne out in part", "refuted", "not testable here"]
    assert (frame.document == "002").all()
    assert (frame.place == "section 3").all()
    assert list(frame.subject) == ["here", "", ""]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"seed": "005"}, "000, 001"),
        ({"place": " "}, "place"),
        ({"rule": ""}, "rule"),
        ({"scale": "large"}, "small, medium"),
    ],
)
def test_a_claim_without_its_document_place_or_rule_is_refused(changes, says):
    with pytest.raises(ValueError, match=says):
        claim(**changes)


@pytest.mark.parametrize(
    ("agreeing", "units", "outcome"),
    [(9, 10, "borne out"), (8, 10, "undecided"), (2, 10, "undecided"), (1, 10, "refuted"), (5, 5, "borne out"),
     (4, 5, "undecided"), (1, 5, "undecided"), (0, 5, "refuted"), (0, 0, "undecided")],
)  # fmt: skip
def test_usually_is_nine_of_ten_or_five_of_five(agreeing, units, outcome):
    assert usually(agreeing, units) == outcome


def test_more_units_that_agree_than_there_are_are_refused():
    with pytest.raises(ValueError, match="agreeing must be from 0 to the 5 units"):
        usually(6, 5)


def test_a_number_between_the_bounds_or_none_decides_nothing():
    assert [at_most(x, 0.05, 0.15) for x in (0.05, 0.1, 0.15)] == ["borne out", "undecided", "refuted"]
    assert at_least(float("nan"), 2, 1) == at_most(float("nan"), 1, 2) == "undecided"
    for rule in (at_least, at_most):
        with pytest.raises(ValueError, match="must be below"):
            rule(0.0, *((1, 1)))


@pytest.mark.parametrize("power", [-0.5, 0.0, 1.0])
def test_an_exponent_is_found_within_its_interval_by_median_and_by_deviation(power):
    rng = np.random.default_rng(3)
    x = np.array([1e3, 1e4, 1e5, 1e6])
    spread = [place**power * rng.standard_normal(40) for place in x]
    for size, samples in ((typical, [np.abs(each) for each in spread]), (deviation, spread)):
        found = fitted_exponent(x, samples, size)
        assert found.low <= power <= found.high
        assert found.low < found.value < found.high
        assert found.high - found.low < 0.3


def test_an_exponent_of_exact_powers_has_no_width_and_no_error():
    x = np.array([1.0, 10.0, 100.0])
    found = fitted_exponent(x, [np.full(3, place**-0.5) for place in x], typical)
    assert (found.low, found.value, found.high) == pytest.approx((-0.5, -0.5, -0.5), abs=1e-14)


@pytest.mark.parametrize(
    ("x", "samples", "says"),
    [([1.0, 1.0], [[1.0], [1.0]], "two different places"), ([1.0, 2.0], [[1.0]], "two different places"),
     ([1.0, 2.0], [[1.0], [0.0]], "above 0"), ([1.0, 2.0], [[1.0], [np.nan]], "finite")],
)  # fmt: skip
def test_what_has_no_power_law_is_refused(x, samples, says):
    with pytest.raises(ValueError, match=says):
        fitted_exponent(np.array(x), [np.array(each) for each in samples], typical)


@pytest.mark.parametrize(
    ("agreeing", "units", "outcome"), [(5, 5, "borne out"), (4, 5, "refuted"), (0, 1, "refuted"), (0, 0, "undecided")]
)
def test_always_is_refuted_by_one_counter_example(agreeing, units, outcome):
    assert always(agreeing, units) == outcome


def test_the_share_of_agreeing_units_has_its_exact_interval_in_words():
    # Of 10 of 10 the lower end is 0.025^(1/10).
    assert share_uncertainty(10, 10) == f"share of such networks that agree within {0.025**0.1:.2f} to 1.00, 95 %"
    assert share_uncertainty(0, 0) == ""


def test_an_exact_interval_covers_at_least_as_often_as_it_says():
    probability = stats.binom.pmf(np.arange(11), 10, 0.3)
    intervals = [share_interval(agreeing, 10) for agreeing in range(11)]
    covered = [low <= 0.3 <= high for low, high in intervals]
    assert probability[covered].sum() >= 0.95
    with pytest.raises(ValueError, match="agreeing must be from 0 to units"):
        share_interval(0, 0)


def test_a_rule_that_was_changed_is_judged_beside_the_new_one_subject_by_subject():
    def as_it_was(n):
        return (ClaimVerdict(at_least(n, 9, 8), f"{n} then", "here"),)

    changed = claim(
        judge=lambda n: (ClaimVerdict(at_least(n, 2, 1), f"{n}", "here"), ClaimVerdict(at_least(n, 2, 1), "", "new")),
        former=FormerRule("Borne out above 9.", as_it_was, "It could not be met."),
    )
    judged = judge_all([changed], 3)[0]
    here, new = judged.verdicts
    assert here.outcome == "borne out"
    assert (judged.before(here).outcome, judged.before(here).detail) == ("refuted", "3 then")
    assert judged.before(new) is None
    assert judge_all([claim()], 3)[0].former == ()
    with pytest.raises(ValueError, match="reason of a former rule"):
        FormerRule("r", as_it_was, " ")


def test_what_measures_a_claim_is_its_own_command_or_that_of_its_study_at_its_scale():
    assert command_of("s", claim()) == "hessbench study s --out DIR"
    assert command_of("s", claim(scale="medium")) == "hessbench study s --scale medium --out DIR"
    assert command_of("s", claim(command="make it")) == "make it"
