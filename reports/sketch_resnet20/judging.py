"""The rules of the study as functions of the readings of one network: an outcome, what was seen, how sure it is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats

from hessbench.estimand.base import Array
from hessbench.reports.claims.claim import ClaimOutcome
from hessbench.reports.claims.rules import at_least, at_most
from hessbench.reports.sketch_resnet20 import named
from hessbench.reports.sketch_resnet20.readings import DrawnSketch, NetworkReadings, TopRun

_DRAWS = 2000


@dataclass(frozen=True)
class Judged:
    """What a rule gives on one network; `detail` holds the numbers, `uncertainty` their spread."""

    outcome: ClaimOutcome
    detail: str
    uncertainty: str = ""


def fewer_products(net: NetworkReadings) -> Judged | None:
    """Products of power iteration over those of Lanczos to the same error of the first 20."""
    power, runs = net.power, net.runs_of(named.LANCZOS)
    if power is None or not runs:
        return None
    final = float(power.errors()[-1])
    reached = final <= 0.01
    target = 0.01 if reached else final
    spent = power.stop(tolerance=target)
    counts = np.asarray([run.stop(tolerance=target) for run in runs])
    typical = float(np.median(counts))
    least = min(float(run.products[-1]) for run in runs)
    ratio = spent / typical if np.isfinite(typical) else spent / least
    outcome = at_least(ratio, 3.9, 2.0)
    if not np.isfinite(typical) and outcome is not ClaimOutcome.REFUTED:
        outcome = ClaimOutcome.UNDECIDED
    said = f"{typical:g}" if np.isfinite(typical) else f"more than {least:g}"
    to = "to 1 %" if reached else f"to {100 * final:.2g} %, where power iteration ends after {power.products[-1]:g}"
    detail = f"{spent:g} products against {said} of Lanczos {to}: {ratio:.2g} times as many, published 7.8"
    known = counts[np.isfinite(counts)]
    if known.size < 2:
        return Judged(outcome, detail)
    spread = f"{spent / known.max():.2g} to {spent / known.min():.2g} over {counts.size} starts of Lanczos"
    return Judged(outcome, detail, spread)


def counted_products(net: NetworkReadings) -> Judged | None:
    """Products of Lanczos to 1 % over the first 1, 2, 4 and 20 beside the document's counts."""
    runs = net.runs_of(named.LANCZOS)
    if not runs:
        return None
    stops = {k: np.asarray([run.stop(k) for run in runs]) for k in named.COUNTS}
    last = min(float(run.products[-1]) for run in runs)
    factors = {k: max(float(np.median(stops[k])), 1.0) / named.LANCZOS_PRODUCTS[k] for k in named.COUNTS}
    within = {k: max(factor, 1 / factor) for k, factor in factors.items()}
    if all(factor <= 1.5 for factor in within.values()):
        outcome = ClaimOutcome.BORNE_OUT
    elif any(
        factor > 3 if np.isfinite(factor) else last / named.LANCZOS_PRODUCTS[k] > 3 for k, factor in within.items()
    ):
        outcome = ClaimOutcome.REFUTED
    else:
        outcome = ClaimOutcome.UNDECIDED
    found = ", ".join(_count(float(np.median(stops[k])), last) for k in named.COUNTS)
    published = ", ".join(str(count) for count in named.LANCZOS_PRODUCTS.values())
    spread = ", ".join(f"{_count(stops[k].min(), last)} to {_count(stops[k].max(), last)}" for k in named.COUNTS)
    detail = f"{found} products for the first 1, 2, 4 and 20, published {published}"
    return Judged(outcome, detail, f"{spread} over {len(runs)} starts")


def _count(value: float, last: float) -> str:
    return f"{value:g}" if np.isfinite(value) else f"over {last:g}"


def own_time(run: TopRun) -> Judged:
    """Exponent of the time outside of products in the steps, from 20 to 100."""
    whole = _exponent(run, 20, 100)
    detail = f"own time grows as the steps to the power of {whole:.2f} from 20 to {min(100, run.products[-1]):g} steps"
    spread = f"{_exponent(run, 20, 50):.2f} to 50 steps, {_exponent(run, 50, 100):.2f} beyond"
    return Judged(at_most(whole, 1.1, 1.5), detail, spread)


def _exponent(run: TopRun, first: int, last: int) -> float:
    inside = (run.products >= first) & (run.products <= last)
    if inside.sum() < 3:
        return float("nan")
    return float(np.polyfit(np.log(run.products[inside]), np.log(run.own[inside]), 1)[0])


