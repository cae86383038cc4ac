"""The rules of the density study on made-up numbers, where the right verdict is known."""

import numpy as np
import pytest

from hessbench.reports.claims.claim import judge_all
from hessbench.reports.density.figures import gaussian_density
from hessbench.reports.density.page import errors_frame, winner_row
from hessbench.reports.density.results import METRICS, CaseRuns, DensityResults
from hessbench.reports.density.verdicts import CLAIMS, KPM, LANCZOS, misbehaves, ratio

TIGHT, DEFLATED = "kpm[bounds=tight]", "deflated-slq"


def case(name, kpm=0.1, lanczos=0.1, deflated=0.1, *, clipped=0.0, is_network=False):
    """A problem with the same error at each of four repeats and by each metric; NaN for no density."""
    sizes = {LANCZOS: lanczos, KPM: kpm, TIGHT: kpm, DEFLATED: deflated}
    truth = {"nodes": np.array([0.0, 1.0]), "weights": np.array([0.5, 0.5])}
    return CaseRuns(
        name=name, is_network=is_network, outlier_reach=1.0, largest_atom=0.5,
        errors={method: {metric: np.full(4, size) for metric in METRICS} for method, size in sizes.items()},
        clipped={method: np.full(4, clipped if method == TIGHT else 0.0) for method in sizes},
        escaped={method: np.full(4, np.isnan(size)) for method, size in sizes.items()},
        reasons={method: ("escaped",) if np.isnan(size) else () for method, size in sizes.items()},
        truth=truth, rules={},
    )  # fmt: skip


def results(*cases):
    return DensityResults(100, (LANCZOS, TIGHT, KPM, DEFLATED), cases, ())


def outcomes(*cases):
    return [[verdict.text for verdict in claim.verdicts] for claim in judge_all(CLAIMS, results(*cases))]


@pytest.mark.parametrize(
    ("bad", "outcome"), [(0, "refuted"), (1, "refuted"), (2, "undecided"), (3, "borne out"), (10, "borne out")]
)
def test_kpm_is_temperamental_from_a_quarter_of_the_problems_on(bad, outcome):
    cases = [case(str(place), kpm=0.5 if place < bad else 0.1) for place in range(10)]
    assert outcomes(*cases)[0] == [outcome] * len(METRICS)


@pytest.mark.parametrize(
    ("bad", "outcome"), [(0, "borne out"), (1, "borne out"), (2, "undecided"), (3, "refuted"), (10, "refuted")]
)
def test_lanczos_is_effective_up_to_a_tenth_of_the_problems(bad, outcome):
    cases = [case(str(place), lanczos=0.5 if place < bad else 0.1) for place in range(10)]
    assert outcomes(*cases)[2] == [outcome] * len(METRICS)


def test_a_missing_density_and_mass_cut_off_make_a_setting_problematic():
    fine = [case(str(place)) for place in range(9)]
    assert outcomes(*fine)[1] == ["refuted", "refuted"]
    assert outcomes(*fine, case("lost", kpm=np.nan))[1] == ["borne out", "borne out"]
    assert outcomes(*fine, case("cut", clipped=0.05))[1] == ["refuted", "borne out"]
    assert outcomes(*fine, case("hardly cut", clipped=0.005))[1] == ["refuted", "refuted"]


def test_deflation_is_judged_on_networks_and_made_up_spectra_apart():
    better = [case(f"net {place}", deflated=0.05, is_network=True) for place in range(5)]
    worse = [case(f"made {place}", deflated=0.2) for place in range(5)]
    assert outcomes(*better, *worse)[3] == ["borne out", "refuted"]
    assert outcomes(*better)[3] == ["borne out", "undecided"]


def test_without_a_method_that_deflates_its_claim_is_not_testable():
    none = DensityResults(100, (LANCZOS, KPM), (case("a"),), ())
    assert [verdict.text for verdict in judge_all(CLAIMS, none)[3].verdicts] == ["not testable here"]


def test_what_misbehaves_is_twice_as_bad_and_worth_a_word_or_nothing_at_all():
    ours = np.array([0.21, 0.2, 0.009, np.nan, np.nan, 0.5])
    theirs = np.array([0.1, 0.1, 0.0, 0.1, np.nan, np.nan])
    assert misbehaves(ours, theirs).tolist() == [True, False, False, True, False, False]


def test_a_ratio_is_paired_and_none_where_both_are_exact():
    assert ratio(case("a", kpm=0.3), KPM, LANCZOS, "ks") == pytest.approx(3.0)
    assert np.isnan(ratio(case("a", kpm=1e-12, lanczos=1e-14), KPM, LANCZOS, "ks"))
    assert np.isnan(ratio(case("a", kpm=np.nan), KPM, LANCZOS, "ks"))


def test_the_winner_has_a_density_every_time_and_no_equal():
    planted = case("a", kpm=0.2, deflated=0.05)
    assert winner_row(planted, results(planted)).cells[0].winner == DEFLATED
    planted.errors[DEFLATED]["wasserstein1"][0] = np.nan
    cells = winner_row(planted, results(planted)).cells
    assert cells[0].winner == LANCZOS
    assert cells[1].winner == DEFLATED
    exact = case("b", kpm=0.2, lanczos=1e-12, deflated=1e-13)
    assert winner_row(exact, results(exact)).cells[0].winner == "2 methods alike"


def test_a_metric_that_some_problem_lacks_is_left_out_everywhere():
    lacking = case("small")
    for errors in lacking.errors.values():
        del errors["bulk_wasserstein1"]
    assert results(case("a"), lacking).metrics == ("wasserstein1", "ks", "zero_mass")


def test_the_frame_counts_what_is_missing():
    frame = errors_frame(results(case("a", kpm=np.nan)))
    missing = frame[frame.without_density > 0]
    assert set(missing.method) == {KPM, TIGHT}
    assert missing.median_error.isna().all()
    assert (missing.misbehaving == 4).all()


def test_a_drawn_density_holds_the_mass_and_peaks_at_the_nodes():
    x = np.linspace(-4, 4, 4001)
    y = gaussian_density(np.array([-1.0, 2.0]), np.array([0.25, 0.75]), x, 0.2)
    assert np.trapezoid(y, x) == pytest.approx(1.0)
    assert x[y.argmax()] == pytest.approx(2.0, abs=2e-3)
