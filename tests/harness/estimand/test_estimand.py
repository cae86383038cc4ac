"""Errors: against SciPy, invariant where they must be, zero over zero is zero, and floors that are never zero."""

import dataclasses
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import hessbench.estimand
from hessbench.estimand import (
    ESTIMANDS,
    Density,
    Diagonal,
    Estimate,
    Reference,
    Solve,
    Source,
    TopEigenspace,
    TopEigenvalues,
    Trace,
    parse_estimand,
)
from hessbench.estimand.base import EPS, ORDERS, sort_key
from hessbench.estimand.density import density_reference
from hessbench.estimand.eigenvalues import top_reference
from hessbench.estimand.trace import trace_reference

SPECTRUM = np.array([-4.0, 3.0, 2.0, -1.0, 0.5, 0.0, 0.0, 0.0])
ALL = [TopEigenvalues(k=3), Trace(), Density(outliers=2), Diagonal()]


def reference(estimand, eigenvalues=SPECTRUM):
    if isinstance(estimand, TopEigenvalues):
        return top_reference(eigenvalues, estimand, Source.ANALYTIC)
    if isinstance(estimand, Trace):
        return trace_reference(eigenvalues, Source.ANALYTIC)
    if isinstance(estimand, Density):
        return density_reference(eigenvalues, Source.ANALYTIC)
    return Reference({"diagonal": eigenvalues}, Source.ANALYTIC, float(np.abs(eigenvalues).max()))


def exact_value(estimand, eigenvalues=SPECTRUM):
    if isinstance(estimand, Trace):
        return eigenvalues.sum()
    if isinstance(estimand, Density):
        return eigenvalues, np.full(eigenvalues.size, 1 / eigenvalues.size)
    return eigenvalues


def error_of(estimand, value, truth=None, dtype="float64"):
    return estimand.errors(estimand.to_arrays(value, SPECTRUM.size), truth or reference(estimand), dtype)


@pytest.mark.parametrize("estimand", ALL, ids=lambda e: e.key)
def test_the_exact_answer_has_no_error(estimand):
    found = error_of(estimand, exact_value(estimand))
    assert found.pop("sign_agreement", 1.0) == 1.0
    counts = [value for name, value in found.items() if name.startswith("values_within")]
    assert set(counts) <= {float(getattr(estimand, "k", 0))}
    told = {
        name: value for name, value in found.items() if name != "trace_share" and not name.startswith("values_within")
    }
    told = {name: value for name, value in told.items() if not name.endswith("_of_mean")}
    assert all(value == pytest.approx(0, abs=1e-12) for value in told.values())
    assert estimand.primary in error_of(estimand, exact_value(estimand))


@pytest.mark.parametrize("estimand", ALL, ids=lambda e: e.key)
def test_nothing_estimated_of_the_zero_operator_is_no_error(estimand):
    zeros = np.zeros(SPECTRUM.size)
    found = error_of(estimand, exact_value(estimand, zeros), reference(estimand, zeros))
    assert found[estimand.primary] == 0
    assert all(math.isfinite(value) for value in found.values())
    assert math.isfinite(estimand.floor(reference(estimand, zeros), "float32"))


@pytest.mark.parametrize("estimand", [*ALL, TopEigenvalues(k=8)], ids=lambda e: e.spec)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_no_accuracy_is_claimed_below_the_rounding_of_the_operator(estimand, dtype):
    floor = estimand.floor(reference(estimand), dtype)
    assert EPS[dtype] <= floor <= 1


@pytest.mark.parametrize("estimand", ALL, ids=lambda e: e.key)
def test_the_bound_of_the_reference_raises_the_floor(estimand):
    truth = reference(estimand)
    worse = dataclasses.replace(truth, bound=0.1)
    assert estimand.floor(worse, "float64") > 100 * estimand.floor(truth, "float64")


@pytest.mark.parametrize("decay", [0.0, 1.0, 3.0])
@pytest.mark.parametrize("rounding", [10.0, 1000.0])
def test_a_diagonal_of_squares_is_known_as_far_as_its_columns_can_move(decay, rounding):
    B = np.random.default_rng(7).standard_normal((16, 4096)) * np.arange(1, 4097.0) ** -decay
    entries, norm = (B**2).sum(axis=0), np.linalg.norm(B, 2) ** 2
    squares = Reference({"diagonal": entries}, Source.GRAM, norm, rounding=rounding, semidefinite=True)
    # Every column by the most that B may round, c eps |B| / 2, along itself.
    moved = B * (1 + rounding * EPS["float32"] / 2 * np.sqrt(norm / entries))
    error = np.linalg.norm((moved**2).sum(axis=0) - entries) / np.linalg.norm(entries)
    assert Diagonal().floor(squares, "float32") == pytest.approx(error, rel=1e-3)
    unknown = dataclasses.replace(squares, semidefinite=False)
    assert Diagonal().floor(unknown, "float32") > 10 * error