def over_estimates(net: NetworkReadings) -> Judged | None:
    """Whether every sketch is above every eigenvalue, and by how much in the mean."""
    if not net.sketches:
        return None
    errors = [it.signed_errors(size) for it in net.sketches for size in named.SIZES]
    beyond = -net.truth.bound / np.abs(net.truth.top[: named.K])
    below = sum(int((row < beyond[: row.size]).sum()) for row in errors)
    number = sum(row.size for row in errors)
    means = 100 * np.asarray([row.mean() for row in errors])
    typical, least = float(np.median(means)), 100 * min(float(row.min()) for row in errors)
    if below:
        outcome = ClaimOutcome.REFUTED
    elif least > 0 and 5 <= typical <= 30:
        outcome = ClaimOutcome.BORNE_OUT
    else:
        outcome = ClaimOutcome.UNDECIDED
    detail = (
        f"{below} of {number} values are below the true one, the least by {least:.3g} %; the mean of a sketch is "
        f"{typical:.3g} % in the median, published 13 and 11.1"
    )
    return Judged(outcome, detail, f"means from {means.min():.3g} to {means.max():.3g} % over {len(errors)} sketches")


def definiteness(net: NetworkReadings) -> Judged | None:
    """Share of negative eigenvalues of the sketches of both sizes."""
    if not net.sketches:
        return None
    shares = {size: np.asarray([it.negative_share(size) for it in net.sketches]) for size in named.SIZES}
    typical = {size: float(np.median(found)) for size, found in shares.items()}
    outcomes = {at_most(value, 0.1, 0.25) for value in typical.values()}
    detail = "; ".join(f"{100 * typical[size]:.3g} % at size {size}" for size in named.SIZES)
    own = int((net.truth.top[: named.K] < -net.truth.bound).sum())
    spread = "; ".join(f"{100 * found.min():.3g} to {100 * found.max():.3g} %" for found in shares.values())
    detail += f" are negative, published 8 %; of the matrix's own first {named.K} by magnitude {own} are"
    return Judged(_joined(outcomes), detail, f"{spread} over {len(net.sketches)} draws")


def _joined(outcomes: set[ClaimOutcome]) -> ClaimOutcome:
    """Of several that must all bear out: refuted where one refutes, undecided where they differ otherwise."""
    if ClaimOutcome.REFUTED in outcomes:
        return ClaimOutcome.REFUTED
    return next(iter(outcomes)) if len(outcomes) == 1 else ClaimOutcome.UNDECIDED


def gain(net: NetworkReadings) -> Judged | None:
    """Mean absolute error at size 100 over that at size 50, column by column the same draw."""
    if not net.sketches:
        return None
    ratios = np.asarray([mean_error(it, 100) / mean_error(it, 50) for it in net.sketches])
    typical = float(np.median(ratios))
    before, after = (100 * float(np.median([mean_error(it, size) for it in net.sketches])) for size in named.SIZES)
    detail = (
        f"the mean absolute error falls from {before:.3g} to {after:.3g} %, times {typical:.2f} in the median of the "
        f"pairs; published 13 to 11.1, times .85; theory .5 to .71"
    )
    return Judged(
        at_least(typical, 0.8, 0.7), detail, f"{ratios.min():.2f} to {ratios.max():.2f} over {ratios.size} draws"
    )


def mean_error(drawn: DrawnSketch, size: int) -> float:
    """Mean absolute relative error of a sketch over the first 20."""
    return float(np.abs(drawn.signed_errors(size)).mean())


def by_rank(net: NetworkReadings) -> Judged | None:
    """Error at rank 20 over that at rank 1 by a line through the logarithms, both sizes with one slope."""
    if not net.sketches:
        return None
    table = np.abs(np.stack([[it.signed_errors(size) for size in named.SIZES] for it in net.sketches]))
    rng = np.random.default_rng(0)
    places = rng.integers(0, table.shape[0], (_DRAWS, table.shape[0]))
    drawn = np.asarray([_rank_ratio(table[row].mean(axis=0)) for row in places])
    ratio = _rank_ratio(table.mean(axis=0))
    low, high = np.quantile(drawn, [0.025, 0.975])
    detail = f"the error at rank {named.K} is {ratio:.2f} times that at rank 1 by the fitted line"
    return Judged(inside(ratio, float(low), float(high), 0.5, 1.0), detail, f"95 % from {low:.2f} to {high:.2f}")


