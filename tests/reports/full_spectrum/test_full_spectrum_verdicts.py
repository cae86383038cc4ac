"""The rules of the full-spectrum study on numbers whose verdicts are known."""

import numpy as np
import pytest

from hessbench.reports.claims.claim import judge_all
from hessbench.reports.claims.measured import measured_of
from hessbench.reports.full_spectrum.groups import BY_SIZE, LARGE, MAIN, SHALLOW, SMOOTH, of_groups
from hessbench.reports.full_spectrum.method_verdicts import BUDGET, BY_LANCZOS, KPM, PLAIN, at_budget
from hessbench.reports.full_spectrum.verdicts import CLAIMS


def verdicts(title, rows):
    (claim,) = [it for it in CLAIMS if it.title == title]
    return {it.subject: it for it in claim.judge(measured_of(rows))}


def main(measure, values, method="", groups=MAIN):
    return [
        {"unit": f"{group.name} run={run}", "problem": group.name, "method": method, "measure": measure, "value": value}
        for group, part in zip(groups, np.array_split(np.asarray(values, dtype=float), len(groups)), strict=True)
        for run, value in enumerate(part)
    ]


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda it: it.title)
def test_nothing_measured_bears_nothing_out(claim):
    outcomes = {str(it.outcome) for it in claim.judge(measured_of([]))}
    assert outcomes <= {"undecided", "not testable here", "a theorem"}


@pytest.mark.parametrize(
    ("places", "outcome"), [([9] * 9 + [2], "borne out"), ([2] * 9 + [10], "refuted"), ([9] * 5 + [2] * 5, "undecided")]
)
def test_outliers_are_counted_by_the_place_of_the_widest_gap(places, outcome):
    found = verdicts("As many outliers as classes", main("gap-place", places))
    assert str(found["24-24, MNIST and Fashion"].outcome) == outcome


def test_a_share_far_from_one_refutes_and_one_between_decides_nothing():
    rows = main("outlier-shift", [0.3] * 10) + main("rayleigh-share", [0.85] * 10)
    found = verdicts("The outliers are those of G", rows)
    assert str(found["places of eigenvalues"].outcome) == "refuted"
    assert str(found["Rayleigh share"].outcome) == "undecided"


def test_residuals_with_a_gap_as_wide_as_that_of_the_hessian_do_not_agree():
    found = verdicts("R has no outliers", main("gap-r", [1.2] * 10) + main("gap-h", [1.1] * 10))
    assert str(found[""].outcome) == "refuted"


def test_a_violated_theorem_is_no_theorem():
    assert str(verdicts("H and G interlace", main("weyl", [0.5] * 10))[""].outcome) == "a theorem"
    assert str(verdicts("H and G interlace", main("weyl", [1.5] * 10))[""].outcome) == "undecided"


def test_more_outliers_with_samples_are_judged_over_the_networks():
    rows = main("gaps-of-g", [2, 2, 3, 2, 3, 5, 4, 5, 5, 6, 8, 7, 9, 8, 9], groups=BY_SIZE)
    assert str(verdicts("More outliers with more samples", rows)["G, train"].outcome) == "borne out"
    rows = main("gaps-of-g", [9, 8, 9, 8, 9, 5, 4, 5, 5, 6, 3, 2, 2, 3, 2], groups=BY_SIZE)
    assert str(verdicts("More outliers with more samples", rows)["G, train"].outcome) == "refuted"
    rows = main("gaps-of-g", [3] * 15, groups=BY_SIZE)
    assert str(verdicts("More outliers with more samples", rows)["G, train"].outcome) == "undecided"


def test_one_miss_refutes_the_interval():
    rows = [
        {"unit": "u", "method": "explicit", "measure": name, "value": value}
        for name, value in (("interval-misses", 1), ("interval-starts", 100), ("interval-worst", 0.01))
    ]
    found = verdicts("NORMALIZATION brings the spectrum into [-1, 1]", rows)
    assert str(found["margin: explicit"].outcome) == "refuted"


def test_a_run_without_a_density_counts_against_kpm():
    measure = at_budget("w1", BUDGET)
    rows = main(measure, [np.nan] * 10, KPM) + main(measure, [0.1] * 10, PLAIN)
    found = verdicts("KPM is temperamental beside Lanczos", rows)
    assert str(found["whole spectrum, as it is"].outcome) == "borne out"


def test_factors_are_told_apart_on_planted_effects():
    rng = np.random.default_rng(0)
    rows = []
    for group in (*MAIN, *SHALLOW):
        by_data, by_shape = float(group.images == "MNIST"), float(group.widths == "34")
        for k in range(1, 11):
            rows += main(f"log-outlier-{k}", by_data + 0.01 * rng.standard_normal(5), groups=(group,))
        for q in (50, 75, 90, 99):
            rows += main(f"log-bulk-{q}", by_shape + 0.01 * rng.standard_normal(5), groups=(group,))
    found = verdicts("The bulk by architecture, the outliers by data", rows)
    assert {str(it.outcome) for it in found.values()} == {"borne out"}


