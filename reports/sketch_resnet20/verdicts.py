"""The published claims about the Hessian of ResNet20, and the rule by which each is judged, fixed before the run."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final, TypeAlias

import numpy as np

from hessbench.estimand.base import Array
from hessbench.reports.claims.claim import ClaimOutcome, ClaimVerdict, PublishedClaim
from hessbench.reports.claims.measured import Measured
from hessbench.reports.claims.rules import usually
from hessbench.reports.sketch_resnet20 import judging, named
from hessbench.reports.sketch_resnet20.judging import Judged
from hessbench.reports.sketch_resnet20.mass import mass_near_zero
from hessbench.reports.sketch_resnet20.pairs import CONTENDERS, SKETCH_50, on_the_front, pairs_of
from hessbench.reports.sketch_resnet20.readings import NetworkReadings, network, networks, texts

Rule: TypeAlias = Callable[[NetworkReadings], "Judged | None"]

OTHERS: Final = "other networks and data"
_HERE: Final = "ResNet20, 64 images"
_MISSING: Final = "it has not been measured"
_WINS: Final = 4
"""Of five paired draws, so many in which another estimate is nearer to the trace make it the better one."""


def _everywhere(rule: Rule, measured: Measured) -> tuple[ClaimVerdict, ...]:
    """The verdict on the document's network, and one on all the others together."""
    found = {it.problem: rule(it) for it in networks(measured)}
    own = found.pop(named.DOCUMENT, None)
    others = {problem: judged for problem, judged in found.items() if judged is not None}
    return (_verdict(own, _HERE), *([_on_others(others)] if others else []))


def _verdict(judged: Judged | None, subject: str) -> ClaimVerdict:
    if judged is None:
        return ClaimVerdict(ClaimOutcome.UNDECIDED, _MISSING, subject)
    return ClaimVerdict(judged.outcome, judged.detail, subject, uncertainty=judged.uncertainty)


def _on_others(judged: dict[str, Judged]) -> ClaimVerdict:
    """Borne out where the rule usually bears it out, refuted where it usually refutes it, undecided otherwise."""
    outcomes = [it.outcome for it in judged.values()]
    counts = {outcome: outcomes.count(outcome) for outcome in (ClaimOutcome.BORNE_OUT, ClaimOutcome.REFUTED)}
    decided = [it for it, count in counts.items() if usually(count, len(outcomes)) is ClaimOutcome.BORNE_OUT]
    seen = "; ".join(f"{problem}: {it.outcome}, {it.detail}" for problem, it in judged.items())
    spread = ", ".join(f"{outcome} on {count} of {len(outcomes)}" for outcome, count in counts.items())
    return ClaimVerdict(decided[0] if decided else ClaimOutcome.UNDECIDED, seen, OTHERS, uncertainty=spread)


def _linear(measured: Measured) -> tuple[ClaimVerdict, ...]:
    net = network(measured, named.DOCUMENT)
    verdicts: list[ClaimVerdict] = []
    for method in (named.LANCZOS, named.LANCZOS_NONE):
        long = [run for run in net.runs_of(method) if run.products[-1] >= 100] if net else []
        verdicts.append(_verdict(judging.own_time(long[0]) if long else None, method))
    return tuple(verdicts)


def _by_rank(measured: Measured) -> tuple[ClaimVerdict, ...]:
    published = measured.select(named.PUBLISHED)
    verdicts: list[ClaimVerdict] = []
    for basis in dict.fromkeys(texts(published["problem"])):
        of_basis = published[published["problem"] == basis]
        ratios = [
            _published_ratio(of_basis[of_basis["method"] == it]["value"].to_numpy(dtype=np.float64))
            for it in dict.fromkeys(texts(of_basis["method"]))
        ]
        agreeing = sum(0.5 <= ratio <= 1.0 for ratio in ratios)
        detail = (
            f"{agreeing} of {len(ratios)} combinations of size and share of zeros have a ratio of rank {named.K} to "
            f"rank 1 from .5 to 1, by the fitted line"
        )
        spread = f"ratios from {min(ratios):.2g} to {max(ratios):.2g}, {np.median(ratios):.2g} in the median"
        verdicts.append(
            ClaimVerdict(usually(agreeing, len(ratios)), detail, f"published sketches, {basis}", uncertainty=spread)
        )
    if not verdicts:
        verdicts = [ClaimVerdict(ClaimOutcome.NOT_TESTABLE, "their table is not installed", "published sketches")]
    return (*_everywhere(judging.by_rank, measured), *verdicts)


