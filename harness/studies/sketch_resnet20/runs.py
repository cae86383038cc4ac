"""Runs of a method of first eigenvalues with a checkpoint wherever it yields, on a clock that stops for reading."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, cast

import numpy as np
import torch

from hessbench.catalog import Catalog
from hessbench.clock import Stopwatch, wait_for
from hessbench.counting import BudgetExceeded, CountingOperator
from hessbench.estimand import Array, Density, Estimate, TopEigenvalues, Trace
from hessbench.methods.probes import draw_normal, draw_signs
from hessbench.operators import LinearOperator
from hessbench.problem import Problem
from hessbench.reports.sketch_resnet20 import named
from hessbench.seeding import cell_seed, make_generator
from hessbench.studies.sketch_resnet20.networks import build_problem
from hessbench.studies.units import UnitRecord, costs_of

TOP: Final = TopEigenvalues(named.K)


def measure_runs(
    record: UnitRecord, *, spec: str, method: str, budgets: tuple[int, ...], repeats: range, device: str
) -> None:
    """Run a method from several starts, and keep its first 20 wherever it yields.

    Args:
        record: Where they are kept.
        spec: Of the problem.
        method: Of the method.
        budgets: Most products; a method that is not anytime is run once for each, another to the largest.
        repeats: Numbers of the starts.
        device: Where it runs.
    """
    catalog, problem, op = build_problem(spec, device, budgets[-1])
    anytime = method != named.SHARED and catalog.method(method, TOP).method.is_anytime
    for repeat in repeats:
        for budget in budgets[-1:] if anytime else budgets:
            _measure(record, catalog, problem, op, method, budget, repeat)


def measure_lanczos(
    record: UnitRecord, *, spec: str, method: str, budgets: tuple[int, ...], repeats: range, device: str
) -> None:
    """Run Lanczos from one start after another, each to a budget of its own.

    Args:
        record: Where they are kept.
        spec: Of the problem.
        method: Of the method.
        budgets: Most products of each start.
        repeats: Numbers of the starts.
        device: Where it runs.
    """
    catalog, problem, op = build_problem(spec, device, max(budgets))
    for repeat, budget in zip(repeats, budgets, strict=True):
        _measure(record, catalog, problem, op, method, budget, repeat)


def _measure(
    record: UnitRecord, catalog: Catalog, problem: Problem, op: LinearOperator, method: str, budget: int, repeat: int
) -> None:
    counted = CountingOperator(op, budget)
    generator = make_generator(cell_seed(problem.name, TOP.spec, repeat), op.device)
    checkpoints: list[list[float]] = []
    values: list[Array] = []
    # A method that is not anytime does its work where it is called.
    watch = Stopwatch()
    watch.start()
    estimates = (
        iter([shared_range(counted, budget, generator)])
        if method == named.SHARED
        else _estimates(catalog.method(method, TOP).on(problem).run(counted, budget, generator))
    )
    try:
        for estimate in estimates:
            wait_for(op.device)
            watch.pause()
            seconds, own = watch.seconds, watch.seconds - counted.spending.operator_s
            found = estimate.resolve(lambda kind: kind in (Density, Trace))
            row = np.full(named.K, np.nan)
            ranked = TOP.to_arrays(found.value, op.dim)["eigenvalues"]
            row[: ranked.size] = ranked
            values.append(row)
            accepted = float(found.diagnostics.get("accepted", np.nan))
            current = float(np.asarray(found.value)[-1]) if np.isfinite(accepted) else np.nan
            checkpoints.append([counted.matvecs, seconds, own, _trace(found, op.dim), accepted, current])
            watch.start()
    except BudgetExceeded:
        if not values:
            raise
    number = sum(row["measure"] == named.RUN for row in record.rows)
    record.keep(f"run {number} checkpoints", np.asarray(checkpoints))
    record.keep(f"run {number} values", np.stack(values))
    costs = costs_of(counted, float(checkpoints[-1][1]))
    record.add(named.RUN, float(values[-1][0]), problem=problem.name, method=method, costs=costs)


def _estimates(result: object) -> Iterator[Estimate]:
    return iter([result]) if isinstance(result, Estimate) else cast("Iterator[Estimate]", result)


def _trace(found: Estimate, dim: int) -> float:
    """The trace that the same run gives: by its own quadrature, or beside its values."""
    if Trace in found.also:
        return float(found.also[Trace].value)
    if Density in found.also:
        nodes, weights = found.also[Density].value
        return float(dim * (np.asarray(nodes) @ np.asarray(weights)))
    return float("nan")


def shared_range(op: CountingOperator, num_matvecs: int, generator: torch.Generator) -> Estimate:
    """First eigenvalues by a range finder, and the trace by Hutch++ from the same products.

    Args:
        op: Symmetric operator of dimension n.
        num_matvecs: Products m, at least 40: w = max(20, m // 3) sketch the range, w more are of its basis Q, and the
            m - 2 w left are of signs projected off it.
        generator: Source of the probes.

    Returns:
        Eigenvalues of Q^T A Q, and in `also` the trace of it and of the rest.
    """
    width = max(named.K, num_matvecs // 3)
    basis = torch.linalg.qr(op.matmat(draw_normal(op.dim, width, op, generator))).Q.contiguous()
    signs = draw_signs(op.dim, num_matvecs - 2 * width, op, generator)
    block = torch.cat([basis, signs - basis @ (basis.T @ signs)], dim=1)
    image = op.matmat(block)
    small = (basis.T @ image[:, :width]).double().cpu()
    values = torch.linalg.eigvalsh((small + small.T) / 2).numpy()
    rest = torch.linalg.vecdot(block[:, width:], image[:, width:], dim=0).double().mean() if signs.shape[1] else 0.0
    return Estimate(values, also={Trace: Estimate(float(small.trace()) + float(rest))})
