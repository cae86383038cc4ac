"""Rules for what the document says of the bulk, of R and its tail, and of train and test."""

from __future__ import annotations

from typing import Final

import numpy as np

from hessbench.reports.claims.claim import ClaimOutcome, ClaimVerdict
from hessbench.reports.claims.measured import Measured
from hessbench.reports.claims.rules import always, at_most, share_uncertainty
from hessbench.reports.full_spectrum.groups import (
    BY_SIZE,
    LARGE,
    MAIN,
    SHALLOW,
    SMOOTH,
    agreeing,
    numbers,
    of_groups,
    spread,
    usual_verdict,
)

LEVEL: Final = 0.05
TRACE: Final = 0.01
"""Largest |tr R| / sum |lambda| of a spectrum that is almost perfectly symmetric."""

FAR: Final = 0.1
"""Kolmogorov-Smirnov distance from which on a law is not that of the values."""

PUBLISHED_EXPONENT: Final = 2.6
PUBLISHED_R2: Final = 0.98


def bulk_energy(measured: Measured) -> tuple[ClaimVerdict, ...]:
    """Whether R holds more than half of the bulk, by both measures."""
    verdicts: list[ClaimVerdict] = []
    for measure, subject in (
        ("bulk-frobenius-share", "Frobenius share outside the top C of H"),
        ("bulk-mass-ratio", "eigenvalues of R over those of H, |lambda| from 1e-3 lambda_1 to lambda_(C+1)"),
    ):
        found = of_groups(measured, measure, MAIN)
        more = agreeing(found, lambda it: it > 0.5)
        detail = f"above .5 in {more} of {len(found)} networks; {spread(numbers(found))}"
        verdicts.append(usual_verdict(more, len(found), detail, subject))
    return tuple(verdicts)


def symmetry(measured: Measured) -> tuple[ClaimVerdict, ...]:
    """Whether R is symmetric about zero: a theorem for the trace of piecewise-linear networks, else by the rule."""
    verdicts: list[ClaimVerdict] = []
    for subject, groups in (
        ("24-24 ReLU", MAIN),
        ("34 ReLU, one hidden layer", SHALLOW),
        ("24-24 tanh", SMOOTH),
    ):
        traces, p = of_groups(measured, "trace-share-of-r", groups), of_groups(measured, "symmetry-p", groups)
        if not traces:
            continue
        good = sum(abs(traces[unit]) <= TRACE and p[unit] > LEVEL for unit in traces)
        detail = (
            f"both in {good} of {len(traces)} networks; |tr R| / sum |lambda| {spread(np.abs(numbers(traces)))}; p of "
            f"the signs {spread(numbers(p))}"
        )
        if groups is SMOOTH:
            verdicts.append(usual_verdict(good, len(traces), detail, subject))
            continue
        # Piecewise linear in each parameter: diag(R) = 0. A larger number would be a fault of this program.
        exact = bool((np.abs(numbers(traces)) <= 1e-9).all())
        verdicts.append(
            ClaimVerdict(
                ClaimOutcome.THEOREM if exact else ClaimOutcome.UNDECIDED, f"tr R = 0; {detail}", f"trace, {subject}"
            )
        )
        if groups is SHALLOW:
            verdicts.append(
                ClaimVerdict(
                    ClaimOutcome.THEOREM,
                    "R couples the two layers alone, so that -lambda is one with lambda",
                    f"signs, {subject}",
                )
            )
        else:
            even = agreeing(p, lambda it: it > LEVEL)
            verdicts.append(usual_verdict(even, len(p), f"p > .05 in {even} of {len(p)}", f"signs, {subject}"))
    return tuple(verdicts) or (ClaimVerdict(ClaimOutcome.UNDECIDED, "no spectrum"),)


def heavy_tail(measured: Measured) -> tuple[ClaimVerdict, ...]:
    """Whether a power law is preferred to both others, and the two limit laws are far."""
    names = ("tail-exponential-ratio", "tail-exponential-p", "tail-lognormal-ratio", "tail-lognormal-p")
    er, ep, lr, lp = (of_groups(measured, name, MAIN) for name in names)
    beats_exponential = sum(er[unit] > 0 and ep[unit] < LEVEL for unit in er)
    beats_lognormal = sum(lr[unit] > 0 and lp[unit] < LEVEL for unit in lr)
    loses = sum(lr[unit] < 0 and lp[unit] < LEVEL for unit in lr)
    both = sum(er[u] > 0 and ep[u] < LEVEL and lr[u] > 0 and lp[u] < LEVEL for u in er)
    exponents = numbers(of_groups(measured, "tail-exponent", MAIN))
    counts = numbers(of_groups(measured, "tail-count", MAIN))
    tail = (
        f"preferred to both in {both} of {len(er)} networks: to the exponential in {beats_exponential}, to the "
        f"lognormal in {beats_lognormal}, and the lognormal to it in {loses}; exponent {spread(exponents)}, published "
        f"{PUBLISHED_EXPONENT:g}; values in the tail {spread(counts)}"
    )
    verdicts = [usual_verdict(both, len(er), tail, "power law, by likelihood")]
    for measure, subject in (
        ("ks-marchenko-pastur", "not Marchenko and Pastur's"),
        ("ks-semicircle", "not a semicircle"),
    ):
        found = of_groups(measured, measure, MAIN)
        far = agreeing(found, lambda it: it > FAR)
        verdicts.append(
            usual_verdict(far, len(found), f"KS > .1 in {far} of {len(found)}: {spread(numbers(found))}", subject)
        )
    return tuple(verdicts)