def _rank_ratio(errors: Array) -> float:
    """Errors (sizes, ranks) at the last rank over the first, by one slope of their logarithms."""
    logs = np.log(np.maximum(errors, np.finfo(np.float64).tiny)).mean(axis=0)
    ranks = np.arange(logs.size)
    return float(np.exp(np.polyfit(ranks, logs, 1)[0] * ranks[-1]))


def inside(value: float, low: float, high: float, first: float, last: float) -> ClaimOutcome:
    """Judge a number by whether it lies from `first` to `last`; undecided where its interval does not agree.

    Args:
        value: The number; NaN decides nothing.
        low: Lower end of its interval.
        high: Upper end of its interval.
        first: Least value that bears the claim out.
        last: Largest value that does.
    """
    if first <= low and high <= last and first <= value <= last:
        return ClaimOutcome.BORNE_OUT
    return ClaimOutcome.REFUTED if high < first or low > last else ClaimOutcome.UNDECIDED


@dataclass(frozen=True)
class PowerSteps:
    """How power iteration came to each eigenvalue.

    Attributes:
        products: Spent on each, (20,).
        log_ratio: log |lambda_(i+1) / lambda_i|, (20,), NaN where the next one is not known.
        log_rate: Slope of the logarithm of the relative error in the products, (20,), NaN where there are too few.
    """

    products: Array
    log_ratio: Array
    log_rate: Array


def power_steps(run: TopRun) -> PowerSteps:
    """Read the products and the rate of each eigenvalue from a run of power iteration."""
    top = np.abs(run.truth.top)
    before = np.concatenate([[0.0], run.accepted[:-1]])
    products, rates = np.zeros(named.K), np.full(named.K, np.nan)
    for place in range(named.K):
        mine = np.flatnonzero(before == place)
        products[place] = mine.size
        if not mine.size:
            continue
        # Close eigenvalues are found out of order: what it came to is the one that its last value is nearest to.
        sizes = np.abs(run.current[mine])
        goal = top[int(np.argmin(np.abs(top - sizes[-1])))]
        errors = np.abs(sizes - goal) / goal
        seen = errors > 10 * run.truth.bound / goal
        steps = np.arange(mine.size)[seen]
        if steps.size >= 3:
            rates[place] = float(np.polyfit(steps, np.log(errors[seen]), 1)[0])
    ratios = np.full(named.K, np.nan)
    known = min(named.K, top.size - 1)
    ratios[:known] = np.log(top[1 : known + 1] / top[:known])
    return PowerSteps(products, ratios, rates)


def products_grow(net: NetworkReadings) -> Judged | None:
    """Rank correlation of the products that an eigenvalue took with its place."""
    if net.power is None:
        return None
    steps = power_steps(net.power).products
    taken = steps[steps > 0]
    if taken.size < 3:
        return None
    rho = _rank_correlation(taken)
    half = taken.size // 2
    detail = (
        f"rank correlation {rho:.2f} of the products with the place; {taken[:half].mean():.3g} products for one of the "
        f"first {half}, {taken[half:].mean():.3g} for one of the rest"
    )
    return Judged(at_least(rho, 0.5, 0.0), detail)


def _rank_correlation(values: Array) -> float:
    """Spearman's, of values with their places: that of Pearson of the ranks."""
    return float(np.corrcoef(np.arange(values.size), stats.rankdata(values))[0, 1])


def rate(net: NetworkReadings) -> Judged | None:
    """Slope of the logarithm of the error per product on log |lambda_(i+1) / lambda_i| over the eigenvalues."""
    if net.power is None:
        return None
    steps = power_steps(net.power)
    known = np.isfinite(steps.log_rate) & np.isfinite(steps.log_ratio)
    if known.sum() < 5:
        return None
    x, y = steps.log_ratio[known], steps.log_rate[known]
    rng = np.random.default_rng(0)
    places = rng.integers(0, x.size, (_DRAWS, x.size))
    drawn = np.asarray([np.polyfit(x[row], y[row], 1)[0] for row in places if np.ptp(x[row]) > 0])
    slope = float(np.polyfit(x, y, 1)[0])
    low, high = np.quantile(drawn, [0.025, 0.975])
    detail = f"slope {slope:.2f} over {x.size} eigenvalues; 2 in theory for a Rayleigh quotient, 1 for its vector"
    return Judged(inside(slope, float(low), float(high), 0.5, 2.0), detail, f"95 % from {low:.2f} to {high:.2f}")
