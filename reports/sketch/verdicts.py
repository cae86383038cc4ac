"""The published claims about the sign sketch, and the rule by which each is judged, fixed before the run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final, TypeAlias

import numpy as np
from scipy import stats

from hessbench.estimand.base import Array
from hessbench.reports.claims.claim import ClaimOutcome, ClaimVerdict, JudgedClaim, PublishedClaim, judge_all
from hessbench.reports.sketch.results import SketchResults
from hessbench.reports.writing.median_intervals import can_cover, median_interval

LEVEL: Final = 0.95
_BASELINE: Final = "lanczos"
IN_THE_MEAN: Final = "in the mean only"

_ROUNDING: Final = 1e-9
"""Relative differences below this are rounding: neither an error nor a change of the trace."""


_Judge: TypeAlias = Callable[[SketchResults, str], ClaimVerdict]


def judge(results: SketchResults) -> tuple[JudgedClaim, ...]:
    """Judge every claim in every basis."""
    return judge_all(CLAIMS, results)


def _in_every_basis(verdict: _Judge, results: SketchResults) -> tuple[ClaimVerdict, ...]:
    return tuple(verdict(results, basis) for basis in results.errors)


def matrix_errors(errors: Array) -> Array:
    """Typical size of the error of each matrix: median of |error| over sketches and ranks, shape (Z, R, M)."""
    return np.median(np.abs(errors), axis=(3, 4))


def _with_size(results: SketchResults, basis: str) -> ClaimVerdict:
    sizes = matrix_errors(results.errors[basis])
    return _falling(basis, np.swapaxes(sizes, 0, 1), "ratio", results.ratios, "zero fraction", results.zero_fractions)


def _with_zeros(results: SketchResults, basis: str) -> ClaimVerdict:
    sizes = matrix_errors(results.errors[basis])
    return _falling(basis, sizes, "zero fraction", results.zero_fractions, "ratio", results.ratios)


def _falling(
    basis: str, sizes: Array, along: str, steps: tuple[float, ...], across: str, others: tuple[float, ...]
) -> ClaimVerdict:
    """Judge whether sizes (steps, others, M) fall along the first axis, each matrix being compared with itself."""
    changes = np.diff(np.log(np.maximum(sizes, np.finfo(np.float64).tiny)), axis=0)
    number = changes.shape[0] * changes.shape[1]
    level = 1 - (1 - LEVEL) / number
    if not can_cover(changes.shape[2], level):
        return ClaimVerdict(
            ClaimOutcome.UNDECIDED,
            f"{changes.shape[2]} matrices are too few for {number} intervals at once",
            subject=basis,
        )
    falls = rises = 0
    unclear: list[str] = []
    for step in range(changes.shape[0]):
        for other in range(changes.shape[1]):
            interval = median_interval(changes[step, other], level)
            falls += interval.high < 0
            rises += interval.low > 0
            if not interval.high < 0:
                unclear.append(
                    f"{steps[step]:g} to {steps[step + 1]:g} at {across} {others[other]:g} "
                    f"(x{np.exp(interval.median):.2g}, {np.exp(interval.low):.2g} to {np.exp(interval.high):.2g})"
                )
    outcome = ClaimOutcome.BORNE_OUT if falls == number else ClaimOutcome.REFUTED if rises else ClaimOutcome.UNDECIDED
    ends = np.exp(np.median(changes.sum(axis=0), axis=1))
    detail = (
        f"the error falls in {falls} of {number} steps of the {along} and rises in {rises}; from {steps[0]:g} to "
        f"{steps[-1]:g} it is multiplied by {ends.min():.2g} to {ends.max():.2g} in the median"
    )
    if unclear:
        detail += f"; not seen to fall: {', '.join(unclear[:4])}" + (" and more" if len(unclear) > 4 else "")
    return ClaimVerdict(outcome, detail, subject=basis)


def _positive(results: SketchResults, basis: str) -> ClaimVerdict:
    errors = results.errors[basis]
    below = errors < -100 * _ROUNDING
    document = below[:, :, : results.document_matrices]
    cells = int(below.any(axis=(2, 3, 4)).sum())
    detail = (
        f"{100 * below.mean():.2g} % of {errors.size:,} errors are negative, in {cells} of "
        f"{below.shape[0] * below.shape[1]} combinations; the least is {errors.min():.3g} %; "
        f"in the document's design ({results.document_matrices} matrices) {100 * document.mean():.2g} %"
    )
    return ClaimVerdict(ClaimOutcome.REFUTED if below.any() else ClaimOutcome.BORNE_OUT, detail, subject=basis)


def _trace(results: SketchResults, basis: str) -> ClaimVerdict:
    shifts = results.traces[basis]
    largest = float(np.abs(shifts).max())
    if largest <= _ROUNDING:
        return ClaimVerdict(ClaimOutcome.BORNE_OUT, f"in every sketch, to {largest:.1g} of the trace", subject=basis)
    means = shifts.mean(axis=3)
    number = means.shape[0] * means.shape[1]
    m = means.shape[2]
    half = stats.t.ppf(1 - (1 - LEVEL) / (2 * number), m - 1) * means.std(axis=2, ddof=1) / m**0.5 if m > 1 else np.inf
    biased = np.abs(means.mean(axis=2)) > half
    typical = 100 * np.median(np.abs(shifts), axis=(0, 2, 3))
    detail = (
        f"the mean over matrices differs from 0 in {int(biased.sum())} of {number} combinations; a single sketch is "
        f"off by {typical[0]:.2g} % (ratio {results.ratios[0]:g}) to {typical[-1]:.2g} % (ratio "
        f"{results.ratios[-1]:g}) in the median, by {100 * largest:.3g} % at most"
    )
    if biased.any():
        return ClaimVerdict(ClaimOutcome.REFUTED, detail, subject=basis)
    return ClaimVerdict(ClaimOutcome.BORNE_OUT, detail, subject=basis, qualifier=IN_THE_MEAN)


def _negatives(results: SketchResults, basis: str) -> ClaimVerdict:
    found = results.negatives[basis]
    own = results.negatives_of_matrix[:, None, :, None]
    more = found > own
    share = found / np.maximum(own, 1)
    detail = (
        f"{int(more.sum())} of {more.size} sketches of signed matrices have more negative eigenvalues than the matrix; "
        f"they have {share.min():.2g} to {share.max():.2g} of its number"
    )
    return ClaimVerdict(ClaimOutcome.REFUTED if more.any() else ClaimOutcome.BORNE_OUT, detail, subject=basis)


_STEPS: Final = (
    "The size of the error of a matrix is the median of |error| over its sketches and the ranks. For every step "
    "between neighbouring {along}, at every {across}, each matrix gives one log ratio of sizes; the interval of their "
    "median (order statistics) covers all steps at once with 95 %. Borne out: every interval lies below 0. Refuted: "
    "one lies above 0. Undecided otherwise."
)
_ERROR: Final = "Signed error 100 (theta_i - lambda_i) / lambda_i of each of the top eigenvalues."
_BESIDE_7_TO_12: Final = "Hessian Sketching, beside figures 7 to 12"

CLAIMS: Final[tuple[PublishedClaim[SketchResults], ...]] = (
    PublishedClaim(
        title="Errors fall as the sketch grows",
        sentence="one very clear trend is that as the sketch size increases, the eigenvalue estimates become more "
        "accurate",
        seed="004",
        place=_BESIDE_7_TO_12,
        measure=_ERROR,
        rule=_STEPS.format(along="sketch ratios", across="zero fraction"),
        judge=partial(_in_every_basis, _with_size),
    ),
    PublishedClaim(
        title="Errors fall as the matrix gets more singular",
        sentence="At all sketching levels, as the Hessian becomes more singular, the error decreases.",
        seed="004",
        place="Hessian Sketching, before figures 13 to 18",
        measure=_ERROR,
        rule=_STEPS.format(along="zero fractions", across="sketch ratio"),
        judge=partial(_in_every_basis, _with_zeros),
    ),
    PublishedClaim(
        title="Every error is positive",
        sentence="all of the errors were positive, meaning that in all realizations of all of the sketches, the top "
        "eigenvalues were always over-estimated and never under-estimated",
        seed="004",
        place=_BESIDE_7_TO_12,
        measure=_ERROR,
        rule="Borne out: no error of any rank of any sketch lies below 0 by more than rounding. Refuted: one does.",
        judge=partial(_in_every_basis, _positive),
    ),
    PublishedClaim(
        title="The trace is preserved",
        sentence="First, this sketch is trace preserving.",
        seed="004",
        place="Hessian Sketching, first of the sketch's attractive properties",
        measure="tr(S^T A S) / tr(A) - 1 of each sketch.",
        rule="Borne out: tr(S^T A S) = tr(A) in every sketch, to rounding. In the mean only: it is not, but for no "
        "combination of zero fraction and ratio does the interval of the mean over matrices (Student's t, 95 % for "
        "all at once) leave out 0. Refuted: one does.",
        judge=partial(_in_every_basis, _trace),
    ),
    PublishedClaim(
        title="Negative eigenvalues of the sketch never outnumber the matrix's",
        sentence="Secondly, this sketch seems to maintain the positive semi-definiteness of the Hessian to a large "
        "extent.",
        seed="004",
        place="Hessian Sketching, second of the sketch's attractive properties",
        measure="Negative eigenvalues of the sketch and of the matrix.",
        rule="Matrices of the same eigenvalues with random signs. Borne out: no sketch has more eigenvalues below "
        "rounding than its matrix has negative ones. Refuted: one has.",
        judge=partial(_in_every_basis, _negatives),
    ),
)
"""What the document says of the sketch on made-up matrices."""


@dataclass(frozen=True)
class Win:
    """A method that was ahead of Lanczos on a problem at one number of products, from every start."""

    problem: str
    method: str
    budget: int
    error: float
    lanczos: float


RACE_RULE: Final = (
    "Ahead of Lanczos at a number of products: a smaller error from every one of the starts, compared in pairs, with "
    "Lanczos still above twice the bound of the reference, below which no accuracy is claimed."
)


def wins(results: SketchResults) -> tuple[Win, ...]:
    """Where sketch-and-refine was ahead of Lanczos, by `RACE_RULE`."""
    found: list[Win] = []
    for race in results.races:
        base = race.errors[_BASELINE]
        for method, errors in race.errors.items():
            for place, budget in enumerate(race.budgets):
                ours, theirs = errors[:, place], base[:, place]
                if bool((ours < theirs).all()) and float(theirs.min()) > 2 * race.floor:
                    found.append(Win(race.problem, method, budget, float(np.median(ours)), float(np.median(theirs))))
    return tuple(found)