def straight_line(measured: Measured) -> tuple[ClaimVerdict, ...]:
    """Whether the document's own evidence, R^2 of a line on log-log axes, tells a power law from what is none."""
    controls = {
        name: measured.values("line-r2", problem=name) for name in ("semicircle", "marchenko-pastur", "exponential")
    }
    ours = numbers(of_groups(measured, "line-r2", MAIN))
    passing = [name for name, values in controls.items() if values.size and np.median(values) >= PUBLISHED_R2]
    said = "; ".join(f"{name} {spread(values)}" for name, values in controls.items())
    detail = f"R^2 of the best line over half a decade: {said}; R here {spread(ours)}, published {PUBLISHED_R2:g}"
    known = all(values.size for values in controls.values())
    outcome = ClaimOutcome.UNDECIDED if not known else ClaimOutcome.REFUTED if passing else ClaimOutcome.BORNE_OUT
    return (ClaimVerdict(outcome, detail),)


def published_fit(measured: Measured) -> tuple[ClaimVerdict, ...]:
    """The published numbers are of absent weights: ours stand beside them."""
    slopes = numbers(of_groups(measured, "line-slope", MAIN))
    detail = (
        f"published exponent 2.6 of VGG11 on MNIST, whose weights are not there; the same fit here {spread(-slopes)}"
    )
    return (ClaimVerdict(ClaimOutcome.NOT_TESTABLE, detail),)


def negative_eigenvalues(measured: Measured) -> tuple[ClaimVerdict, ...]:
    """Whether every network has an eigenvalue below zero by more than its bound."""
    found, bounds = of_groups(measured, "lambda-min", MAIN), of_groups(measured, "bound", MAIN)
    below = sum(found[unit] < -bounds[unit] for unit in found)
    # "In 10 of 10": one network without them refutes that they always exist.
    share = numbers(of_groups(measured, "lambda-min-share", MAIN))
    outcome = always(below, len(found))
    detail = f"in {below} of {len(found)} networks; lambda_min / lambda_1 {spread(share)}"
    return (ClaimVerdict(outcome, detail, uncertainty=share_uncertainty(below, len(found))),)


def train_and_test(measured: Measured) -> tuple[ClaimVerdict, ...]:
    """Whether the test Hessian is at least twice as large as that of training."""
    found = of_groups(measured, "test-over-train", MAIN)
    more = agreeing(found, lambda it: it > 2)
    detail = f"above 2 in {more} of {len(found)} networks: {spread(numbers(found))}"
    return (usual_verdict(more, len(found), detail, "lambda_1, test over train"),)


def concentration(measured: Measured) -> tuple[ClaimVerdict, ...]:
    """P far above N: the GGN's share of zeros is a theorem, that of H is counted."""
    few = numbers(of_groups(measured, "zero-share-of-g", BY_SIZE[:1]))
    large = numbers(measured.by_unit("zero-share-of-g", problem=LARGE))
    found = of_groups(measured, "near-zero-share", MAIN)
    detail = (
        f"G has at most N (C - 1) nonzero eigenvalues; zeros among P = 2050 with N = 100, at least .561 of them: "
        f"{spread(few)}; of {LARGE} with P = 118,282: {spread(large)}"
    )
    values = numbers(found)
    mean = float(values.mean()) if values.size else float("nan")
    return (
        ClaimVerdict(ClaimOutcome.THEOREM, detail, "G, where N (C - 1) < P"),
        ClaimVerdict(
            at_most(-mean, -0.5, -0.25),
            f"|lambda| <= 1e-3 lambda_1 for {spread(values)} of the eigenvalues, here with P = 2050 and N = 1000",
            "H, at least half within 1e-3 lambda_1",
        ),
    )


def trained_weights(_: Measured) -> tuple[ClaimVerdict, ...]:
    """Spectra of the weight matrices themselves."""
    return (
        ClaimVerdict(
            ClaimOutcome.NOT_TESTABLE,
            "the weight matrices here have 24 or 34 singular values, too few for a tail; the claim is of matrices of "
            "thousands",
        ),
    )
