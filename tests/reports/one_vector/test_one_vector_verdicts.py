"""The rules of the study of a single probe on made-up numbers, where the right verdict is known."""

import numpy as np
import pytest

from hessbench.reports.claims.claim import judge_all
from hessbench.reports.one_vector.page import errors_frame
from hessbench.reports.one_vector.results import MEASURES, MOMENTS, LadderRung, OneVectorResults, SpectrumLadder
from hessbench.reports.one_vector.verdicts import CLAIMS, SUBJECTS, exponent_of, gain, predicted_exponent

SIZES = (1_000, 10_000, 100_000, 1_000_000)


def ladder(name="planted", power=-0.5, gained=1.0, seed=0):
    """Errors that fall as a power of n, and by a factor with more probes."""
    rng = np.random.default_rng(seed)
    rungs = []
    for n in SIZES:
        scale = float(n) ** power
        single = {
            measure: scale * (rng.standard_normal(30) if measure in MOMENTS else 5 + rng.standard_normal(30))
            for measure in MEASURES
        }
        pooled = {
            measure: np.abs(single[measure][:6]) * 0 + np.median(np.abs(single[measure])) / gained
            for measure in MEASURES
        }
        rungs.append(LadderRung(n, single, pooled, single, dict.fromkeys(MOMENTS, scale)))
    return SpectrumLadder(name, "planted[n={size}]", tuple(rungs))


def outcomes(*ladders):
    judged = judge_all(CLAIMS, OneVectorResults(32, 5, ladders))
    return [[verdict.text for verdict in claim.verdicts] for claim in judged]


def test_errors_that_fall_everywhere_bear_the_claim_out():
    assert outcomes(ladder(), ladder("other", seed=1))[0] == ["borne out"] * len(SUBJECTS)


def test_one_family_whose_error_stays_refutes_and_is_named():
    results = OneVectorResults(32, 5, (ladder(), ladder("stays", power=0.0, seed=1)))
    verdicts = judge_all(CLAIMS, results)[0].verdicts
    assert {verdict.text for verdict in verdicts} == {"refuted"}
    assert all("falls on 1 of 2" in verdict.detail and "stays (" in verdict.detail for verdict in verdicts)


def test_a_slow_fall_decides_nothing():
    assert outcomes(ladder(power=-0.2))[0] == ["undecided"] * len(SUBJECTS)


@pytest.mark.parametrize(
    ("gains", "outcome"),
    [([1.0] * 10, "borne out"), ([1.0] * 9 + [2.0], "borne out"), ([2.0] * 9 + [1.0], "refuted"),
     ([2.0] * 5 + [1.0] * 5, "undecided")],
)  # fmt: skip
def test_more_probes_make_no_difference_in_nine_of_ten_families_in_one_or_between(gains, outcome):
    planted = [ladder(str(place), gained=gained) for place, gained in enumerate(gains)]
    assert outcomes(*planted)[1] == [outcome] * 3


def test_the_gain_is_that_of_the_largest_dimension_and_none_where_there_is_no_error():
    planted = ladder(gained=3.0)
    assert gain(planted, "ks") == pytest.approx(3.0)
    planted.rungs[-1].pooled["ks"][:] = 0.0
    assert np.isnan(gain(planted, "ks"))


def test_the_law_has_the_exponent_it_was_made_with_and_an_exact_family_has_none():
    planted = ladder(power=-0.37)
    assert predicted_exponent(planted, MOMENTS[0]) == pytest.approx(-0.37)
    rounding = {name: 1e-15 * np.arange(30) for name in MEASURES}
    rungs = (LadderRung(n, rounding, rounding, rounding, dict.fromkeys(MOMENTS, 0.0)) for n in SIZES)
    exact = SpectrumLadder("exact", "exact", tuple(rungs))
    assert predicted_exponent(exact, MOMENTS[0]) is None
    assert all(exponent_of(exact, measure, size) is None for _, measure, size in SUBJECTS)
    assert outcomes(exact)[0] == ["undecided"] * len(SUBJECTS)


def test_the_frame_has_every_family_dimension_and_measure():
    frame = errors_frame(OneVectorResults(32, 5, (ladder(), ladder("other"))))
    assert len(frame) == 2 * len(SIZES) * len(MEASURES)
    assert frame[frame.measure == "ks"].deviation_by_law.isna().all()
    assert (frame[frame.measure == "moment1"].deviation_by_law > 0).all()