def _published_ratio(errors: Array) -> float:
    logs = np.log(np.maximum(np.abs(errors), np.finfo(np.float64).tiny))
    ranks = np.arange(logs.size)
    return float(np.exp(np.polyfit(ranks, logs, 1)[0] * ranks[-1]))


def _optimal(measured: Measured) -> tuple[ClaimVerdict, ...]:
    truth = measured.values(named.TRACE, named.GGN, "reference")
    verdicts: list[ClaimVerdict] = []
    for size in named.SIZES:
        subject = f"GGN of {_HERE}, {size} products"
        errors = {
            method: np.abs(_of_size(measured, method, size) - truth[0])
            for method in (named.HUTCHINSON, named.HUTCHPP, named.XNYSTRACE)
            if truth.size
        }
        if not errors or any(
            found.size != errors[named.HUTCHINSON].size or not found.size for found in errors.values()
        ):
            verdicts.append(ClaimVerdict(ClaimOutcome.UNDECIDED, _MISSING, subject))
            continue
        own = errors.pop(named.HUTCHINSON)
        wins = {method: int((found < own).sum()) for method, found in errors.items()}
        needed = own.size * _WINS / 5
        outcome = ClaimOutcome.REFUTED if max(wins.values()) >= needed else ClaimOutcome.BORNE_OUT
        detail = "; ".join(f"{method} is nearer in {won} of {own.size} draws" for method, won in wins.items())
        spread = ", ".join(
            f"{method} {100 * np.median(found) / truth[0]:.2g} %"
            for method, found in ({named.HUTCHINSON: own} | errors).items()
        )
        verdicts.append(ClaimVerdict(outcome, detail, subject, uncertainty=f"median errors: {spread}"))
    return tuple(verdicts)


def _of_size(measured: Measured, method: str, size: int) -> Array:
    rows = measured.select(named.TRACE, named.GGN, method)
    return rows[rows["num_matvecs"] == size]["value"].to_numpy(dtype=np.float64)


def _together(measured: Measured) -> tuple[ClaimVerdict, ...]:
    net = network(measured, named.DOCUMENT)
    pairs = tuple(it for it in pairs_of(measured, net) if it.name in CONTENDERS) if net else ()
    if {it.name for it in pairs} != set(CONTENDERS):
        return (ClaimVerdict(ClaimOutcome.UNDECIDED, _MISSING, _HERE),)
    share, ahead = on_the_front(SKETCH_50, pairs)
    outcome = ClaimOutcome.BORNE_OUT if share >= 0.9 else ClaimOutcome.REFUTED if share <= 0.1 else None
    seen = "; ".join(
        f"{it.name}: {np.median(it.seconds):.3g} s, first 20 off by {100 * np.median(it.top_error):.2g} %, trace by "
        f"{100 * np.median(it.trace_error):.2g} %"
        for it in pairs
    )
    detail = f"{seen}; no worse in all three than the sketch: {ahead or 'none'}"
    spread = f"on the front in {100 * share:.3g} % of the drawings of the repeats"
    return (ClaimVerdict(outcome or ClaimOutcome.UNDECIDED, detail, _HERE, uncertainty=spread),)


def _singular(measured: Measured) -> tuple[ClaimVerdict, ...]:
    verdicts: list[ClaimVerdict] = []
    net = network(measured, named.DOCUMENT)
    ranks, columns = measured.values(named.RANK, named.GGN), measured.values(named.COLUMNS, named.GGN)
    subject = f"GGN of {_HERE}"
    if net is None or not ranks.size:
        verdicts.append(ClaimVerdict(ClaimOutcome.UNDECIDED, _MISSING, subject))
    else:
        zeros, floor = 1 - ranks[0] / net.truth.dim, 1 - columns[0] / net.truth.dim
        detail = (
            f"the GGN is F F^T with N C = {columns[0]:g} columns, so at least {100 * floor:.2f} % of its "
            f"{net.truth.dim:,} eigenvalues are zero; {ranks[0]:g} are not, {100 * zeros:.2f} % are zero"
        )
        holds = ranks[0] <= columns[0] and floor > 0.99
        verdicts.append(ClaimVerdict(ClaimOutcome.THEOREM if holds else ClaimOutcome.REFUTED, detail, subject))
    subject = f"Hessian of {_HERE}, by quadrature"
    units = texts(measured.select(named.MASS, named.DOCUMENT)["unit"])
    if net is None or not units:
        return (*verdicts, ClaimVerdict(ClaimOutcome.UNDECIDED, _MISSING, subject))
    rules = [measured.array(units[0], f"start {number}") for number in range(len(units))]
    nodes, weights = [rule[0] for rule in rules], [rule[1] for rule in rules]
    found = mass_near_zero(nodes, weights, named.BELOW_SHARE * float(np.abs(net.truth.top[0])))
    absolute = mass_near_zero(nodes, weights, named.BELOW)
    outcome = ClaimOutcome.BORNE_OUT if found.low > 0.99 else ClaimOutcome.UNDECIDED
    outcome = ClaimOutcome.REFUTED if found.high < 0.99 else outcome
    detail = (
        f"{100 * found.value:.3f} % of the eigenvalues are below {named.BELOW_SHARE:.2g} of the largest in magnitude; "
        f"{100 * absolute.value:.3f} % below {named.BELOW:g} itself"
    )
    spread = (
        f"bounds of the quadrature and 95 % over {len(rules)} starts: {100 * found.low:.3f} to {100 * found.high:.3f} %"
    )
    return (*verdicts, ClaimVerdict(outcome, detail, subject, uncertainty=spread))


