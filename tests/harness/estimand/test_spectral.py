"""Numbers that the eigenvalues decide: against dense eigenvalues, on edges, and refused where they are not defined."""

import dataclasses
import math

import mpmath
import numpy as np
import pytest

from hessbench.estimand import (
    CountAbove,
    Density,
    Estimate,
    LogDeterminant,
    Mass,
    Reference,
    Source,
    TraceFunction,
    parse_estimand,
)
from hessbench.estimand.base import EPS
from hessbench.estimand.density import density_reference
from hessbench.estimand.from_dense import dense_references
from hessbench.estimand.from_density import ReadReference, from_density
from hessbench.estimand.spectral import read_from_density
from hessbench.estimand.work import OwnWork

PLAIN = {
    "trace-function[f=exp]": lambda x: mpmath.exp(x),
    "trace-function[damping=0.5,f=inverse]": lambda x: 1 / (x + mpmath.mpf(0.5)),
    "trace-function[f=sqrt]": mpmath.sqrt,
    "trace-function[f=entropy]": lambda x: -x * mpmath.log(x) if x else mpmath.mpf(0),
    "log-determinant[damping=0.25]": lambda x: mpmath.log(x + mpmath.mpf(0.25)),
}
POSITIVE = np.array([3.0, 2.0, 1.0, 1.0, 1.0, 0.5, 0.0, 0.0])
SIGNED = np.array([-4.0, 3.0, 2.0, -1.0, 0.5, 0.0, 0.0, 0.0])
EVERY = [
    *PLAIN,
    "mass[of=negative]",
    "mass[of=zero]",
    "mass[of=bulk]",
    "mass[low=0.4,high=2.5]",
    "count-above[value=0.7]",
]


def truth(text, eigenvalues=POSITIVE, source=Source.ANALYTIC, bound=0.0):
    return from_density(density_reference(eigenvalues, source, bound), parse_estimand(text), eigenvalues.size)


def read(text, nodes, weights, dim=8, dtype="float64", **more):
    return read_from_density(parse_estimand(text), Estimate((nodes, weights), **more), dim, dtype)


def errors(text, value, reference, dtype="float64"):
    estimand = parse_estimand(text)
    return estimand.errors(estimand.to_arrays(value, 8), reference, dtype)


def exact(text, eigenvalues=POSITIVE):
    """The number in 40 digits, from its definition."""
    with mpmath.workdps(40):
        return mpmath.fsum(PLAIN[text](mpmath.mpf(float(x))) for x in eigenvalues)


@pytest.mark.parametrize("text", PLAIN)
def test_the_truth_is_the_sum_over_the_eigenvalues_in_40_digits(text):
    reference = truth(text)
    off = abs(exact(text) - mpmath.mpf(float(reference.arrays["least"][1])))
    assert off <= reference.arrays["unsure"][1]
    assert parse_estimand(text).floor(reference, "float64") < 1e-6
    with mpmath.workdps(40):
        size = mpmath.fsum(abs(PLAIN[text](mpmath.mpf(float(x)))) for x in POSITIVE)
    assert float(reference.arrays["scale"][0]) == pytest.approx(float(size), rel=1e-14)


