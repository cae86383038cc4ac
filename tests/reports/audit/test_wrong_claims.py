"""Claims that are not so: flags of convergence that are off, intervals that miss."""

import dataclasses

import pytest
from planted_ledgers import shots

from hessbench.reports.audit.wrong_claims import Claimed, claims_frame, claims_sheet, judged_claims, wrong_claims
from hessbench.reports.writing.sheets import to_markdown


def flagged(error, method="peer", number=3, **fields):
    rows = shots(method, budgets=(80,), number=number, error=error, **fields)
    return [dataclasses.replace(row, said_converged=True) for row in rows]


@pytest.mark.parametrize(
    ("method", "error", "bound", "wrong"),
    [
        ("peer[tol=0.001]", 0.009, 1e-6, 0),
        ("peer[tol=0.001]", 0.011, 1e-6, 3),
        ("peer[tol=0.01]", 0.09, 1e-6, 0),  # ten times its own tolerance
        ("peer[tol=0.01]", 0.11, 1e-6, 3),
        ("peer[tol=1e-12]", 0.009, 1e-6, 0),  # 1 % however small the tolerance
        ("peer", 0.011, 1e-6, 3),  # not known
        ("known", 0.15, 1e-6, 0),  # 2 % by default
        ("peer", 0.015, 0.006, 0),  # within the bound of the reference
    ],
)
def test_a_flag_is_wrong_above_ten_tolerances_and_one_percent(method, error, bound, wrong):
    (claims,) = judged_claims(flagged(lambda b, r: error, method, reference_bound=bound), {"known": 0.02})
    assert (claims.what, claims.repeats, claims.wrong) == (Claimed.CONVERGED, 3, wrong)


def test_a_reference_worse_than_the_limit_judges_nothing():
    assert judged_claims(flagged(lambda b, r: 0.5, reference_bound=0.2)) == ()


def test_flagged_converged_without_a_finite_answer_is_wrong():
    (claims,) = judged_claims(flagged(lambda b, r: None if r == 0 else 0.001))
    assert (claims.repeats, claims.wrong, claims.error) == (3, 1, None)
    assert "not finite" in to_markdown(claims_sheet([claims]))


def test_who_is_not_flagged_claims_nothing():
    assert judged_claims(shots("peer", budgets=(80,), error=lambda b, r: 0.9)) == ()


def trace(stderr, number, off):
    """Traces of 100, off by 4 in some repeats, with a standard error."""

    def errors(value):
        return {"absolute": 200 * value, "relative": 2 * value}

    rows = shots("peer", budgets=(80,), number=number, estimand="trace", errors=errors,
                 error=lambda b, r: 0.02 if r in off else 1e-4)  # fmt: skip
    return [dataclasses.replace(row, said_stderr=stderr) for row in rows]


def test_an_interval_that_misses_is_counted_with_its_exact_interval():
    (claims,) = judged_claims(trace(1.0, 10, off={1, 4, 7}))
    assert (claims.what, claims.repeats, claims.wrong, claims.level) == (Claimed.STANDARD_ERROR, 10, 3, 0.95)
    assert claims.share == pytest.approx((0.0667, 0.6525), abs=1e-4)  # Clopper and Pearson, 3 of 10
    assert claims.is_beyond_chance
    assert len(claims.cells) == 3
    frame = claims_frame([claims])
    assert frame[["repeats", "wrong", "beyond_chance"]].values.tolist() == [[10, 3, True]]


def test_one_miss_of_few_is_within_chance():
    (claims,) = wrong_claims(judged_claims(trace(1.0, 5, off={1})))
    assert not claims.is_beyond_chance
    assert "within chance" in to_markdown(claims_sheet([claims]))


def test_a_wider_interval_holds():
    (claims,) = judged_claims(trace(4.0, 3, off={0, 1, 2}))
    assert claims.wrong == 0
    assert wrong_claims([claims]) == ()


def test_intervals_of_eigenvalues_are_judged_at_their_own_level():
    rows = shots("peer", budgets=(80,), estimand="top-eigenvalues[k=10]", error=lambda b, r: 0.01 + 0.01 * (r == 0),
                 errors=lambda value: {"interval_misses": 2.0 if value > 0.015 else 0.0},
                 diagnostics={"confidence": 0.999})  # fmt: skip
    (claims,) = judged_claims(rows)
    assert (claims.what, claims.wrong, claims.level) == (Claimed.INTERVALS, 1, 0.999)
    assert claims.is_beyond_chance


def test_what_is_wrong_beyond_chance_comes_first_and_versions_stay_apart():
    old = flagged(lambda b, r: 0.2)
    new = [dataclasses.replace(row, library_version="hessbench 0.2.0", cell=f"{row.cell}-2") for row in old]
    judged = judged_claims([*trace(1.0, 5, off={1}), *old, *new])
    assert [claims.what for claims in wrong_claims(judged)] == [
        Claimed.CONVERGED, Claimed.CONVERGED, Claimed.STANDARD_ERROR
    ]  # fmt: skip
    assert len({claims.method for claims in judged if claims.what is Claimed.CONVERGED}) == 2