_TOP: Final = "Top-k Eigenvalues"
_SKETCHING: Final = "Hessian Sketching"
_EACH: Final = (
    " The other networks are judged each by the same rule: together borne out, or refuted, where nine of ten (five of "
    "five) are."
)

CLAIMS: Final[tuple[PublishedClaim[Measured], ...]] = (
    PublishedClaim(
        title="Lanczos needs an eighth of the products",
        sentence="Power Iteration needed to compute 349 matvec products while the Lanczos Method needed to compute 45.",
        seed="004",
        place=f"{_TOP}, after figure 5",
        measure="Products from which the largest relative error of the first 20 stays within 1 % of certified values; "
        "where power iteration ends above 1 %, products of both to its own final error. Median over starts of Lanczos.",
        rule="Ratio of the products. Borne out: at least 3.9, half of the document's 7.8. Refuted: below 2." + _EACH,
        judge=partial(_everywhere, judging.fewer_products),
    ),
    PublishedClaim(
        title="4, 8, 14 and 45 products",
        sentence="By iteration 4 [...] the first eigenvalue had converged. By iteration 8 [...] the top 2 [...]. By "
        "iteration 14 [...] the top 4 [...]. By iteration 45 [...] the top 20 eigenvalues had all converged.",
        seed="004",
        place=f"{_TOP}, after figure 4",
        measure="Products from which the largest relative error of the first 1, 2, 4 and 20 stays within 1 %, median "
        "of the starts.",
        rule="Borne out: all four within a factor 1.5 of the document's. Refuted: one beyond a factor 3." + _EACH,
        judge=partial(_everywhere, judging.counted_products),
    ),
    PublishedClaim(
        title="Lanczos runs in linear time",
        sentence="The speed of the Lanczos Algorithm. This algorithm runs in linear time.",
        seed="004",
        place=f"{_TOP}, figure 5",
        measure="Exponent of the seconds outside of products, of the basis and its orthogonalisation, in the steps "
        "from 20 to 100; finding the eigenvalues of T is left out, as in the document.",
        rule="For each way to reorthogonalise. Borne out: at most 1.1. Refuted: at least 1.5.",
        judge=_linear,
    ),
    PublishedClaim(
        title="Over-estimated by 10 to 20 %",
        sentence="the top 20 eigenvalues were uniformly over-estimated by around 10 - 20%",
        seed="004",
        place="Conclusions",
        measure="Signed relative errors of the first 20 of every sketch of 50 and of 100.",
        rule="Borne out: all are above 0 and the median of the sketches' means lies from 5 to 30 %. Refuted: one is "
        "below 0 by more than the bound of the reference." + _EACH,
        judge=partial(_everywhere, judging.over_estimates),
    ),
    PublishedClaim(
        title="The sketch keeps definiteness",
        sentence="this sketch seems to maintain the positive semi-definiteness of the Hessian to a large extent [...] "
        "4 out of the 50 eigenvalues were negative [...] I observed the same behavior for a larger sketch size of 100.",
        seed="004",
        place=f"{_SKETCHING}, figure 6",
        measure="Share of the eigenvalues of the sketch that are negative beyond the bound of the reference, median of "
        "the draws, at both sizes; the matrix's own count beside it.",
        rule="Borne out: at most 10 % at both sizes. Refuted: at least 25 % at one." + _EACH,
        judge=partial(_everywhere, judging.definiteness),
    ),
    PublishedClaim(
        title="Little is gained from 50 to 100",
        sentence="The accuracy gained by doubling the sketch size ratio from 0.02% to 0.04% was minimal.",
        seed="004",
        place=f"{_SKETCHING}, figure 19",
        measure="Mean absolute error at size 100 over that at size 50, whose columns are the first 50 of the draw.",
        rule="Median of the draws. Borne out: at least .8. Refuted: at most .7." + _EACH,
        judge=partial(_everywhere, judging.gain),
    ),
    PublishedClaim(
        title="Errors are uniform in rank and fall slightly",
        sentence="The eigenvalue over-estimates are uniform and seem to decrease for higher eigenvalues (note the "
        "slight downward trend in each of the series of data).",
        seed="004",
        place=f"{_SKETCHING}, beside figures 7 to 12",
        measure="Error at rank 20 over that at rank 1, by a line through the logarithms of the mean absolute errors. "
        "Of the published sketches of made-up matrices: of their median errors, no new run.",
        rule="Borne out: from .5 to 1. Refuted: outside. Undecided where the interval over the draws does not agree. "
        "Of the published sketches: usually, over sizes and shares of zeros, in each basis." + _EACH,
        judge=_by_rank,
    ),
    PublishedClaim(
        title="The trace of the sketch is optimally accurate",
        sentence="this method, which in essence performs Hutchinson Trace Estimation is optimally accurate because the "
        "sketching matrix is created from Rademacher vectors",
        seed="004",
        place="Conclusions",
        measure="Errors of the trace of the GGN by the sketch, Hutch++ and XNysTrace at 50 and 100 products, in pairs "
        "of draws.",
        rule="Borne out: no other is nearer in 4 of 5 draws. Refuted: one is.",
        judge=_optimal,
    ),
    PublishedClaim(
        title="First eigenvalues and trace are cheaper together",
        sentence="to compute the top 20 eigenvalues using 50 iterations of Lanczos Method and compute the trace would "
        "take a total of 29 minutes. In contrast, Hessian Sketching took 18 minutes",
        seed="004",
        place="Conclusions",
        measure="Seconds and both errors of the sketch of 50, of Lanczos 50 and Hutchinson 50, of Lanczos 50 with the "
        "trace of its own quadrature, and of a range finder that shares its products with Hutch++.",
        rule="Borne out: the sketch is on the Pareto front of the three in nine of ten drawings of the repeats. "
        "Refuted: in one of ten at most.",
        judge=_together,
    ),
    PublishedClaim(
        title="More than 99 % of the eigenvalues are zero, or below 0.3",
        sentence="the plot shows how well over 99% of the eigenvalues are below 0.3. [...] The neural network Hessian "
        "was well over 99% singular.",
        seed="004",
        place="Background, figure 2, and before figure 19",
        measure="Rank of the GGN, exactly. Share of the Hessian's eigenvalues below 0.3 / 195 of the largest in "
        "magnitude by quadrature, with the bounds of the separation theorem and the interval over the starts.",
        rule="GGN: its rank is at most N C, a theorem. Hessian: borne out where the lower bound is above 99 %, refuted "
        "where the upper one is below.",
        judge=_singular,
    ),
    PublishedClaim(
        title="Close eigenvalues take power iteration longer",
        sentence="because the eigenvalues became more closely packed after the first few, the number of iterations "
        "required to calculate each eigenvalue increased for the smaller eigenvalues",
        seed="004",
        place=f"{_TOP}, figure 3",
        measure="Products that each of the 20 took; their rank correlation with its place.",
        rule="Borne out: at least .5. Refuted: at most 0." + _EACH,
        judge=partial(_everywhere, judging.products_grow),
    ),
    PublishedClaim(
        title="The rate is the ratio of neighbours",
        sentence="when computing eigenvalue lambda_i, this power iteration scheme will converge with at a rate of "
        "O(lambda_(i+1) / lambda_i)",
        seed="004",
        place=f"{_TOP}, before figure 3",
        measure="Slope of the logarithm of the relative error per product on log |lambda_(i+1) / lambda_i|, by least "
        "squares over the eigenvalues.",
        rule="Borne out: from .5 to 2. Refuted: outside. Undecided where the interval over the eigenvalues does not "
        "agree." + _EACH,
        judge=partial(_everywhere, judging.rate),
    ),
)
"""What the document says of its network's Hessian."""
