"""The published claims about the sign sketch, and the rule by which each is judged, fixed before the run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
from scipy import stats

from hessbench.estimand.base import Array
from hessbench.reports.sketch.results import SketchResults
from hessbench.reports.writing.median_intervals import can_cover, median_interval

LEVEL: Final = 0.95
_BASELINE: Final = "lanczos"
BORNE_OUT: Final = "borne out"
IN_THE_MEAN: Final = "borne out in the mean only"
REFUTED: Final = "refuted"
UNDECIDED: Final = "undecided"

_ROUNDING: Final = 1e-9
"""Relative differences below this are rounding: neither an error nor a change of the trace."""


@dataclass(frozen=True)
class ClaimVerdict:
    """What became of a claim in one basis."""

    basis: str
    outcome: str
    detail: str


@dataclass(frozen=True)
class PublishedClaim:
    """A published claim, the rule, and its verdict in every basis."""

    text: str
    rule: str
    verdicts: tuple[ClaimVerdict, ...]


Judge: TypeAlias = Callable[[SketchResults, str], ClaimVerdict]


def judge(results: SketchResults) -> tuple[PublishedClaim, ...]:
    """Judge every claim in every basis."""
    return tuple(
        PublishedClaim(text, rule, tuple(verdict(results, basis) for basis in results.errors))
        for text, rule, verdict in _CLAIMS
    )


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
        return ClaimVerdict(basis, UNDECIDED, f"{changes.shape[2]} matrices are too few for {number} intervals at once")
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
    outcome = BORNE_OUT if falls == number else REFUTED if rises else UNDECIDED
    ends = np.exp(np.median(changes.sum(axis=0), axis=1))
    detail = (
        f"the error falls in {falls} of {number} steps of the {along} and rises in {rises}; from {steps[0]:g} to "
        f"{steps[-1]:g} it is multiplied by {ends.min():.2g} to {ends.max():.2g} in the median"
    )
    if unclear:
        detail += f"; not seen to fall: {', '.join(unclear[:4])}" + (" and more" if len(unclear) > 4 else "")
    return ClaimVerdict(basis, outcome, detail)


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
    return ClaimVerdict(basis, REFUTED if below.any() else BORNE_OUT, detail)


def _trace(results: SketchResults, basis: str) -> ClaimVerdict:
    shifts = results.traces[basis]
    largest = float(np.abs(shifts).max())
    if largest <= _ROUNDING:
        return ClaimVerdict(basis, BORNE_OUT, f"in every sketch, to {largest:.1g} of the trace")
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
    return ClaimVerdict(basis, REFUTED if biased.any() else IN_THE_MEAN, detail)


def _negatives(results: SketchResults, basis: str) -> ClaimVerdict:
    found = results.negatives[basis]
    own = results.negatives_of_matrix[:, None, :, None]
    more = found > own
    share = found / np.maximum(own, 1)
    detail = (
        f"{int(more.sum())} of {more.size} sketches of signed matrices have more negative eigenvalues than the matrix; "
        f"they have {share.min():.2g} to {share.max():.2g} of its number"
    )
    return ClaimVerdict(basis, REFUTED if more.any() else BORNE_OUT, detail)


_STEPS: Final = (
    "The size of the error of a matrix is the median of |error| over its sketches and the ranks. For every step "
    "between neighbouring {along}, at every {across}, each matrix gives one log ratio of sizes; the interval of their "
    "median (order statistics) covers all steps at once with 95 %. Borne out: every interval lies below 0. Refuted: "
    "one lies above 0. Undecided otherwise."
)
_CLAIMS: Final[tuple[tuple[str, str, Judge], ...]] = (
    ("Errors fall as the sketch grows", _STEPS.format(along="sketch ratios", across="zero fraction"), _with_size),
    (
        "Errors fall as the matrix gets more singular",
        _STEPS.format(along="zero fractions", across="sketch ratio"),
        _with_zeros,
    ),
    (
        "Every error is positive",
        "Borne out: no error of any rank of any sketch lies below 0 by more than rounding. Refuted: one does.",
        _positive,
    ),
    (
        "The trace is preserved",
        "Borne out: tr(S^T A S) = tr(A) in every sketch, to rounding. In the mean only: it is not, but for no "
        "combination of zero fraction and ratio does the interval of the mean over matrices (Student's t, 95 % for "
        "all at once) leave out 0. Refuted: one does.",
        _trace,
    ),
    (
        "Negative eigenvalues of the sketch never outnumber the matrix's",
        "Matrices of the same eigenvalues with random signs. Borne out: no sketch has more eigenvalues below rounding "
        "than its matrix has negative ones. Refuted: one has.",
        _negatives,
    ),
)


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