@pytest.mark.parametrize("text", EVERY)
@pytest.mark.parametrize("n", [1, 2, 30])
def test_the_truth_of_a_dense_matrix_is_that_of_its_eigenvalues(text, n):
    rng = np.random.default_rng(n)
    F = rng.standard_normal((n, max(1, 2 * n // 3)))
    A = F @ F.T / n
    density = dense_references(lambda: A)[Density](Density())
    reference = from_density(density, parse_estimand(text), n)
    eigenvalues = np.linalg.eigvalsh(A)
    found = read(text, eigenvalues, np.full(n, 1 / n), dim=n).value
    error = errors(text, found, reference)[parse_estimand(text).primary]
    assert error <= parse_estimand(text).floor(reference, "float64") < 1e-5


@pytest.mark.parametrize("text", PLAIN)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_eigenvalues_anywhere_within_their_bound_stay_within_the_floor(text, dtype):
    reference = truth(text, bound=1e-7)
    bound = reference.bound_in(dtype)
    rng = np.random.default_rng(0)
    for shift in (*rng.uniform(-bound, bound, (20, 8)), np.full(8, bound), np.full(8, -bound)):
        moved = np.maximum(POSITIVE + shift, 0.0)
        error = errors(text, float(exact(text, moved)), reference, dtype)["relative_to_abs_sum"]
        assert error <= parse_estimand(text).floor(reference, dtype)


@pytest.mark.parametrize(
    ("text", "eigenvalues", "least", "most"),
    [
        ("count-above[value=1]", POSITIVE, 2, 5),
        ("count-above[value=0.999]", POSITIVE, 5, 5),
        ("count-above[value=1.001]", POSITIVE, 2, 2),
        ("count-above[value=0]", np.zeros(8), 0, 0),
        ("count-above[value=-1]", np.zeros(8), 8, 8),
        ("mass[high=0]", SIGNED, 2 / 8, 5 / 8),
        ("mass[low=-inf,high=0.1]", SIGNED, 5 / 8, 5 / 8),
        ("mass[low=0.5,high=2]", POSITIVE, 3 / 8, 5 / 8),
        ("mass[of=negative]", SIGNED, 2 / 8, 2 / 8),
        ("mass[of=zero]", SIGNED, 3 / 8, 3 / 8),
        ("mass[of=bulk]", SIGNED, 0, 0),
        ("mass[of=bulk]", np.array([1.0, 0.05, -0.05, 0.0]), 1 / 2, 1 / 2),
        ("mass[of=negative]", np.zeros(8), 0, 0),
        ("mass[of=zero]", np.zeros(8), 1, 1),
        ("mass[low=1,high=2]", np.array([1.5]), 1, 1),
        ("count-above[value=2]", np.array([1.5]), 0, 0),
    ],
)
def test_eigenvalues_on_an_edge_make_the_truth_an_interval(text, eigenvalues, least, most):
    reference = truth(text, eigenvalues)
    for place in (0, 1):
        assert (reference.arrays["least"][place], reference.arrays["most"][place]) == (least, most)
    estimand = parse_estimand(text)
    for value in (least, most, (least + most) / 2):
        assert errors(text, value, reference)[estimand.primary] == 0
    scale = max(1, least) if isinstance(estimand, CountAbove) else 1
    scale = max(scale, most - least)
    assert errors(text, most + 0.5, reference)[estimand.primary] == pytest.approx(0.5 / scale)
    assert errors(text, least - 0.5, reference)["absolute"] == pytest.approx(0.5)
    assert estimand.floor(reference, "float64") == pytest.approx(min(1.0, (most - least) / scale), abs=1e-12)


def test_what_float64_tells_apart_may_be_on_an_edge_in_float32():
    eigenvalues = np.array([2.0, 1.0 + 1e-7, 0.5])
    reference = truth("count-above[value=1]", eigenvalues)
    assert reference.arrays["least"].tolist() == [1, 2]
    assert reference.arrays["most"].tolist() == [2, 2]
    inverse = truth("trace-function[damping=1e-8,f=inverse]", np.array([1.0, 0.0]))
    estimand = parse_estimand("trace-function[damping=1e-8,f=inverse]")
    assert estimand.floor(inverse, "float32") == 1
    assert estimand.floor(inverse, "float64") < 1e-6


@pytest.mark.parametrize(
    ("text", "eigenvalues", "says"),
    [
        ("log-determinant[damping=0]", POSITIVE, "damping must be above"),
        ("log-determinant[damping=4]", SIGNED, "the least eigenvalue is -4"),
        ("log-determinant[damping=1]", SIGNED, "damping must be above 4, got 1"),
        ("trace-function[f=inverse]", POSITIVE, "1 / x is finite for x > 0 only"),
        ("trace-function[f=sqrt]", SIGNED, "damping must be at least 4, got 0"),
        ("trace-function[f=entropy]", SIGNED, "-x log x is finite for x >= 0 only"),
        ("trace-function[f=exp]", np.array([1000.0, 1.0]), "beyond the range of float64 at the largest eigenvalue 1e"),
    ],
)
def test_a_spectrum_on_which_it_is_not_finite_is_refused_in_one_sentence(text, eigenvalues, says):
    with pytest.raises(ValueError, match=r"^[a-z-]+\[") as refused:
        truth(text, eigenvalues)
    assert says in str(refused.value)
    assert "\n" not in str(refused.value)


def test_it_is_accepted_from_just_above_the_least_eigenvalue_on():
    assert truth("trace-function[damping=4,f=sqrt]", SIGNED) is not None
    assert truth("log-determinant[damping=4.001]", SIGNED) is not None
    # Rounding puts the zeros of a positive semi-definite matrix on either side of zero.
    rounded = np.array([1.0, -1e-16, 1e-16])
    assert float(truth("trace-function[f=sqrt]", rounded).arrays["least"][1]) == pytest.approx(1.0, abs=2e-8)


@pytest.mark.parametrize("text", ["trace-function[f=sqrt]", "trace-function[f=entropy]", "log-determinant[damping=1]"])
def test_of_the_zero_matrix_nothing_is_no_error(text):
    reference = truth(text, np.zeros(8))
    value = read(text, np.zeros(3), np.full(3, 1 / 3)).value
    found = errors(text, value, reference)
    assert (found["relative_to_abs_sum"], found["absolute"], found["trivial"]) == (0, 0, 0)
    assert 0 < parse_estimand(text).floor(reference, "float32") <= EPS["float32"]


@pytest.mark.parametrize("text", EVERY)
def test_a_density_that_is_the_spectrum_gives_the_truth_with_no_claim(text):
    estimate = read(text, POSITIVE, np.full(8, 1 / 8))
    assert estimate.stderr is None
    assert errors(text, estimate.value, truth(text))[parse_estimand(text).primary] <= 1e-14
    nodes, counts = np.unique(POSITIVE, return_counts=True)
    assert read(text, nodes, counts / 8).value == pytest.approx(estimate.value, abs=1e-14)


@pytest.mark.parametrize("text", EVERY)
def test_the_standard_error_is_that_of_the_mean_over_the_starts(text):
    """Three starts and a part they share: each start alone, with the shared part, is a density."""
    nodes = np.array([3.0, 0.5, 1.0, 2.0, 0.1, 1.5])
    starts = np.array([-1, 0, 0, 1, 1, 2])
    weights = np.array([0.25, 0.05, 0.2, 0.15, 0.1, 0.25])
    estimate = read(text, nodes, weights, starts=starts)
    alone = []
    for start in range(3):
        mine = starts == start
        own = np.concatenate([[0.25], 3 * weights[mine]])
        assert own.sum() == pytest.approx(1)
        alone.append(read(text, np.concatenate([[3.0], nodes[mine]]), own).value)
    assert estimate.value == pytest.approx(np.mean(alone), rel=1e-12)
    assert estimate.stderr == pytest.approx(np.std(alone, ddof=1) / 3**0.5, abs=1e-13)
    assert read(text, nodes, weights, starts=np.zeros(6, dtype=int)).stderr is None


def test_starts_of_other_nodes_are_refused():
    with pytest.raises(ValueError, match="starts of a density must match its nodes"):
        read("mass[of=zero]", np.ones(2), np.full(2, 0.5), starts=np.zeros(3))


@pytest.mark.parametrize(
    ("text", "nodes"),
    [
        ("log-determinant[damping=0.5]", [-0.6, 1.0]),
        ("trace-function[f=inverse]", [0.0, 1.0]),
        ("trace-function[f=sqrt]", [-0.1, 1.0]),
        ("trace-function[f=exp]", [800.0, 1.0]),
    ],
)
def test_nodes_where_it_is_not_finite_give_no_number_and_the_reason(text, nodes):
    estimate = read(text, np.array(nodes), np.full(2, 0.5))
    assert math.isnan(estimate.value)
    assert estimate.converged is False
    assert "is met" in estimate.diagnostics["reason"]
    # A node without weight stands for no eigenvalue.
    assert math.isfinite(read(text, np.array(nodes), np.array([0.0, 1.0])).value)


def test_a_node_below_zero_by_rounding_alone_is_zero():
    for dtype, off in (("float32", 1e-6), ("float64", 1e-15)):
        nodes = np.array([-off, 1.0])
        assert read("trace-function[f=sqrt]", nodes, np.full(2, 0.5), dtype=dtype).value == 4
    assert math.isnan(read("trace-function[f=sqrt]", np.array([-1e-6, 1.0]), np.full(2, 0.5)).value)


def test_sums_are_read_from_the_rule_before_smoothing_and_shares_from_the_density():
    rule = (np.array([0.0, 1.0, 2.0]), np.array([0.75, -0.25, 0.5]))
    smooth = {"nodes": np.array([-1.0, 1.0]), "weights": np.array([0.5, 0.5]), "rule": rule, "starts": np.zeros(2, int)}
    assert read("trace-function[f=sqrt]", **smooth).value == pytest.approx(8 * (2**0.5 / 2 - 0.25))
    assert read("mass[of=negative]", **smooth).value == 0.5
    with pytest.raises(ValueError, match="must match"):
        read("trace-function[f=exp]", **{**smooth, "rule": (np.zeros(2), np.zeros(3))})


def test_a_density_that_is_not_finite_keeps_its_own_reason():
    broken = Estimate((np.full(1, np.nan), np.full(1, np.nan)), converged=False, diagnostics={"reason": "it diverged"})
    found = read_from_density(Mass(of="zero"), broken, 8, "float64")
    assert math.isnan(found.value)
    assert found.diagnostics["reason"] == "it diverged"


def test_only_the_whole_spectrum_gives_a_reference():
    asked = Mass(of="zero")
    density = density_reference(POSITIVE, Source.ANALYTIC)
    assert from_density(dataclasses.replace(density, source=Source.STATISTICAL), asked, 8) is None
    part = Reference({"nodes": np.array([0.0, 1.0]), "weights": np.array([0.3, 0.7])}, Source.ANALYTIC, 1.0)
    with pytest.raises(ValueError, match=r"not every eigenvalue of mine is known, n = 8"):
        ReadReference("mine", 8, lambda _: part)(asked)

    def costly(_):
        raise AssertionError("an estimate is not made to be refused")

    with pytest.raises(ValueError, match="has no reference"):
        ReadReference("mine", 8, OwnWork(costly))(asked)
    assert ReadReference("mine", 8, lambda _: density)(asked).dim == 8


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("log-determinant", "needs the parameter 'damping'"),
        ("log-determinant[damping=-1]", "damping must be finite and at least 0, got -1"),
        ("log-determinant[damping=high]", "damping must be finite and at least 0, got 'high'"),
        ("log-determinant[damping=true]", "damping must be finite and at least 0"),
        ("trace-function", "needs the parameter 'f'"),
        ("trace-function[f=expo]", "f must be one of exp, inverse, sqrt, entropy, got 'expo' (did you mean 'exp'?)"),
        ("trace-function[f=1]", "f must be one of"),
        ("trace-function[f=exp,damping=-0.5]", "damping must be finite and at least 0, got -0.5"),
        ("mass", "takes low, high or both, or of=negative or zero or bulk"),
        ("mass[low=1,high=1]", "low must be below high, got low=1.0 and high=1.0"),
        ("mass[low=2,high=1]", "low must be below high"),
        ("mass[low=-inf,high=inf]", "takes low, high or both"),
        ("mass[low=inf]", "low must be below high"),
        (
            "mass[of=negativ]",
            "of must be one of interval, negative, zero, bulk, got 'negativ' (did you mean 'negative'?)",
        ),
        ("mass[of=zero,low=1]", "in place of them"),
        ("mass[of=zero,delta=0]", "delta must be above 0 and below 0.1"),
        ("mass[of=zero,delta=0.1]", "delta must be above 0 and below 0.1"),
        ("mass[low=1,delta=0.01]", "delta is accepted with of="),
        ("count-above", "needs the parameter 'value'"),
        ("count-above[value=some]", "value must be finite, got 'some'"),
        ("density[outliers=-1]", "outliers must be an integer of at least 0, got -1"),
    ],
)
def test_a_parameter_that_is_not_accepted_is_refused_with_what_is(text, says):
    with pytest.raises(ValueError, match=r".") as refused:
        parse_estimand(text)
    assert says in str(refused.value)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_numbers_that_are_not_finite_are_refused(bad):
    for make in (LogDeterminant, CountAbove, lambda damping: TraceFunction("exp", damping)):
        with pytest.raises(ValueError, match="must be finite"):
            make(bad)
    with pytest.raises(ValueError, match="low must be a number"):
        Mass(low=math.nan)


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("log-determinant[damping=1]", "log-determinant[damping=1.0]"),
        ("trace-function[f=exp,damping=0]", "trace-function[f=exp]"),
        ("mass[low=-inf,high=0]", "mass[high=0.0]"),
        ("mass[low=1,high=inf]", "mass[low=1.0]"),
        ("mass[of=negative,delta=1e-3]", "mass[of=negative]"),
        ("count-above[value=2]", "count-above[value=2.0]"),
        ("density[outliers=10]", "density"),
        ("density[outliers=3]", "density[outliers=3]"),
    ],
)
def test_one_meaning_has_one_spec(text, canonical):
    estimand = parse_estimand(text)
    assert estimand.spec == canonical
    assert parse_estimand(canonical) == estimand