@pytest.mark.parametrize("estimand", ALL, ids=lambda e: e.key)
def test_errors_do_not_change_with_the_scale(estimand):
    rng = np.random.default_rng(3)
    noise = 1 + 0.1 * rng.standard_normal(SPECTRUM.size)

    def at(scale):
        return error_of(
            estimand, exact_value(estimand, scale * SPECTRUM * noise), reference(estimand, scale * SPECTRUM)
        )

    one, large = at(1.0), at(2.0**20)
    assert one[estimand.primary] > 0
    assert large.pop("absolute", 0.0) == pytest.approx(2.0**20 * one.pop("absolute", 0.0))
    assert large == pytest.approx(one, rel=1e-12)


@given(st.permutations(range(6)), st.integers(1, 6), st.sampled_from(["magnitude", "algebraic", "smallest"]))
def test_the_order_in_which_eigenvalues_are_handed_over_does_not_matter(order, k, which):
    estimand = TopEigenvalues(k, which)
    values = np.array([-4.1, 3.2, 1.9, -1.0, 0.4, 0.3])
    assert error_of(estimand, values[list(order)]) == error_of(estimand, values)


@pytest.mark.parametrize(
    ("which", "expected"), [("magnitude", [-4, 3, 2]), ("algebraic", [3, 2, 0.5]), ("smallest", [-4, -1, 0])]
)
def test_eigenvalues_are_put_in_the_order_asked_for(which, expected):
    estimand = TopEigenvalues(3, which)
    assert estimand.rank(SPECTRUM)[:3].tolist() == expected
    key = estimand.sort_key(SPECTRUM)
    assert (np.diff(key[estimand.places(SPECTRUM)]) >= 0).all()
    assert np.array_equal(estimand.sort_key(torch.from_numpy(SPECTRUM)).numpy(), key)


@pytest.mark.parametrize("which", ORDERS)
def test_one_order_serves_arrays_and_tensors_and_keeps_the_places_of_equal_ones(which):
    values = np.array([1.0, -3.0, 2.0, 3.0, -3.0, 0.0, -0.0])
    keys = sort_key(values, which)
    assert np.array_equal(keys, sort_key(torch.from_numpy(values), which).numpy())
    places = np.argsort(keys, kind="stable")
    assert np.array_equal(TopEigenvalues(1, which).rank(values), values[places])
    first = {"magnitude": [1, 3, 4], "algebraic": [3, 2, 0], "smallest": [1, 4, 5]}
    assert places[:3].tolist() == first[which]


def test_missing_eigenvalues_score_one_each():
    found = error_of(TopEigenvalues(k=4), np.array([-4.0, 3.0]))
    assert found["max_relative"] == 1
    assert found["median_relative"] == 0.5
    assert found["top_relative"] == 0
    assert found["missing"] == 2
    assert error_of(TopEigenvalues(k=3), np.array([]))["max_relative"] == 1


def test_a_wrong_sign_is_no_error_in_magnitude_but_is_shown_beside_it():
    found = error_of(TopEigenvalues(k=2), np.array([4.0, 3.0]))
    assert (found["max_relative"], found["sign_agreement"]) == (0, 0.5)
    assert error_of(TopEigenvalues(k=1, which="smallest"), np.array([4.0]))["max_relative"] == 2


def test_an_error_of_a_zero_eigenvalue_is_measured_in_units_of_the_bound():
    truth = Reference({"eigenvalues": np.array([1.0, 0.0])}, Source.ANALYTIC, norm=1.0, bound=0.01, rounding=0.0)
    assert error_of(TopEigenvalues(k=2), np.array([1.0, 0.005]), truth)["max_relative"] == pytest.approx(0.5)


def test_errors_are_those_of_the_definition():
    top = error_of(TopEigenvalues(k=3), np.array([-4.4, 3.0, 1.0]))
    assert top["max_relative"] == pytest.approx(0.5)
    assert top["top_relative"] == pytest.approx(0.1)
    trace = error_of(Trace(), 1.55)
    assert trace == {
        "relative_to_abs_sum": pytest.approx(1.05 / 10.5),
        "relative": pytest.approx(1.05 / 0.5),
        "absolute": pytest.approx(1.05),
        "trace_share": pytest.approx(0.5 / 10.5),
    }
    density = error_of(Density(), (np.array([0.0]), np.array([1.0])))
    assert density["wasserstein1"] == pytest.approx((10.5 / 8) / np.abs(SPECTRUM - SPECTRUM.mean()).mean())
    assert density["zero_mass"] == pytest.approx(5 / 8)
    shifted = SPECTRUM.copy()
    shifted[0] += 1
    found = error_of(Diagonal(), shifted)
    assert found["relative_norm"] == pytest.approx(1 / np.linalg.norm(SPECTRUM))
    assert found["max_relative"] == pytest.approx(1 / 4)


