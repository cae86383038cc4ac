"""What was measured, by network: the truth, runs with a checkpoint at every product, and sketches."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import cast

import numpy as np

from hessbench.estimand.base import Array
from hessbench.ledger.stopping import TOLERANCE, leading_errors, stopping_count
from hessbench.reports.claims.measured import Measured
from hessbench.reports.sketch_resnet20.named import DRAWN, POWER, RUN, TRUTH, K


@dataclass(frozen=True)
class TopTruth:
    """Certified eigenvalues of a network's matrix in order of magnitude, and its trace.

    Attributes:
        top: The first 20, or more where they are known.
        bound: Within which they are known, the rounding of products in float32 included.
        trace: The trace.
        abs_sum: Sum of all magnitudes, or an estimate of it.
        dim: Dimension of the matrix.
    """

    top: Array
    bound: float
    trace: float
    abs_sum: float
    dim: int


@dataclass(frozen=True)
class TopRun:
    """A run whose values were read after every product, or every block of them.

    Attributes:
        method: Spec.
        repeat: Number of the start.
        products: Spent at each checkpoint, (m,).
        values: Eigenvalues in order of magnitude, NaN where one is missing, (m, 20).
        seconds: Of the run so far, (m,); the values of a checkpoint are found off this clock.
        own: Of these, those outside of products, (m,).
        traces: The trace by the same run, (m,); NaN where it has none.
        accepted: Eigenvalues that power iteration had accepted, (m,); NaN elsewhere.
        current: The quotient that it had reached, (m,); NaN elsewhere.
        truth: What it is compared with.
    """

    method: str
    repeat: int
    products: Array
    values: Array
    seconds: Array
    own: Array
    traces: Array
    accepted: Array
    current: Array
    truth: TopTruth

    def errors(self, k: int = K) -> Array:
        """Largest relative error of the first k at each checkpoint, (m,)."""
        return leading_errors(self.values, self.truth.top, k, self.truth.bound)

    def stop(self, k: int = K, tolerance: float = TOLERANCE) -> float:
        """Products from which the error of the first k stays within the tolerance; inf where it does not."""
        return stopping_count(self.products, self.errors(k), tolerance)

    def place(self, products: int) -> int:
        """The last checkpoint within a number of products.

        Raises:
            ValueError: If there is none.
        """
        within = np.flatnonzero(self.products <= products)
        if not within.size:
            raise ValueError(f"products must be at least {self.products[0]:g}, got {products}")
        return int(within[-1])


@dataclass(frozen=True)
class DrawnSketch:
    """S^T A S of one draw of signs S, before it is divided by its size; a smaller sketch is its leading block.

    Attributes:
        repeat: Number of the draw.
        gram: S^T A S, (m, m).
        product_s: Seconds of the products of the first 50 columns, and of all.
        own_s: Seconds of the inner products and eigenvalues, likewise.
        truth: What it is compared with.
    """

    repeat: int
    gram: Array
    product_s: dict[int, float]
    own_s: dict[int, float]
    truth: TopTruth

    def eigenvalues(self, size: int) -> Array:
        """Those of the sketch of a size, in order of magnitude."""
        found = np.asarray(np.linalg.eigvalsh(self.gram[:size, :size] / size), dtype=np.float64)
        return found[np.argsort(-np.abs(found), kind="stable")]

    def signed_errors(self, size: int) -> Array:
        """Relative errors of the magnitudes of the first 20, positive where they are too large; (20,), or fewer."""
        found, truth = np.abs(self.eigenvalues(size)[:K]), np.abs(self.truth.top[:K])
        return (found - truth[: found.size]) / truth[: found.size]

    def trace(self, size: int) -> float:
        """Trace of the sketch of a size, Hutchinson's estimate from as many signs."""
        return float(np.diagonal(self.gram)[:size].mean())

    def negative_share(self, size: int) -> float:
        """Share of the eigenvalues of the sketch of a size that are negative beyond the bound of the reference."""
        return float((self.eigenvalues(size) < -self.truth.bound).mean())


@dataclass(frozen=True)
class NetworkReadings:
    """All that was measured of one network."""

    problem: str
    truth: TopTruth
    runs: tuple[TopRun, ...]
    sketches: tuple[DrawnSketch, ...]

    def runs_of(self, method: str) -> tuple[TopRun, ...]:
        """Runs of a method, by start."""
        return tuple(run for run in self.runs if run.method == method)

    @property
    def power(self) -> TopRun | None:
        """The run of power iteration, if there is one."""
        return next(iter(self.runs_of(POWER)), None)


def networks(measured: Measured) -> tuple[NetworkReadings, ...]:
    """Readings of every network whose truth was measured, in that order."""
    found: list[NetworkReadings] = []
    for problem, unit in _units(measured, TRUTH):
        top, facts = measured.array(unit, "top"), measured.array(unit, "facts")
        truth = TopTruth(top, float(facts[0]), float(facts[1]), float(facts[2]), int(facts[3]))
        runs = tuple(_run(measured, at, truth) for at in _places(measured, RUN, problem))
        drawn = tuple(_sketch(measured, at, truth) for at in _places(measured, DRAWN, problem))
        found.append(NetworkReadings(problem, truth, runs, drawn))
    return tuple(found)


def network(measured: Measured, problem: str) -> NetworkReadings | None:
    """Readings of one network; None where its truth was not measured."""
    return next((it for it in networks(measured) if it.problem == problem), None)


def _run(measured: Measured, at: _Place, truth: TopTruth) -> TopRun:
    table = measured.array(at.unit, f"run {at.number} checkpoints")
    values = measured.array(at.unit, f"run {at.number} values")
    products, seconds, own, traces, accepted, current = table.T
    return TopRun(at.method, at.repeat, products, values, seconds, own, traces, accepted, current, truth)


def _sketch(measured: Measured, at: _Place, truth: TopTruth) -> DrawnSketch:
    spent = measured.array(at.unit, f"sketch {at.number} seconds")
    sizes = [int(size) for size in spent[:, 0]]
    products = dict(zip(sizes, spent[:, 1].tolist(), strict=True))
    own = dict(zip(sizes, spent[:, 2].tolist(), strict=True))
    return DrawnSketch(at.repeat, measured.array(at.unit, f"sketch {at.number} gram"), products, own, truth)


def _units(measured: Measured, measure: str) -> list[tuple[str, str]]:
    rows = measured.select(measure)
    return list(dict.fromkeys(zip(texts(rows["problem"]), texts(rows["unit"]), strict=True)))


def _places(measured: Measured, measure: str, problem: str) -> list[_Place]:
    rows = measured.select(measure, problem)
    in_unit: Counter[str] = Counter()
    of_method: Counter[str] = Counter()
    found: list[_Place] = []
    for unit, method in zip(texts(rows["unit"]), texts(rows["method"]), strict=True):
        found.append(_Place(unit, method, in_unit[unit], of_method[method]))
        in_unit[unit] += 1
        of_method[method] += 1
    return found


@dataclass(frozen=True)
class _Place:
    """Where a run is kept: the unit, its number among those of the unit, and among those of its method."""

    unit: str
    method: str
    number: int
    repeat: int


def texts(column: object) -> list[str]:
    """A column of texts as a list."""
    return [str(value) for value in cast("Iterable[object]", column)]
