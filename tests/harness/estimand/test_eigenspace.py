"""The estimand top-eigenspace: overlap, ties across its edge, what the gap leaves undecided."""

import numpy as np
import pytest

from hessbench.estimand import Estimate, Source, TopEigenspace, Trace, parse_estimand
from hessbench.estimand.base import EPS
from hessbench.estimand.eigenspace import (
    BASIS_LIMIT,
    eigenspace_reference,
    lost_to_rounding,
    orthonormal_span,
    sines_between,
    tied,
)
from hessbench.estimand.from_dense import dense_references


def basis(n, seed=0):
    return np.linalg.qr(np.random.default_rng(seed).standard_normal((n, n)))[0]


def reference(eigenvalues, k, which="magnitude", seed=0):
    values, Q = np.asarray(eigenvalues, dtype=float), basis(len(eigenvalues), seed)
    return eigenspace_reference(values, lambda places: Q[:, places], TopEigenspace(k, which), Source.ANALYTIC), Q


def score(value, truth, k, which="magnitude"):
    estimand = TopEigenspace(k, which)
    return estimand.errors(estimand.to_arrays(value, value.shape[0]), truth, "float64")


def test_the_overlap_is_the_mean_squared_cosine():
    truth, Q = reference(np.arange(12.0, 0, -1), 4)
    V = basis(12, 5)[:, :4]
    found = score(V, truth, 4)
    assert found["overlap"] == pytest.approx(np.linalg.norm(Q[:, :4].T @ V) ** 2 / 4, rel=1e-12)
    assert found["lost_overlap"] == pytest.approx(1 - found["overlap"])
    assert found["random_overlap"] == pytest.approx(4 / 12)
    cosines = np.linalg.svd(Q[:, :4].T @ V, compute_uv=False)
    assert found["largest_sine"] == pytest.approx(np.sqrt(1 - cosines.min() ** 2), rel=1e-9)


def test_a_turned_or_stretched_basis_of_the_right_space_loses_nothing():
    truth, Q = reference(np.arange(12.0, 0, -1), 4)
    turned = Q[:, :4] @ basis(4, 3)
    # 4 directions, each with rounding of a few eps in every one of 12 entries.
    assert score(turned, truth, 4)["lost_overlap"] < 12 * (10 * EPS["float64"]) ** 2
    stretched = turned @ np.diag([1.0, 30.0, 0.1, 1e3])
    assert score(stretched, truth, 4)["lost_overlap"] < 1e-20


def test_a_small_angle_keeps_its_digits():
    truth, Q = reference(np.arange(12.0, 0, -1), 1)
    tilted = (Q[:, :1] + 1e-9 * Q[:, 5:6]).copy()
    assert score(tilted, truth, 1)["lost_overlap"] == pytest.approx(1e-18, rel=1e-5)


def test_copies_and_missing_directions_count_as_missing():
    truth, Q = reference(np.arange(12.0, 0, -1), 4)
    ghosts = Q[:, [0, 1, 2, 0]] + 1e-9 * Q[:, [7, 7, 7, 8]]
    found = score(ghosts, truth, 4)
    assert (found["missing"], found["lost_overlap"]) == (1, pytest.approx(0.25))
    assert score(Q[:, :3], truth, 4)["lost_overlap"] == pytest.approx(0.25)
    assert score(np.zeros((12, 4)), truth, 4)["lost_overlap"] == 1


def test_any_part_of_a_tied_eigenspace_is_right_but_nothing_beside_it():
    truth, Q = reference([9, 5, 5, 5, 1, 0.5], 2)
    tilted = Q[:, 1:4] @ basis(3, 4)[:, :1]
    assert score(np.hstack([Q[:, :1], tilted]), truth, 2)["lost_overlap"] < 1e-28
    assert score(np.hstack([Q[:, 1:2], tilted]), truth, 2)["lost_overlap"] == pytest.approx(0.5)
    assert score(np.hstack([Q[:, :1], Q[:, 4:5]]), truth, 2)["lost_overlap"] == pytest.approx(0.5)
    assert score(np.hstack([Q[:, :1], tilted]), truth, 2)["random_overlap"] == pytest.approx((2 / 6 + 1) / 2)


def test_a_wide_tie_is_kept_by_its_complement():
    truth, Q = reference([3.0, *np.zeros(19)], 5)
    assert truth.arrays["beyond"].shape == (20, 0)
    assert score(Q[:, :5], truth, 5)["lost_overlap"] < 1e-28
    assert score(Q[:, 1:6], truth, 5)["lost_overlap"] == pytest.approx(0.2)


