"""The rules of the sketch study on made-up numbers, where the right verdict is known."""

import dataclasses

import numpy as np

from hessbench.reports.sketch.results import Race, SketchResults
from hessbench.reports.sketch.verdicts import judge, wins

BORNE_OUT, REFUTED, UNDECIDED = "borne out", "refuted", "undecided"
IN_THE_MEAN = "borne out in the mean only"
ZEROS, RATIOS, MATRICES, SKETCHES, RANKS = (0.1, 0.5, 0.9), (0.1, 0.2, 0.4), 20, 4, 5


def made(scale=lambda z, r: 0.5**z * 0.5**r, noise=0.05, trace=0.0, negatives=0):
    rng = np.random.default_rng(0)
    shape = (len(ZEROS), len(RATIOS), MATRICES, SKETCHES)
    sizes = np.array([[scale(z, r) for r in range(len(RATIOS))] for z in range(len(ZEROS))])
    own = rng.lognormal(size=MATRICES)[None, None, :, None, None]
    errors = 100 * sizes[:, :, None, None, None] * own * rng.lognormal(sigma=noise, size=(*shape, RANKS))
    return SketchResults(
        100, ZEROS, RATIOS, 3, {"rotated": errors}, {"rotated": np.full(shape, trace)},
        {"rotated": np.full(shape, 5 + negatives)}, np.full((len(ZEROS), MATRICES), 5), (),
    )  # fmt: skip


def outcomes(results):
    return [claim.verdicts[0].text for claim in judge(results)]


def test_errors_that_fall_with_both_bear_out_everything():
    assert outcomes(made()) == [BORNE_OUT] * 5


def test_one_step_that_rises_refutes_and_one_that_stays_leaves_it_open():
    rises = made(lambda z, r: (2.0 if r == 2 and z == 1 else 1.0) * 0.7**r * 0.5**z)
    assert outcomes(rises)[0] == REFUTED
    flat = made(lambda z, r: 0.5**z * (1.0, 0.5, 0.5)[r])
    assert outcomes(flat)[:2] == [UNDECIDED, BORNE_OUT]
    assert "falls in 3 of 6 steps" in judge(flat)[0].verdicts[0].detail


def test_ten_sketches_of_three_matrices_decide_nothing():
    results = made()
    few = dataclasses.replace(results, errors={"rotated": np.repeat(results.errors["rotated"][:, :, :3], 10, axis=3)})
    assert outcomes(few)[:2] == [UNDECIDED, UNDECIDED]
    assert "3 matrices are too few for 6 intervals" in judge(few)[0].verdicts[0].detail


def test_a_single_negative_error_refutes_that_all_are_positive_but_rounding_does_not():
    results = made()
    results.errors["rotated"][0, 0, 0, 0, 0] = -1e-9
    assert outcomes(results)[2] == BORNE_OUT
    results.errors["rotated"][0, 0, 0, 0, 0] = -1e-3
    assert outcomes(results)[2] == REFUTED


def test_the_trace_is_preserved_exactly_in_the_mean_or_not():
    assert outcomes(made(trace=1e-12))[3] == BORNE_OUT
    centred = made()
    centred.traces["rotated"][:] = np.random.default_rng(1).standard_normal(centred.traces["rotated"].shape) * 0.1
    assert outcomes(centred)[3] == IN_THE_MEAN
    centred.traces["rotated"][0, 0] += 0.5
    assert outcomes(centred)[3] == REFUTED


def test_one_more_negative_eigenvalue_than_the_matrix_refutes():
    assert outcomes(made(negatives=1))[4] == REFUTED
    assert outcomes(made(negatives=-2))[4] == BORNE_OUT


def test_a_win_needs_every_start_and_a_baseline_above_the_floor():
    lanczos = np.array([[1.0, 1.0, 1e-15]] * 4)
    ahead = np.array([[0.5, 0.5, 1e-16]] * 4)
    mixed = ahead.copy()
    mixed[3, 1] = 1.5
    race = Race("p", (10, 20, 30), {"lanczos": lanczos, "a": ahead, "b": mixed, "c": np.full((4, 3), np.nan)}, 1e-14)
    won = wins(dataclasses.replace(made(), races=(race,)))
    assert [(win.method, win.budget) for win in won] == [("a", 10), ("a", 20), ("b", 10)]
    assert (won[0].error, won[0].lanczos) == (0.5, 1.0)
