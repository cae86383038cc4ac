"""The rules that were changed after numbers had been seen, as they were first committed, and why they were changed."""

from __future__ import annotations

from functools import partial
from typing import Final

import numpy as np

from hessbench.reports.claims.claim import ClaimOutcome, ClaimVerdict, FormerRule
from hessbench.reports.claims.measured import Measured
from hessbench.reports.claims.rules import always, at_most, usually
from hessbench.reports.full_spectrum import method_verdicts as methods
from hessbench.reports.full_spectrum import outlier_verdicts as outliers
from hessbench.reports.full_spectrum.groups import MAIN, agreeing, numbers, of_groups, spread, usual_verdict

STARTS: Final = 100
"""Starts of an interval for each matrix of each network, as they were meant to be."""

_TINY: Final = 1e-12
_USUALLY: Final = "Borne out: in 9 of 10 networks (5 of 5). Refuted: in at most 1 of 10 (0 of 5). Undecided between."
_FEW: Final = (
    "In a first run 2 of 2 and 4 of 4 networks bore a claim out, which the rule of counts lets pass as it does 5 of 5; "
    "fewer than five decide nothing since."
)


def _deflation(measured: Measured) -> tuple[ClaimVerdict, ...]:
    """Errors with deflation over those without, each at least 1e-12, whatever is rounding."""
    verdicts: list[ClaimVerdict] = []
    for method, budget in methods.DEFLATED:
        for measure, name in (("bulk-w1", "bulk"), ("outlier-error", "outliers, the first C read")):
            ours = of_groups(measured, methods.at_budget(measure, budget), MAIN, method)
            theirs = of_groups(measured, methods.at_budget(measure, budget), MAIN, methods.PLAIN)
            ratios = {u: max(ours[u], _TINY) / max(theirs[u], _TINY) for u in ours if u in theirs}
            smaller = agreeing(ratios, lambda it: it < 1)
            detail = f"smaller in {smaller} of {len(ratios)} networks; ratio {spread(numbers(ratios))}"
            verdicts.append(usual_verdict(smaller, len(ratios), detail, f"{name}: {method}", usually))
    return tuple(verdicts)


def _contains(measured: Measured) -> tuple[ClaimVerdict, ...]:
    """Misses in a hundred starts a network: one refutes at any number, none of fewer decides nothing."""
    verdicts: list[ClaimVerdict] = []
    for margins in ("recurrence", "explicit"):
        misses, starts = (measured.values(name, method=margins) for name in ("interval-misses", "interval-starts"))
        if starts.size:
            total, tried = int(misses.sum()), int(starts.sum())
            outcome = always(tried - total, tried)
            detail = f"{total} misses"
            if not total and starts.min() < STARTS:
                outcome = ClaimOutcome.UNDECIDED
                detail += f", and {starts.min():g} of the {STARTS} starts a matrix were run"
            verdicts.append(ClaimVerdict(outcome, detail, f"margin: {margins}"))
    return tuple(verdicts)


def _temperamental(measured: Measured) -> tuple[ClaimVerdict, ...]:
    """KPM as it is, and after deflation beside Lanczos with bounds of the whole."""
    return tuple(it for it in methods.temperamental(measured) if not it.subject.endswith(methods.BOTH_OF_THE_REST))


def _concentration(measured: Measured) -> tuple[ClaimVerdict, ...]:
    """Zeros of every GGN that was measured, whether or not it has fewer samples than parameters."""
    shares = measured.values("zero-share-of-g")
    near = numbers(of_groups(measured, "near-zero-share", MAIN))
    mean = float(np.mean(near)) if near.size else float("nan")
    return (
        ClaimVerdict(ClaimOutcome.THEOREM, f"zeros among all P: {spread(shares)}", "G, where N (C - 1) < P"),
        ClaimVerdict(at_most(-mean, -0.5, -0.25), spread(near), "H, at least half within 1e-3 lambda_1"),
    )


NUMBER_OF_OUTLIERS: Final = FormerRule(
    f"A network agrees where k is C - 1 or C. {_USUALLY}", partial(outliers.number_of_outliers, decide=usually), _FEW
)
AT_SCALE: Final = FormerRule(
    f"A network agrees within 1 %. {_USUALLY}", partial(methods.at_scale, decide=usually), _FEW
)
DEFLATION: Final = FormerRule(
    f"Largest relative error of the C outliers, errors of at least 1e-12. A network agrees where it is smaller. "
    f"{_USUALLY}",
    _deflation,
    "A run of one network showed copies of Ritz values among the first C, which counts against Lanczos although every "
    "outlier is there: the nearest value was added. And it showed outliers that both have to rounding, of which one "
    "is smaller by chance: such a network says nothing since.",
)
CONTAINS: Final = FormerRule(
    "No miss in 100 starts a matrix. One miss refutes.",
    _contains,
    f"The intervals took two thirds of a network's time: {methods.STARTS} starts for each matrix of each network are "
    f"run since, {STARTS} over five trainings, and the bound of the rate is told.",
)
TEMPERAMENTAL: Final = FormerRule(
    "After deflation beside Lanczos with bounds of the whole spectrum only. A network agrees where KPM has more than "
    f"twice the error of Lanczos, or no density. {_USUALLY}",
    _temperamental,
    "A run of six networks showed that KPM had its bounds found after deflation and Lanczos before: Lanczos with "
    "bounds of the rest was added, and the first comparison stands.",
)
CONCENTRATION: Final = FormerRule(
    "G has rank at most N (C - 1): a theorem, told with the zeros among all P of every G. H: borne out from half of "
    "the eigenvalues on, in the mean; refuted up to a quarter.",
    _concentration,
    "A run of six networks mixed matrices of which N (C - 1) is above P, about which the theorem says nothing: the "
    "zeros of the others are told since. What decides is the same.",
)
