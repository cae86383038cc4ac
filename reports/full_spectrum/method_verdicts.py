"""Rules for what the document says of its algorithms: Lanczos as it is, deflation, normalisation, KPM."""

from __future__ import annotations

from typing import Final

import numpy as np

from hessbench.reports.claims.claim import ClaimOutcome, ClaimVerdict
from hessbench.reports.claims.measured import Measured
from hessbench.reports.claims.rules import always, share_uncertainty
from hessbench.reports.full_spectrum.groups import (
    LARGE,
    MAIN,
    Decide,
    agreeing,
    numbers,
    of_groups,
    spread,
    usual,
    usual_verdict,
)

PLAIN: Final = "lanczos-density"
BY_LANCZOS: Final = "lanczos-density, deflation by Lanczos 40"
BY_SIMULTANEOUS: Final = "lanczos-density, deflation by 10 x 4"
BY_DOCUMENT: Final = "lanczos-density, deflation by 10 x 256"
REST: Final = "lanczos-density, deflation by Lanczos 40, bounds of the rest"
KPM: Final = "kpm"
KPM_DEFLATED: Final = "kpm, deflation by Lanczos 40"
SLQ: Final = "slq 4 starts"
BUDGET: Final = 320
"""The document's products: 64 for the bounds and 256 for the density."""

LONG_BUDGET: Final = 2880
"""The same and 10 x 256 for its deflation."""

DEFLATED: Final = (
    (BY_LANCZOS, BUDGET), (BY_SIMULTANEOUS, BUDGET), (REST, BUDGET), (BY_DOCUMENT, LONG_BUDGET),
)  # fmt: skip
TINY: Final = 1e-9
"""Errors up to this are rounding."""

BOTH_OF_THE_REST: Final = "deflated, both with bounds of the rest"
STARTS: Final = 20
"""Starts of an interval for each matrix of each network."""


def at_budget(measure: str, budget: int) -> str:
    """How rows call a measure at a total of products."""
    return f"{measure} at {budget}"


def without_reorthogonalisation(measured: Measured) -> tuple[ClaimVerdict, ...]:
    """Density: change of W1 by leaving it out, and failures; eigenvalues: ghosts."""
    changes, failures = of_groups(measured, "none-over-full", MAIN), of_groups(measured, "solver-failures", MAIN)
    bad = int(numbers(failures).sum())
    near = agreeing(changes, lambda it: it <= 1.1)
    outcome = usual(near, len(changes))
    if bad:
        outcome = ClaimOutcome.REFUTED
    detail = (
        f"W1 at M = 256 over that with full reorthogonalisation from the same start: {spread(numbers(changes))}, at "
        f"most 1.1 in {near} of {len(changes)} networks; {bad} failures of the tridiagonal solver"
    )
    ghosts = of_groups(measured, "ghosts", MAIN)
    some = agreeing(ghosts, lambda it: it > 0)
    copies = f"copies among 256 Ritz values: {spread(numbers(ghosts))}; some in {some} of {len(ghosts)}"
    return (
        ClaimVerdict(outcome, detail, "the density", uncertainty=share_uncertainty(near, len(changes))),
        usual_verdict(len(ghosts) - some, len(ghosts), copies, "eigenvalues"),
    )


def deflation(measured: Measured) -> tuple[ClaimVerdict, ...]:
    """Errors of the bulk and of the outliers with deflation over those without, at equal totals."""
    verdicts: list[ClaimVerdict] = []
    for method, budget in DEFLATED:
        for measure, name in (
            ("bulk-w1", "bulk"),
            ("outlier-error", "outliers, the first C read"),
            ("outlier-distance", "outliers, the nearest value"),
        ):
            ours = of_groups(measured, at_budget(measure, budget), MAIN, method)
            theirs = of_groups(measured, at_budget(measure, budget), MAIN, PLAIN)
            # Where both are exact there is nothing to tell them apart by.
            apart = [u for u in ours if u in theirs and max(ours[u], theirs[u]) > TINY]
            ratios = {u: max(ours[u], TINY) / max(theirs[u], TINY) for u in apart}
            smaller = agreeing(ratios, lambda it: it < 1)
            detail = (
                f"smaller in {smaller} of {len(ratios)} networks at {budget} products; ratio "
                f"{spread(numbers(ratios))}; error {spread(numbers(ours))} beside {spread(numbers(theirs))}"
            )
            verdicts.append(usual_verdict(smaller, len(ratios), detail, f"{name}: {method}"))
    return tuple(verdicts)


