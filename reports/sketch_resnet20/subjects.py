"""What each claim is judged on: the document's network, the others together, and what stands for itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeAlias

import numpy as np

from hessbench.estimand.base import Array
from hessbench.reports.claims.claim import ClaimOutcome, ClaimVerdict
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


def everywhere(rule: Rule, measured: Measured) -> tuple[ClaimVerdict, ...]:
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


def linear(measured: Measured) -> tuple[ClaimVerdict, ...]:
    """Exponents of the time outside of products, with and without reorthogonalisation."""
    net = network(measured, named.DOCUMENT)
    verdicts: list[ClaimVerdict] = []
    for method in (named.LANCZOS, named.LANCZOS_NONE):
        long = [run for run in net.runs_of(method) if run.products[-1] >= 100] if net else []
        verdicts.append(_verdict(judging.own_time(long[0]) if long else None, method))
    return tuple(verdicts)


def errors_by_rank(measured: Measured) -> tuple[ClaimVerdict, ...]:
    """Errors by rank of the sketches here, and of the published ones of made-up matrices in each basis."""
    published = measured.select(named.PUBLISHED)
    verdicts: list[ClaimVerdict] = []
    for basis in dict.fromkeys(texts(published["problem"])):
        of_basis = measured.select(named.PUBLISHED, basis)
        ratios = [
            _published_ratio(measured.values(named.PUBLISHED, basis, it))
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
    return (*everywhere(judging.by_rank, measured), *verdicts)


def _published_ratio(errors: Array) -> float:
    logs = np.log(np.maximum(np.abs(errors), np.finfo(np.float64).tiny))
    ranks = np.arange(logs.size)
    return float(np.exp(np.polyfit(ranks, logs, 1)[0] * ranks[-1]))


def optimal_trace(measured: Measured) -> tuple[ClaimVerdict, ...]:
    """Whether another estimate of the GGN's trace is usually nearer than the sketch's, at both sizes."""
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
    products = np.asarray(measured.select(named.TRACE, named.GGN, method)["num_matvecs"], dtype=np.float64)
    return measured.values(named.TRACE, named.GGN, method)[products == size]


def together(measured: Measured) -> tuple[ClaimVerdict, ...]:
    """Whether the sketch is on the Pareto front of seconds and both errors."""
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


def singular(measured: Measured) -> tuple[ClaimVerdict, ...]:
    """The rank of the GGN, and the share of the Hessian near zero."""
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
