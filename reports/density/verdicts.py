"""What the document claims of KPM, of Lanczos and of deflation, and the rules that judge it, fixed before the run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from hessbench.estimand.base import Array
from hessbench.reports.claims.claim import ClaimOutcome, ClaimVerdict, PublishedClaim
from hessbench.reports.claims.rules import at_least, at_most, usually
from hessbench.reports.density.results import METRICS, TINY, CaseRuns, DensityResults

LANCZOS: Final = "slq[steps=100]"
"""Lanczos as the document runs it: one vector, as many steps as there are products."""

KPM: Final = "kpm"
FACTOR: Final = 2.0
"""A run misbehaves whose error is more than this many times that of the other method."""

WORTH: Final = 0.01
"""Errors up to this are good enough whatever the other method has."""

OFTEN: Final = 0.25
"""Share of the problems from which on a method is temperamental."""

SELDOM: Final = 0.1
"""Share of the problems up to which it is not."""


def misbehaves(ours: Array, theirs: Array) -> Array:
    """Runs without a density, or with an error that is worth a word and over `FACTOR` times that of the other method.

    Args:
        ours: Errors of a method, shape (repeats,), NaN where there was no density.
        theirs: Errors of the other in the same repeats.
    """
    limit = np.where(np.isnan(theirs), np.inf, np.maximum(FACTOR * theirs, WORTH))
    return np.where(np.isnan(ours), ~np.isnan(theirs), ours > limit)


def problems_where(results: DensityResults, method: str, other: str, metric: str) -> list[str]:
    """Names of the cases on which a method misbehaves beside another in more than half of the repeats.

    Args:
        results: What the study measured.
        method: Spec of the method.
        other: Spec of the one it is beside.
        metric: Name of the error.
    """
    return [
        case.name
        for case in results.cases
        if float(misbehaves(case.errors[method][metric], case.errors[other][metric]).mean()) > 0.5
    ]


def settings_of_kpm(results: DensityResults) -> tuple[str, ...]:
    """Every setting of KPM that was run, the default first."""
    return tuple(sorted((it for it in results.methods if it.split("[")[0] == KPM), key=len))


def deflated_methods(results: DensityResults) -> tuple[str, ...]:
    """Every method that takes eigenpairs out first."""
    return tuple(it for it in results.methods if "deflated" in it or "krylov-aware" in it)


def _temperamental(results: DensityResults) -> tuple[ClaimVerdict, ...]:
    verdicts: list[ClaimVerdict] = []
    for metric in results.metrics:
        where = problems_where(results, KPM, LANCZOS, metric)
        others = [
            f"{setting}: {len(problems_where(results, setting, LANCZOS, metric))}"
            for setting in settings_of_kpm(results)[1:]
        ]
        number = len(results.cases)
        detail = f"the default misbehaves on {len(where)} of {number} problems"
        if others:
            detail += f"; {', '.join(others)}"
        outcome = at_least(len(where) / number, OFTEN, SELDOM) if number else ClaimOutcome.UNDECIDED
        verdicts.append(ClaimVerdict(outcome, detail, METRICS[metric]))
    return tuple(verdicts)


def _problematic(results: DensityResults) -> tuple[ClaimVerdict, ...]:
    verdicts: list[ClaimVerdict] = []
    for setting in settings_of_kpm(results):
        # All metrics are missing together; the first tells.
        missing = np.concatenate([np.isnan(case.errors[setting][results.metrics[0]]) for case in results.cases])
        clipped = np.concatenate([case.clipped[setting] for case in results.cases])
        bad = missing | (clipped > WORTH)
        escaped = np.concatenate([case.escaped[setting] for case in results.cases])
        detail = (
            f"{int(missing.sum())} of {missing.size} runs without a density, {int(escaped.sum())} with bounds that an "
            f"eigenvalue escaped, {int((clipped > WORTH).sum())} with more "
            f"than {100 * WORTH:g} % of mass below zero (at most {100 * float(np.nanmax(clipped)):.2g} %)"
        )
        verdicts.append(ClaimVerdict(at_least(float(bad.mean()), 0.05, WORTH), detail, setting))
    return tuple(verdicts)


def _effective(results: DensityResults) -> tuple[ClaimVerdict, ...]:
    verdicts: list[ClaimVerdict] = []
    for metric in results.metrics:
        where = problems_where(results, LANCZOS, KPM, metric)
        number = len(results.cases)
        detail = f"misbehaves beside KPM's default on {len(where)} of {number} problems"
        if where:
            detail += f": {', '.join(where)}"
        verdicts.append(ClaimVerdict(at_most(len(where) / number, SELDOM, OFTEN), detail, METRICS[metric]))
    return tuple(verdicts)


def _deflation(results: DensityResults) -> tuple[ClaimVerdict, ...]:
    metric = "bulk_wasserstein1" if "bulk_wasserstein1" in results.metrics else results.metrics[0]
    verdicts: list[ClaimVerdict] = []
    for method in deflated_methods(results):
        for kind, cases in (
            ("networks", [case for case in results.cases if case.is_network]),
            ("made-up spectra", [case for case in results.cases if not case.is_network]),
        ):
            verdicts.append(_smaller(cases, method, metric, f"{method}, {kind}"))
    none = ClaimVerdict(ClaimOutcome.NOT_TESTABLE, "no method with deflation was run")
    return tuple(verdicts) or (none,)


def _smaller(cases: Sequence[CaseRuns], method: str, metric: str, subject: str) -> ClaimVerdict:
    """Judge whether a method's error is usually smaller than that of Lanczos, case by case."""
    changes = {case.name: ratio(case, method, LANCZOS, metric) for case in cases}
    known = {name: it for name, it in changes.items() if np.isfinite(it)}
    smaller = sum(it < 1 for it in known.values())
    if not known:
        return ClaimVerdict(ClaimOutcome.UNDECIDED, "nowhere is there an error to compare", subject)
    detail = (
        f"{METRICS[metric]}: smaller on {smaller} of {len(known)} problems; multiplied by "
        f"{np.median(list(known.values())):.2g} in the median, {min(known.values()):.2g} to {max(known.values()):.2g}"
    )
    return ClaimVerdict(usually(smaller, len(known)), detail, subject)


