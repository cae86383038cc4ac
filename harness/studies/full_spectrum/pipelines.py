"""The document's algorithms on an exact spectrum, behind a fast rotation: what a random start sees is that alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch

from hessbench.counting import CountingOperator
from hessbench.estimand import Density, Estimate
from hessbench.estimand.base import Array
from hessbench.estimand.density import bulk_of, spread_of, wasserstein1
from hessbench.methods.density.deflation import deflate
from hessbench.methods.density.normalisation import normalise, outside_share
from hessbench.methods.krylov.lockstep import lanczos_lockstep
from hessbench.methods.krylov.tridiagonal import quadrature
from hessbench.operators import LinearOperator
from hessbench.problems.spectra.rotation import rotated_operator
from hessbench.reports.full_spectrum import method_verdicts as names
from hessbench.reports.full_spectrum.groups import CLASSES
from hessbench.seeding import derive_seed, make_generator
from hessbench.studies.full_spectrum.networks import catalog
from hessbench.studies.single_run import last_estimate
from hessbench.studies.units import UnitCosts, UnitRecord
from hessbench.transforms import deflated

TOTALS: Final = (80, 160, 320, 640)
"""Totals of products at which the pipelines stand side by side."""

STEPS: Final = 256
_LANCZOS: Final = 40
_SIMULTANEOUS: Final = 10 * 4
_GHOST: Final = 1e-10
_SAME: Final = 1e-6


@dataclass(frozen=True)
class Pipeline:
    """A way to a density that spends a total of products."""

    name: str
    run: Callable[[LinearOperator, int, torch.Generator], Estimate]


def measure_pipelines(record: UnitRecord, problem: str, values: Array, run: int) -> None:
    """Every pipeline at every total, the C values by both deflations, and Lanczos without reorthogonalisation.

    Args:
        record: Takes it down.
        problem: Name for the rows.
        values: Exact eigenvalues.
        run: Number of the training, of which the starts are drawn.
    """
    op = rotated_operator(values, derive_seed("full-spectrum rotation", problem, str(run)), *HOST)
    exact = np.sort(values)
    for total in TOTALS:
        score_pipelines(record, problem, op, exact, run, total, PIPELINES)
    score_pipelines(record, problem, op, exact, run, names.LONG_BUDGET, (PIPELINES[0], _DOCUMENT))
    for by, products in (("lanczos", _LANCZOS), ("simultaneous", CLASSES * STEPS)):
        found = deflate(op, by, CLASSES, products, start_generator(problem, run))
        record.add(f"outlier-error by {products}", _outlier_error(found.values, exact), problem=problem, method=by)
    _without_reorthogonalisation(record, problem, op, exact, run)


def score_pipelines(
    record: UnitRecord,
    problem: str,
    op: LinearOperator,
    exact: Array,
    run: int,
    total: int,
    pipelines: tuple[Pipeline, ...],
) -> None:
    """Errors of some pipelines at one total: W1 of everything and of the bulk, and of the C outliers.

    Args:
        record: Takes them down.
        problem: Name for the rows.
        op: The operator.
        exact: Its eigenvalues, ascending (n,), all of them.
        run: Number of the training, of which the starts are drawn.
        total: Products.
        pipelines: Which.
    """
    for pipeline in pipelines:
        counted = CountingOperator(op, total)
        estimate = pipeline.run(counted, total, start_generator(problem, run)).resolve(lambda _: False)
        whole, bulk = density_errors(estimate.value, exact)
        costs = UnitCosts(num_matvecs=counted.matvecs)
        found = [("w1", whole), ("bulk-w1", bulk)]
        read = _values_of(pipeline, estimate)
        if read is not None:
            found += [("outlier-error", _outlier_error(read, exact)), ("outlier-distance", _distance(read, exact))]
        for measure, value in found:
            record.add(names.at_budget(measure, total), value, problem=problem, method=pipeline.name, costs=costs)
        if total in (names.BUDGET, names.LONG_BUDGET):
            order = np.argsort(np.asarray(estimate.value[0]))
            record.keep(f"density {pipeline.name} {total}", np.stack([np.asarray(it)[order] for it in estimate.value]))


def density_errors(value: tuple[Array, Array], exact: Array) -> tuple[float, float]:
    """W1 over the mean distance to the mean, of the whole and of the bulk without C / n of either mass.

    Args:
        value: Nodes and weights; NaN where there is no density.
        exact: Eigenvalues, ascending.
    """
    nodes, weights = (np.asarray(part, dtype=np.float64) for part in value)
    if not (np.isfinite(nodes).all() and np.isfinite(weights).all()):
        return float("nan"), float("nan")
    order = np.argsort(nodes, kind="stable")
    nodes, weights = nodes[order], weights[order]
    mass = np.full(exact.size, 1 / exact.size)
    share = CLASSES / exact.size
    truth, rest = bulk_of(exact, mass, share)
    ours, left = bulk_of(nodes, weights, share)
    whole = wasserstein1(nodes, weights, exact, mass) / spread_of(exact, mass)
    return whole, wasserstein1(ours, left, truth, rest) / spread_of(truth, rest)


def measure_intervals(record: UnitRecord, problem: str, matrix: str, values: Array, run: int) -> None:
    """Intervals from 20 starts, 100 for five trainings, by both readings of the margin: how many miss, and by how much.

    Args:
        record: Takes them down.
        problem: Name of the network's group.
        matrix: H, G or R.
        values: Exact eigenvalues.
        run: Number of the training.
    """
    op = rotated_operator(values, derive_seed("full-spectrum interval", problem, matrix, str(run)), *HOST)
    bound = values.size * 2.0**-52 * float(np.abs(values).max())
    for margins in ("recurrence", "explicit"):
        generator = make_generator(derive_seed("full-spectrum interval starts", problem, matrix, margins, str(run)))
        beyond = np.empty(names.STARTS)
        for start in range(names.STARTS):
            found = normalise(op, generator=generator, margins=margins)
            beyond[start] = outside_share(values, found.low, found.high, bound)
        where = f"{problem}, {matrix}"
        record.add("interval-misses", int((beyond > 0).sum()), problem=where, method=margins)
        record.add("interval-starts", names.STARTS, problem=where, method=margins)
        record.add("interval-worst", float(beyond.max()), problem=where, method=margins)


def _without_reorthogonalisation(record: UnitRecord, problem: str, op: LinearOperator, exact: Array, run: int) -> None:
    start = torch.randn(op.dim, 1, generator=start_generator(problem, run), dtype=torch.float64)
    errors: dict[str, float] = {}
    failures = 0
    copies = 0
    for reorth in ("none", "full"):
        ((alphas, betas),) = lanczos_lockstep(op, start, STEPS, reorth=reorth)
        try:
            nodes, weights = quadrature(alphas, betas)
        except np.linalg.LinAlgError:
            failures += 1
            continue
        errors[reorth] = density_errors((nodes, weights), exact)[0]
        failures += int(np.isnan(errors[reorth]))
        if reorth == "none":
            copies = int((np.diff(np.sort(nodes)) <= _GHOST * float(np.abs(nodes).max())).sum())
    record.add("solver-failures", failures, problem=problem)
    record.add("ghosts", copies, problem=problem)
    ratio = errors["none"] / errors["full"] if len(errors) == 2 else float("nan")
    record.add("none-over-full", ratio, problem=problem)


def _method(spec: str) -> Callable[[LinearOperator, int, torch.Generator], Estimate]:
    def run(op: LinearOperator, total: int, generator: torch.Generator) -> Estimate:
        return last_estimate(catalog().method(spec, Density()), op, min(total, 10**9), generator)

    return run


def _deflated(by: str, products: int, normalised: str) -> Callable[[LinearOperator, int, torch.Generator], Estimate]:
    def run(op: LinearOperator, total: int, generator: torch.Generator) -> Estimate:
        share = (products + 0.5) / total
        spec = f"lanczos-density[by={by},deflation={CLASSES},normalised={normalised},share={share!r}]"
        found = last_estimate(catalog().method(spec, Density()), op, total, generator)
        return _by_points(found)

    return run


def _kpm_deflated(op: LinearOperator, total: int, generator: torch.Generator) -> Estimate:
    found = deflate(op, "lanczos", CLASSES, _LANCZOS, generator)
    values = torch.as_tensor(found.values, dtype=op.dtype, device=op.device)
    rest = deflated(op, found.vectors, values)
    kpm = last_estimate(catalog().method("kpm", Density()), rest, total - found.spent, generator)
    nodes, weights = (np.asarray(part) for part in kpm.value)
    n, taken = op.dim, np.full(CLASSES, 1 / op.dim)
    # What is left has C zeros more, which the document leaves in too.
    return _by_points(
        Estimate((np.concatenate([found.values, nodes]), np.concatenate([taken, weights * (1 - CLASSES / n)])))
    )


def _values_of(pipeline: Pipeline, estimate: Estimate) -> Array | None:
    """What a pipeline says the outliers are: the values taken out, or else distinct Ritz values; None where neither."""
    if estimate.diagnostics.get("by-points"):
        return np.asarray(estimate.value[0])[:CLASSES]
    if pipeline.name == names.PLAIN and estimate.rule is not None:
        return _distinct(np.asarray(estimate.rule[0]))
    return None


def _distance(values: Array, exact: Array) -> float:
    """Largest relative distance of one of the C first to the nearest value, however many others there are."""
    truth = exact[::-1][:CLASSES]
    return float((np.abs(values[:, None] - truth).min(axis=0) / truth).max())


def _by_points(found: Estimate) -> Estimate:
    return Estimate(found.value, diagnostics={**found.diagnostics, "by-points": 1}, rule=found.rule)


def _outlier_error(values: Array, exact: Array) -> float:
    """Largest relative error of the C first, in algebraic order."""
    found = np.sort(values)[::-1][:CLASSES]
    truth = exact[::-1][:CLASSES]
    padded = np.zeros(CLASSES)
    padded[: found.size] = found
    return float((np.abs(padded - truth) / truth).max())


def _distinct(values: Array) -> Array:
    """Ritz values without copies, which would count as outliers twice."""
    ordered = np.sort(values)
    new = np.diff(ordered, prepend=-np.inf) > _SAME * float(np.abs(values).max())
    return ordered[new]


def start_generator(problem: str, run: int) -> torch.Generator:
    """The same start for every pipeline."""
    return make_generator(derive_seed("full-spectrum start", problem, str(run)))


HOST: Final = (torch.device("cpu"), torch.float64)
_DOCUMENT: Final = Pipeline(names.BY_DOCUMENT, _deflated("simultaneous", CLASSES * STEPS, "whole"))
PIPELINES: Final = (
    Pipeline(names.PLAIN, _method("lanczos-density")),
    Pipeline(names.BY_LANCZOS, _deflated("lanczos", _LANCZOS, "whole")),
    Pipeline(names.BY_SIMULTANEOUS, _deflated("simultaneous", _SIMULTANEOUS, "whole")),
    Pipeline(names.REST, _deflated("lanczos", _LANCZOS, "rest")),
    Pipeline(names.KPM, _method("kpm")),
    Pipeline(names.KPM_DEFLATED, _kpm_deflated),
    Pipeline(names.SLQ, _method("slq[steps=64]")),
)
"""Side by side at equal totals; the first is that without deflation."""
