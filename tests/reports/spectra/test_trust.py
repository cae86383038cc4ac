"""What is said of a spectrum is true of it: bounds hold, intervals cover, shares come with their spread."""

import numpy as np
import pytest

from hessbench.reports.spectra.trust import trust_of
from hessbench.reports.spectra.words import told, up, verdict_of

DIM = {"dim": 40}


def said_of(spectrum):
    return {line.what.split(",")[0]: line for line in told(trust_of(spectrum))}


def test_each_value_has_its_own_residual_as_a_bound(planted):
    planted.answer(
        {"eigenvalues": [3.0, -1.0]}, "thick-restart-lanczos", "top-eigenvalues[k=2]",
        diagnostics={"residual": 0.5, "residuals": [1e-6, 0.5]}, **DIM,
    )  # fmt: skip
    top = trust_of(planted.spectrum()).top
    assert [value.bound for value in top.values] == pytest.approx([1e-6, 0.5], rel=1e-6)
    assert [verdict_of(value) for value in top.values] == ["sure to 4 digits", "sign sure"]


def test_the_largest_residual_bounds_all_where_it_alone_is_said(planted):
    planted.answer(
        {"eigenvalues": [3.0, 1.0]}, "block-krylov", "top-eigenvalues[k=2]", diagnostics={"residual": 0.02}, **DIM
    )
    assert [it.bound for it in trust_of(planted.spectrum()).top.values] == pytest.approx([0.02, 0.02])


def test_without_residuals_nothing_is_trusted(planted):
    planted.answer({"eigenvalues": [3.0]}, "sketch", "top-eigenvalues[k=1]", **DIM)
    spectrum = planted.spectrum()
    assert trust_of(spectrum).top.values[0].bound is None
    assert said_of(spectrum)["1 first eigenvalue by magnitude"].verdict == "no bound"


def test_the_method_with_the_smallest_bounds_speaks(planted):
    for method, residual in (("block-krylov", 0.3), ("lanczos", 1e-4)):
        planted.answer(
            {"eigenvalues": [3.0]}, method, "top-eigenvalues[k=1]", diagnostics={"residual": residual}, **DIM
        )
    assert trust_of(planted.spectrum()).top.method == "lanczos"


@pytest.mark.parametrize("bound", [0.0, 1.23456e-7, 9.99e-3, 9.96, 3.0])
def test_a_bound_is_never_rounded_down(bound):
    text = up(bound).replace("·10", "e").translate(str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789"))
    assert bound <= float(text) <= 1.16 * bound


def test_the_spread_of_shares_is_over_repeats(planted):
    for repeat, share in enumerate((0.1, 0.2, 0.3)):
        planted.density([-1.0, 1.0], [share, 1 - share], repeat=repeat, **DIM)
    (shares,) = trust_of(planted.spectrum()).shares
    assert shares.negative.mean == pytest.approx(0.2)
    assert shares.negative.stderr == pytest.approx(0.1 / np.sqrt(3))


def test_one_run_has_no_spread(planted):
    spectrum = planted.density([-1.0, 1.0], method="kpm", **DIM).spectrum()
    assert trust_of(spectrum).shares[0].negative.stderr is None
    assert "no bound" in [line.verdict for line in told(trust_of(spectrum))]


def test_a_bound_goes_before_a_spread(planted):
    for repeat in range(2):
        planted.density([-1.0, 1.0], method="kpm", repeat=repeat, **DIM)
    planted.density([-1.0, 1.0], diagnostics={"starts": 1}, **DIM)
    (line,) = [line for line in told(trust_of(planted.spectrum())) if line.what.startswith("negative mass")]
    assert line.verdict == "between 0 % and 100 %"


def test_a_quadrature_of_one_start_brackets_the_negative_mass(planted):
    planted.density([-2.0, -1.0, 1.0, 2.0], [0.1, 0.2, 0.3, 0.4], diagnostics={"starts": 1}, **DIM)
    least, most = trust_of(planted.spectrum()).shares[0].bracket
    assert (least.mean, most.mean) == pytest.approx((0.1, 0.6))


@pytest.mark.parametrize(("method", "starts"), [("slq", 2), ("kpm", 1)])
def test_what_is_no_quadrature_of_one_start_brackets_nothing(method, starts, planted):
    planted.density([-2.0, 1.0], method=method, diagnostics={"starts": starts}, **DIM)
    assert trust_of(planted.spectrum()).shares[0].bracket is None


@pytest.mark.parametrize(("method", "sure"), [("slq", True), ("kpm", False)])
def test_only_a_ritz_value_proves_a_negative_eigenvalue(method, sure, planted):
    spectrum = planted.density([-0.5, 1.0], method=method, **DIM).spectrum()
    least = trust_of(spectrum).least
    assert (least is not None) is sure
    assert not sure or -0.5 <= least < -0.49


def test_the_truth_stands_beside_the_shares(planted):
    planted.truth([-1.0] * 10 + [0.0] * 10 + [2.0] * 20).density([-1.0, 2.0], **DIM)
    truth = trust_of(planted.spectrum()).shares[-1]
    assert (truth.negative.mean, truth.zero.mean, truth.positive.mean) == (0.25, 0.25, 0.5)


def traced(planted, values, stderr=None, diagnostics=None):
    for repeat, value in enumerate(values):
        planted.answer(
            {"trace": [value]},
            "xtrace",
            "trace",
            repeat=repeat,
            diagnostics=diagnostics or {},
            said_stderr=stderr,
            **DIM,
        )
    return trust_of(planted.density([1.0], **DIM).spectrum()).traces[0]


def test_a_claimed_standard_error_becomes_an_interval_of_students_t(planted):
    trace = traced(planted, [10.0], stderr=1.0, diagnostics={"probes": 5})
    assert trace.half_width == pytest.approx(2.776, abs=1e-3)
    assert trace.is_few


def test_repeats_without_a_claim_are_their_own_interval(planted):
    trace = traced(planted, [9.0, 10.0, 11.0])
    assert trace.value == pytest.approx(10.0)
    assert trace.half_width == pytest.approx(4.303 / np.sqrt(3), abs=1e-3)


def test_one_trace_without_a_claim_has_no_interval(planted):
    assert traced(planted, [10.0]).half_width is None


def test_traces_that_contradict_each_other_are_not_trusted(planted):
    for method, value in (("xtrace", 10.0), ("hutchpp", 20.0)):
        planted.answer({"trace": [value]}, method, "trace", said_stderr=0.1, diagnostics={"probes": 30}, **DIM)
    lines = told(trust_of(planted.density([1.0], **DIM).spectrum()))
    assert "contradicted" in [line.verdict for line in lines]