def ratio(case: CaseRuns, method: str, other: str, metric: str) -> float:
    """Median over the repeats of the ratio of two methods' errors; NaN where both are rounding or one is missing.

    Args:
        case: Errors of every method on one problem.
        method: Spec of the method.
        other: Spec of the one it is beside.
        metric: Name of the error.
    """
    ours, theirs = case.errors[method][metric], case.errors[other][metric]
    real = (ours > TINY) | (theirs > TINY)
    if not real.any():
        return float("nan")
    return float(np.median(np.maximum(ours[real], TINY) / np.maximum(theirs[real], TINY)))


_PLACE: Final = "section 2, before 2.1"
_SENTENCE: Final = (
    "From our experience the Lanczos method was effective and useful, while KPM was temperamental and in some ways "
    "problematic."
)
_BESIDE: Final = (
    f"A run misbehaves where it gives no density, or an error above {WORTH:g} that is over {FACTOR:g} times that of "
    "the other method from the same seed at equal products; a problem counts where more than half of its repeats do. "
)
CLAIMS: Final[tuple[PublishedClaim[DensityResults], ...]] = (
    PublishedClaim(
        title="KPM is temperamental",
        sentence=_SENTENCE,
        seed="001",
        place=_PLACE,
        measure="Errors of KPM beside those of one-vector Lanczos, by four distances.",
        rule=_BESIDE + f"Borne out: on at least {100 * OFTEN:g} % of the problems, with the default settings. Refuted: "
        f"on at most {100 * SELDOM:g} %. Undecided between.",
        judge=_temperamental,
    ),
    PublishedClaim(
        title="KPM is problematic: it gives no density, or a negative one",
        sentence=_SENTENCE,
        seed="001",
        place=_PLACE,
        measure="Runs that end without a density, because an eigenvalue escapes the bounds and those found again, and "
        "mass below zero that had to be cut off.",
        rule=f"A run counts without a density, or with more than {100 * WORTH:g} % of mass below zero. Borne out for a "
        f"setting: at least 5 % of the runs. Refuted: at most {100 * WORTH:g} %. Undecided between.",
        judge=_problematic,
    ),
    PublishedClaim(
        title="Lanczos is effective and useful",
        sentence=_SENTENCE,
        seed="001",
        place=_PLACE,
        measure="The same comparison turned around.",
        rule=_BESIDE + f"Borne out: Lanczos misbehaves beside KPM on at most {100 * SELDOM:g} % of the problems. "
        f"Refuted: on at least {100 * OFTEN:g} %. Undecided between.",
        judge=_effective,
    ),
    PublishedClaim(
        title="Deflation resolves the bulk better",
        sentence="Using low rank deflation allows for precise detection of outlier location and improved "
        "'resolution' of the bulk distribution.",
        seed="001",
        place="caption of figure 3",
        measure="Error of the bulk with deflation over that of one-vector Lanczos at equal total products, median over "
        "the repeats.",
        rule="Borne out: smaller on 9 of 10 problems. Refuted: on at most 1 of 10. Undecided between.",
        judge=_deflation,
    ),
)
"""What the document says of the two methods it tried, and of deflation."""