def test_a_trace_is_measured_against_its_own_size_where_no_other_is_known():
    truth = Reference({"trace": np.array([2.0])}, Source.GRAM, norm=1.0)
    assert error_of(Trace(), 3.0, truth)["relative_to_abs_sum"] == pytest.approx(0.5)


def test_how_many_values_are_within_a_tolerance_is_counted():
    found = error_of(TopEigenvalues(k=4), np.array([-4.0, 3.02, 2.1]))
    counts = [found[f"values_within_{tolerance}pct"] for tolerance in ("10", "1", "0.1")]
    assert counts == [3, 2, 1]


@pytest.mark.parametrize(("which", "missed"), [("magnitude", 1.0), ("algebraic", 2.0)])
def test_values_outside_of_the_claimed_intervals_are_counted(which, missed):
    estimand = TopEigenvalues(3, which)
    value = estimand.rank(np.array([4.0, -2.0, 1.0]))
    reference = Reference({"eigenvalues": value}, Source.DENSE, 4.0, bound=0.01)
    interval = (np.array([3.0, 1.8, 1.005]), np.array([5.0, 1.98, 1.1]))
    arrays = estimand.to_arrays(value, 9) | estimand.claimed(interval, value, 9)
    errors = estimand.errors(arrays, reference, "float64")
    assert errors["interval_misses"] == missed
    assert errors["interval_half_width"] == pytest.approx(0.25)


def test_who_claims_no_interval_is_not_scored_by_one():
    reference = Reference({"eigenvalues": np.array([2.0, 1.0])}, Source.DENSE, 2.0)
    estimand = TopEigenvalues(2)
    assert "interval_misses" not in estimand.errors(estimand.to_arrays([2.0, 1.0], 5), reference, "float64")


def test_an_interval_has_bounds_for_each_value():
    with pytest.raises(ValueError, match="interval takes a lower and an upper bound of each of 2 eigenvalues"):
        TopEigenvalues(2).claimed(([1.0], [2.0]), [2.0, 1.0], 5)


@pytest.mark.parametrize("estimand", ALL, ids=lambda e: e.key)
def test_every_error_shown_is_defined_in_one_sentence(estimand):
    assert estimand.error_definition == estimand.definitions[estimand.primary].sentence
    for definition in estimand.definitions.values():
        assert definition.sentence.endswith(".")
        assert ". " not in definition.sentence
        assert 0 < len(definition.label) <= 40
    assert set(estimand.definitions) <= set(error_of(estimand, exact_value(estimand)))


@pytest.mark.parametrize(
    ("estimand", "value"),
    [
        (TopEigenvalues(k=3), np.zeros(3)),
        (Trace(), 0.0),
        (Density(), (np.array([SPECTRUM.mean()]), np.array([1.0]))),
        (Diagonal(), np.zeros(SPECTRUM.size)),
    ],
)
def test_the_trivial_answer_has_the_error_that_is_said(estimand, value):
    found = error_of(estimand, value)
    for name in {estimand.primary, *({"relative"} & set(found))}:
        assert estimand.trivial_error(name, found) == pytest.approx(found[name])


def test_mass_that_does_not_sum_to_one_is_shown():
    assert error_of(Density(), (np.array([0.0]), np.array([0.75])))["mass"] == pytest.approx(0.25)


def test_a_limit_law_is_an_error_of_its_own():
    truth = reference(Density())
    truth = dataclasses.replace(
        truth, arrays={**truth.arrays, "law_nodes": np.array([0.0]), "law_weights": np.array([1.0])}
    )
    found = error_of(Density(), (np.array([0.0]), np.array([1.0])), truth)
    assert found["wasserstein1_to_law"] == 0
    assert found["wasserstein1"] > 0


@pytest.mark.parametrize("estimand", ALL, ids=lambda e: e.key)
@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_an_estimate_that_is_not_finite_is_never_without_error(estimand, bad):
    value = exact_value(estimand)
    spoiled = bad if isinstance(estimand, Trace) else tuple(np.where(v == v[0], bad, v) for v in np.atleast_2d(value))
    value = spoiled if isinstance(estimand, Density | Trace) else spoiled[0]
    with np.errstate(invalid="ignore"):
        assert not error_of(estimand, value)[estimand.primary] < 0.1