def test_symmetry_is_a_theorem_of_relu_and_a_measurement_of_tanh():
    rows = main("trace-share-of-r", [1e-15] * 10) + main("symmetry-p", [0.01] * 10)
    rows += main("trace-share-of-r", [0.2] * 5, groups=SMOOTH) + main("symmetry-p", [0.5] * 5, groups=SMOOTH)
    found = verdicts("R is symmetric", rows)
    assert str(found["trace, 24-24 ReLU"].outcome) == "a theorem"
    assert str(found["signs, 24-24 ReLU"].outcome) == "refuted"
    assert str(found["24-24 tanh"].outcome) == "refuted"


def test_groups_are_told_apart_by_their_names():
    rows = [*main("gap-place", range(10)), {"unit": "x", "problem": LARGE, "measure": "gap-place", "value": 3}]
    assert list(of_groups(measured_of(rows), "gap-place", MAIN).values()) == list(range(10))
    assert BY_LANCZOS != PLAIN


def before(title, rows):
    """Verdicts by the rule first committed, by their subject."""
    (judged,) = judge_all([next(it for it in CLAIMS if it.title == title)], measured_of(rows))
    assert judged.former
    return {it.subject: judged.before(it) for it in judged.verdicts}


def test_two_networks_bore_a_claim_out_by_the_first_rule_and_decide_nothing_now():
    rows = [{"unit": f"u{run}", "problem": LARGE, "measure": "gap-place", "value": 9} for run in range(2)]
    rows += main("gap-place", [9] * 10)
    title, subject = "As many outliers as classes", f"{LARGE}, MNIST"
    assert str(verdicts(title, rows)[subject].outcome) == "undecided"
    assert str(before(title, rows)[subject].outcome) == "borne out"
    assert {str(it.outcome) for it in before(title, rows).values()} == {"borne out"}


def test_errors_that_are_rounding_were_compared_by_the_first_rule_and_the_nearest_value_was_not():
    title = "Deflation detects outliers and resolves the bulk"
    rows = main(at_budget("outlier-error", BUDGET), [1e-11] * 10, BY_LANCZOS)
    rows += main(at_budget("outlier-error", BUDGET), [1e-10] * 10, PLAIN)
    read, nearest = (f"outliers, {how}: {BY_LANCZOS}" for how in ("the first C read", "the nearest value"))
    assert str(verdicts(title, rows)[read].outcome) == "undecided"
    assert str(before(title, rows)[read].outcome) == "borne out"
    assert before(title, rows)[nearest] is None


def test_fewer_starts_than_were_meant_decide_by_the_first_rule_where_one_misses_only():
    title, margin = "NORMALIZATION brings the spectrum into [-1, 1]", "margin: explicit"

    def rows(misses, starts):
        found = {"interval-misses": misses, "interval-starts": starts, "interval-worst": 0.0}
        return [{"unit": "u", "method": "explicit", "measure": name, "value": it} for name, it in found.items()]

    told = [str(before(title, rows(*counts))[margin].outcome) for counts in ((0, 20), (0, 100), (1, 20))]
    assert told == ["undecided", "borne out", "refuted"]


def costs(name, sizes, power):
    return [
        {"unit": "u", "problem": f"{name}={size}", "measure": "lanczos-seconds", "value": factor * size**power}
        for size in sizes
        for factor in (1.0, 1.02, 0.99)
    ]


def test_seconds_are_linear_in_each_size_by_its_own_exponent():
    rows = costs("M", (32, 256), 1.0) + costs("N", (100, 800), 1.3) + costs("p", (1000, 2000), 2.0)
    found = verdicts("Without reorthogonalisation Lanczos takes O(M N p)", rows)
    assert {name: str(it.outcome) for name, it in found.items()} == {
        "steps M": "borne out", "images N": "undecided", "parameters p": "refuted",
    }  # fmt: skip


@pytest.mark.parametrize(("most", "outcome"), [(4, "borne out"), (5, "refuted"), (None, "undecided")])
def test_vectors_that_grow_with_the_steps_refute_that_three_are_saved(most, outcome):
    held = {32: 4} | ({256: most} if most else {})
    rows = [
        {"unit": "u", "problem": f"M={steps}", "method": "none", "measure": "vectors-alive", "value": number}
        for steps, number in held.items()
    ]
    assert str(verdicts("Three vectors are saved", rows)[""].outcome) == outcome