def price_of_deflation(measured: Measured) -> tuple[ClaimVerdict, ...]:
    """The document's deflation beside Lanczos for the same outliers."""
    simple = of_groups(measured, "outlier-error by 2560", MAIN, "simultaneous")
    cheap = of_groups(measured, "outlier-error by 40", MAIN, "lanczos")
    near = agreeing({u: cheap[u] for u in cheap}, lambda it: it <= 0.01)
    detail = (
        f"largest relative error of the C values: 40 products of Lanczos {spread(numbers(cheap))} (within 1 % in "
        f"{near} of {len(cheap)} networks), 2560 of the document's iteration {spread(numbers(simple))}"
    )
    # The document calls its choice natural, with the QR algorithm as one example: Lanczos is as good at 1/64.
    return (usual_verdict(len(cheap) - near, len(cheap), detail, "2560 products needed"),)


def contains(measured: Measured) -> tuple[ClaimVerdict, ...]:
    """Misses of the interval, for both readings of the margin."""
    verdicts: list[ClaimVerdict] = []
    for margins in ("recurrence", "explicit"):
        misses, starts = (measured.values(name, method=margins) for name in ("interval-misses", "interval-starts"))
        worst = measured.values("interval-worst", method=margins)
        if not starts.size:
            continue
        total, tried = int(misses.sum()), int(starts.sum())
        outcome = always(tried - total, tried)
        detail = f"{total} misses in {tried} starts on {starts.size} matrices; farthest {worst.max():.2g} of the width"
        upper = 1 - 0.05 ** (1 / tried)
        verdicts.append(
            ClaimVerdict(
                outcome,
                detail,
                f"margin: {margins}",
                uncertainty=f"rate below {upper:.1g} at 95 %" if total == 0 else "",
            )
        )
    return tuple(verdicts) or (ClaimVerdict(ClaimOutcome.UNDECIDED, "no interval"),)


def temperamental(measured: Measured) -> tuple[ClaimVerdict, ...]:
    """KPM beside Lanczos by both distances, as it is and after deflation; runs without a density."""
    verdicts: list[ClaimVerdict] = []
    for ours, theirs, kind in (
        (KPM, PLAIN, "as it is"),
        (KPM_DEFLATED, BY_LANCZOS, "deflated, Lanczos with bounds of the whole"),
        (KPM_DEFLATED, REST, BOTH_OF_THE_REST),
    ):
        for measure, name in (("w1", "whole spectrum"), ("bulk-w1", "bulk")):
            a = of_groups(measured, at_budget(measure, BUDGET), MAIN, ours)
            b = of_groups(measured, at_budget(measure, BUDGET), MAIN, theirs)
            worse = sum(bool(np.isnan(a[u])) or a[u] > 2 * b[u] for u in a if u in b)
            ratios = np.asarray([a[u] / b[u] for u in a if u in b])
            lost = int(np.isnan(numbers(a)).sum())
            detail = (
                f"more than twice the error of Lanczos in {worse} of {len(a)} networks at {BUDGET} products; ratio "
                f"{spread(ratios)}; {lost} without a density"
            )
            verdicts.append(usual_verdict(worse, len(a), detail, f"{name}, {kind}"))
    return tuple(verdicts)


def at_scale(measured: Measured, decide: Decide = usual) -> tuple[ClaimVerdict, ...]:
    """Whether the pipeline gives the spectrum of a larger network, its GGN being known exactly; counts by `decide`."""
    found = measured.by_unit(at_budget("w1", BUDGET), problem=LARGE, method=PLAIN)
    outliers = measured.by_unit(at_budget("outlier-error", BUDGET), problem=LARGE, method=BY_LANCZOS)
    if not found:
        return (ClaimVerdict(ClaimOutcome.UNDECIDED, "no larger network was measured"),)
    near = agreeing(outliers, lambda it: it <= 0.01)
    detail = (
        f"P = 118,282: the C outliers of G within 1 % in {near} of {len(outliers)} networks; W1 over the mean distance "
        f"to the mean {spread(numbers(found))}"
    )
    return (usual_verdict(near, len(outliers), detail, LARGE, decide),)