@pytest.mark.parametrize(("which", "places"), [("magnitude", [0, 4]), ("algebraic", [0, 1]), ("smallest", [4, 3])])
def test_the_order_asked_for_is_the_order_scored(which, places):
    truth, Q = reference([5.0, 3.0, 1.0, -2.0, -4.0], 2, which)
    assert score(Q[:, places], truth, 2, which)["lost_overlap"] < 1e-28


def test_the_floor_bounds_what_a_perturbation_of_the_size_of_the_bound_loses():
    values = np.array([5.0, 4.0, 3.0, 2.999, 1.0, 0.5, 0.2, 0.1])
    truth, Q = reference(values, 3)
    for seed in range(20):
        E = np.random.default_rng(seed).standard_normal((8, 8))
        bound = 1e-4
        E = (E + E.T) / np.linalg.norm(E + E.T, 2) * bound
        V = np.linalg.eigh((Q * values) @ Q.T + E)[1][:, ::-1][:, :3]
        assert score(V, truth, 3)["lost_overlap"] <= lost_to_rounding(truth.arrays["keys"], 3, bound, 0.0)


def test_a_gap_below_the_resolution_leaves_only_its_own_direction_undecided():
    keys = np.array([4.0, 3.0, 2.0, 2.0 - 1e-9, 1.0])
    assert lost_to_rounding(keys, 3, 1e-6, 0.0) == pytest.approx(1 / 3, rel=1e-6)
    assert lost_to_rounding(keys, 3, 1e-14, 0.0) < 1e-9
    assert TopEigenspace(3).floor(reference([4, 3, 2, 2 - 1e-9, 1], 3)[0], "float32") == pytest.approx(1 / 3, rel=1e-6)


def test_ties_are_found_on_both_sides():
    assert tied(np.array([3.0, 2, 2, 2, 1]), 2, 0.0) == (1, 4)
    assert tied(np.array([3.0, 2, 2, 2, 1]), 4, 0.0) == (4, 4)
    assert tied(np.array([3.0, 2]), 2, 0.0) == (2, 2)


def test_sines_of_a_space_to_itself_and_to_its_complement():
    Q = basis(6)
    assert sines_between(Q[:, :2], Q[:, :3]).max() < 1e-15
    assert sines_between(Q[:, :2], Q[:, 3:]) == pytest.approx([1, 1])
    assert sines_between(Q[:, :0], Q[:, 3:]).size == 0


def test_what_is_not_finite_is_left_as_it_is_and_scores_nothing():
    truth, Q = reference(np.arange(5.0, 0, -1), 2)
    broken = Q[:, :2].copy()
    broken[0, 0] = np.nan
    assert np.isnan(orthonormal_span(broken)).any()
    assert np.isnan(score(broken, truth, 2)["lost_overlap"])


def test_a_basis_too_large_to_be_kept_is_refused_with_the_limit():
    n = BASIS_LIMIT // 10 + 1
    with pytest.raises(ValueError, match=r"10 vectors of length 12501 are more than the 125000 numbers"):
        eigenspace_reference(np.arange(float(n)), lambda _: np.empty((n, 0)), TopEigenspace(10), Source.ANALYTIC)


@pytest.mark.parametrize("value", [np.zeros((5, 4)), np.zeros(5), np.zeros((4, 2))])
def test_a_basis_of_another_shape_is_refused(value):
    with pytest.raises(ValueError, match=r"a basis of shape \(5, 3\) or of fewer columns"):
        TopEigenspace(3).to_arrays(value, 5)


def test_k_out_of_range_is_refused():
    with pytest.raises(ValueError, match="k must be at least 1"):
        TopEigenspace(0)
    with pytest.raises(ValueError, match="k must be between 1 and the dimension 4, got 5"):
        TopEigenspace(5).check(4)
    with pytest.raises(ValueError, match="which must be"):
        TopEigenspace(2, "upwards")
    assert parse_estimand("top-eigenspace[k=3,which=smallest]") == TopEigenspace(3, "smallest")


def test_the_dense_reference_is_that_of_its_eigenvectors():
    values, Q = np.array([4.0, -3.0, 1.0, 0.5, 0.0]), basis(5)
    A = (Q * values) @ Q.T
    truth = dense_references(lambda: (A + A.T) / 2)[TopEigenspace](TopEigenspace(2))
    assert score(Q[:, :2], truth, 2)["lost_overlap"] < 1e-27


def test_answers_nobody_asked_for_are_not_computed():
    def never():
        raise AssertionError

    estimate = Estimate(1.0, also={TopEigenspace: Estimate(never), Trace: Estimate(lambda: 2.0)})
    kept = estimate.resolve(lambda kind: kind is Trace)
    assert {kind: inner.value for kind, inner in kept.also.items()} == {Trace: 2.0}