@pytest.mark.parametrize(
    ("estimand", "value", "says"),
    [
        (TopEigenvalues(k=2), np.ones((2, 2)), "one-dimensional"),
        (TopEigenvalues(k=2), np.ones(9), "at most 8"),
        (TopEigenvalues(k=2), torch.ones(2, dtype=torch.complex64), "real"),
        (TopEigenvalues(k=2), "high", "real numbers"),
        (Trace(), np.ones(2), "one number"),
        (Trace(), None, "NoneType"),
        (Trace(), 1 + 1j, "complex"),
        (Diagonal(), np.ones(8) * 1j, "real numbers"),
        (Diagonal(), [[1.0], [1.0, 2.0]], "real numbers"),
        (Density(), np.ones(4), "pair"),
        (Density(), (np.ones(2), np.ones(3)), "must match"),
        (Density(), (np.ones(0), np.ones(0)), "must match"),
        (Diagonal(), np.ones(7), "shape"),
    ],
)
def test_a_value_of_another_shape_is_refused(estimand, value, says):
    with pytest.raises(ValueError, match=says):
        estimand.to_arrays(value, 8)


@pytest.mark.parametrize(
    "value", [3, 3.0, np.float32(3), torch.tensor(3.0), torch.tensor([3.0]), torch.tensor(3.0, requires_grad=True)]
)
def test_numbers_and_tensors_become_float64_arrays(value):
    arrays = Trace().to_arrays(value, 8)
    assert arrays["trace"].dtype == np.float64
    assert arrays["trace"].tolist() == [3.0]


@pytest.mark.parametrize(
    ("written", "spec"),
    [
        ("trace", "trace"),
        ("top-eigenvalues[which=magnitude,k=10]", "top-eigenvalues[k=10]"),
        ("top-eigenvalues[k=3,which=smallest]", "top-eigenvalues[k=3,which=smallest]"),
        ("density[delta=1e-3]", "density"),
        ("density[delta=0.01]", "density[delta=0.01]"),
        ("diagonal", "diagonal"),
    ],
)
def test_canonical_text_of_an_estimand_reads_back(written, spec):
    assert parse_estimand(written).spec == spec
    assert parse_estimand(spec) == parse_estimand(written)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("tracee", "did you mean 'trace'"),
        ("top-eigenvalues", "needs the parameter 'k'"),
        ("top-eigenvalues[k=0]", "at least 1"),
        ("top-eigenvalues[k=2.5]", "an integer"),
        ("top-eigenvalues[k=true]", "an integer"),
        ("top-eigenvalues[k=[1,2]]", "list of values"),
        ("top-eigenvalues[k=2,which=largest]", "which must be"),
        ("density[delta=0]", "delta must be"),
        ("density[delta=1]", "delta must be"),
        ("trace[k=3]", "no parameter 'k'"),
    ],
)
def test_an_estimand_that_is_not_accepted_is_named(text, says):
    with pytest.raises(ValueError, match=text.partition("[")[0][:5]) as caught:
        parse_estimand(text)
    assert says in str(caught.value)


def test_more_eigenvalues_than_the_dimension_are_refused():
    TopEigenvalues(k=8).check(8)
    with pytest.raises(ValueError, match="between 1 and the dimension 8"):
        TopEigenvalues(k=9).check(8)


@pytest.mark.parametrize("kind", ESTIMANDS.values(), ids=lambda kind: kind.key)
def test_an_estimand_is_made_without_parameters_where_it_has_none_to_give(kind):
    counts = kind in (TopEigenvalues, TopEigenspace)
    needs = counts or kind is Solve or kind.read_from is not None
    assert kind.default() == (None if needs else kind())
    assert kind.of_size(7) == (kind(k=7) if counts else kind(**getattr(kind, "example", {})))


def test_every_estimand_is_exported_by_the_package_and_by_its_own():
    for kind in ESTIMANDS.values():
        assert getattr(hessbench, kind.__name__) is getattr(hessbench.estimand, kind.__name__) is kind


def test_estimands_are_the_published_ones():
    assert list(ESTIMANDS) == [
        "top-eigenvalues", "trace", "density", "diagonal", "top-eigenspace",
        "log-determinant", "trace-function", "mass", "count-above", "solve",
    ]  # fmt: skip


def test_a_lazy_value_is_called_only_when_resolved_and_what_goes_beside_it_too():
    called = []

    def late(name, value):
        return lambda: called.append(name) or value

    estimate = Estimate(late("own", 1.0), stderr=0.5, also={Trace: Estimate(late("also", 2.0))})
    assert called == []
    resolved = estimate.resolve()
    assert called == ["own", "also"]
    assert (resolved.value, resolved.stderr, resolved.also[Trace].value) == (1.0, 0.5, 2.0)
    assert resolved.resolve() == resolved
    assert called == ["own", "also"]


def test_a_function_may_hand_over_a_whole_estimate():
    inner = Estimate(lambda: 2.0, converged=True, also={Trace: Estimate(lambda: 3.0)})
    resolved = Estimate(lambda: inner).resolve()
    assert (resolved.value, resolved.converged, resolved.also[Trace].value) == (2.0, True, 3.0)
