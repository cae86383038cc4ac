"""First eigenvalues and trace together: what each pair of methods costs, and how wrong both answers are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from hessbench.estimand.base import Array
from hessbench.reports.claims.measured import Measured
from hessbench.reports.sketch_resnet20 import named
from hessbench.reports.sketch_resnet20.readings import NetworkReadings, TopRun

SKETCH_50: Final = "sketch 50"
CONTENDERS: Final = (SKETCH_50, "lanczos 50 + hutchinson 50", "lanczos 50, own trace", "shared range 50")
"""What the document's claim is judged among: its sketch, its two methods apart, and two that share their products."""


@dataclass(frozen=True)
class AnsweredPair:
    """First eigenvalues and trace from the repeats of one pair of methods.

    Attributes:
        name: Of the pair, with their budgets.
        top: Method of the eigenvalues.
        trace: Method of the trace; the same where one run answers both.
        products: Spent by both, (r,).
        seconds: Taken by both, (r,).
        top_error: Largest relative error of the first 20, (r,).
        trace_error: Error of the trace over the sum of all magnitudes, (r,).
    """

    name: str
    top: str
    trace: str
    products: Array
    seconds: Array
    top_error: Array
    trace_error: Array


@dataclass(frozen=True)
class _Answer:
    """One answer of one repeat: its products, seconds and error."""

    products: float
    seconds: float
    error: float


def pairs_of(measured: Measured, net: NetworkReadings) -> tuple[AnsweredPair, ...]:
    """Every pair that was measured on a network: those that share their products first, then each with each."""
    tops, traces = _tops(net), _traces(measured, net)
    found = [*_joint(net)]
    for top, answers in tops.items():
        for trace, others in traces.items():
            number = min(len(answers), len(others))
            both = list(zip(answers[:number], others[:number], strict=True))
            found.append(
                AnsweredPair(
                    f"{top} + {trace}",
                    top,
                    trace,
                    np.asarray([a.products + b.products for a, b in both]),
                    np.asarray([a.seconds + b.seconds for a, b in both]),
                    np.asarray([a.error for a, _ in both]),
                    np.asarray([b.error for _, b in both]),
                )
            )
    return tuple(found)


def on_the_front(name: str, pairs: tuple[AnsweredPair, ...], draws: int = 2000, seed: int = 0) -> tuple[float, str]:
    """How often a pair is on the Pareto front of seconds and both errors when the repeats are drawn again.

    Args:
        name: The pair.
        pairs: It and the others.
        draws: Times the repeats of every pair are drawn again; medians are compared.
        seed: Seed of the drawing.

    Returns:
        The share, and the pairs that are no worse in all three by their medians and better in one, joined by commas.
    """
    rng = np.random.default_rng(seed)
    own = next(it for it in pairs if it.name == name)
    mine = _drawn(own, rng, draws)
    off = np.zeros(draws, dtype=bool)
    ahead: list[str] = []
    for other in pairs:
        if other.name != name:
            theirs = _drawn(other, rng, draws)
            off |= (theirs <= mine).all(axis=0) & (theirs < mine).any(axis=0)
            if bool((_medians(other) <= _medians(own)).all() and (_medians(other) < _medians(own)).any()):
                ahead.append(other.name)
    return float(1 - off.mean()), ", ".join(ahead)


def _table(pair: AnsweredPair) -> Array:
    return np.stack([pair.seconds, pair.top_error, pair.trace_error])


def _medians(pair: AnsweredPair) -> Array:
    return np.asarray(np.median(_table(pair), axis=1))


def _drawn(pair: AnsweredPair, rng: np.random.Generator, draws: int) -> Array:
    table = _table(pair)
    places = rng.integers(0, table.shape[1], (draws, table.shape[1]))
    return np.asarray(np.median(table[:, places], axis=2))


def _tops(net: NetworkReadings) -> dict[str, list[_Answer]]:
    """Answers about the first 20 by method and budget."""
    found: dict[str, list[_Answer]] = {}
    for run in net.runs:
        if run.method == named.POWER:
            found.setdefault("power iteration", []).append(_at(run, int(run.products[-1])))
        for method, name, budgets in (
            (named.LANCZOS, "lanczos", (50, 100)),
            (named.REFINED, named.REFINED, (50, 100)),
            (named.RANGE, named.RANGE, (50, 100)),
        ):
            if run.method == method:
                for budget in budgets:
                    if run.products[0] <= budget <= run.products[-1] + 1 and (
                        method != named.RANGE or run.products[-1] == budget
                    ):
                        found.setdefault(f"{name} {budget}", []).append(_at(run, budget))
    return found


def _at(run: TopRun, budget: int) -> _Answer:
    place = run.place(budget)
    return _Answer(float(run.products[place]), float(run.seconds[place]), float(run.errors()[place]))


def _traces(measured: Measured, net: NetworkReadings) -> dict[str, list[_Answer]]:
    """Answers about the trace by method and budget."""
    found = {
        f"hutchinson {size}": [
            _Answer(size, it.product_s[size], _trace_error(net, it.trace(size))) for it in net.sketches
        ]
        for size in named.SIZES
        if net.sketches
    }
    for method in (named.HUTCHPP, named.SLQ):
        rows = measured.select(named.TRACE, net.problem, method)
        for value, products, seconds in zip(
            rows["value"].tolist(), rows["num_matvecs"].tolist(), rows["seconds"].tolist(), strict=True
        ):
            short = method.partition("[")[0]
            answer = _Answer(products, seconds, _trace_error(net, value))
            found.setdefault(f"{short} {products:g}", []).append(answer)
    return found


def _joint(net: NetworkReadings) -> list[AnsweredPair]:
    """Those whose products answer both."""
    found: list[AnsweredPair] = []
    for size in named.SIZES if net.sketches else ():
        answers = [
            _Answer(float(size), it.product_s[size] + it.own_s[size], float(np.abs(it.signed_errors(size)).max()))
            for it in net.sketches
        ]
        found.append(_both(net, f"sketch {size}", answers, [it.trace(size) for it in net.sketches]))
    runs = [run for run in net.runs_of(named.LANCZOS) if run.products[-1] >= 50]
    if runs:
        traces = [float(run.traces[run.place(50)]) for run in runs]
        found.append(_both(net, "lanczos 50, own trace", [_at(run, 50) for run in runs], traces))
    for size in named.SIZES:
        shared = [run for run in net.runs if run.method == named.SHARED and run.products[-1] == size]
        if shared:
            traces = [float(run.traces[-1]) for run in shared]
            found.append(_both(net, f"shared range {size}", [_at(run, size) for run in shared], traces))
    return found


def _both(net: NetworkReadings, name: str, answers: list[_Answer], traces: list[float]) -> AnsweredPair:
    """What the repeats of one run answer: its first eigenvalues, and the traces beside them."""
    return AnsweredPair(
        name,
        name,
        name,
        np.asarray([it.products for it in answers]),
        np.asarray([it.seconds for it in answers]),
        np.asarray([it.error for it in answers]),
        np.asarray([_trace_error(net, trace) for trace in traces]),
    )


def _trace_error(net: NetworkReadings, trace: float) -> float:
    return abs(trace - net.truth.trace) / net.truth.abs_sum
