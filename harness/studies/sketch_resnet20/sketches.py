"""Nested sign sketches of the study, and the estimates of the trace beside them."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from hessbench.catalog import Catalog
from hessbench.clock import Stopwatch, wait_for
from hessbench.counting import CountingOperator
from hessbench.estimand import Density, Estimate, Trace
from hessbench.methods.probes import draw_signs
from hessbench.operators import FunctionOperator, LinearOperator
from hessbench.problem import Problem
from hessbench.problems.references.rows import ggn_rows
from hessbench.reports.sketch_resnet20 import named
from hessbench.seeding import cell_seed, make_generator
from hessbench.studies.single_run import last_yielded
from hessbench.studies.sketch_resnet20.networks import build_problem
from hessbench.studies.units import UnitCosts, UnitRecord, costs_of


def measure_sketches(record: UnitRecord, *, spec: str, repeats: range, device: str) -> None:
    """Draw the largest sketch in the blocks by which the sizes grow, and keep S^T A S.

    Args:
        record: Where they are kept.
        spec: Of the problem.
        repeats: Numbers of the draws.
        device: Where it runs.
    """
    _, problem, op = build_problem(spec, device, named.SIZES[-1], (named.SIZES[0],))
    for number, repeat in enumerate(repeats):
        generator = make_generator(cell_seed(problem.name, Trace().spec, repeat), op.device)
        counted = CountingOperator(op, named.SIZES[-1])
        signs = draw_signs(op.dim, named.SIZES[-1], op, generator)
        blocks: list[torch.Tensor] = []
        seconds: list[list[float]] = []
        spent, begin = 0.0, 0
        gram = np.zeros((0, 0))
        for size in named.SIZES:
            watch = Stopwatch()
            watch.start()
            blocks.append(counted.matmat(signs[:, begin:size].contiguous()).detach())
            wait_for(op.device)
            spent, begin = spent + watch.seconds, size
            watch = Stopwatch()
            watch.start()
            gram = (signs[:, :size].T @ torch.cat(blocks, dim=1)).double().cpu().numpy()
            gram = (gram + gram.T) / 2
            np.linalg.eigvalsh(gram)
            seconds.append([size, spent, watch.seconds])
        record.keep(f"sketch {number} gram", gram)
        record.keep(f"sketch {number} seconds", np.asarray(seconds))
        costs = costs_of(counted, spent + seconds[-1][2])
        record.add(named.DRAWN, float(np.diagonal(gram).mean()), problem=problem.name, method=named.SKETCH, costs=costs)


def measure_traces(
    record: UnitRecord, *, spec: str, method: str, budgets: tuple[int, ...], repeats: range, device: str
) -> None:
    """Estimate the trace by a method; of a density its starts are kept too.

    Args:
        record: Where they are kept.
        spec: Of the problem.
        method: Of the method.
        budgets: Products; each is a run.
        repeats: Numbers of the runs.
        device: Where it runs.
    """
    catalog, problem, op = build_problem(spec, device, budgets[-1])
    for repeat in repeats:
        for budget in budgets:
            found, costs = _trace(catalog, problem, op, method, budget, repeat)
            value = found.also[Trace].value if Trace in found.also else found.value
            record.add(named.TRACE, float(value), problem=problem.name, method=method, costs=costs)
            if Trace in found.also and found.starts is not None:
                _keep_starts(record, problem, method, found)


def _keep_starts(record: UnitRecord, problem: Problem, method: str, found: Estimate) -> None:
    nodes, weights = (np.asarray(part) for part in found.value)
    starts = np.asarray(found.starts)
    for start in range(int(starts.max()) + 1):
        mine = starts == start
        number = sum(row["measure"] == named.MASS for row in record.rows)
        record.keep(f"start {number}", np.stack([nodes[mine], weights[mine] / weights[mine].sum()]))
        record.add(named.MASS, float(start), problem=problem.name, method=method)


def measure_ggn_traces(record: UnitRecord, *, spec: str, repeats: range) -> None:
    """Estimate the trace of a GGN by three methods at both sizes, in pairs of draws.

    Its products are by the rows of its factor, which are made once: B^T (B X) with B (N C, n).

    Args:
        record: Where they are kept.
        spec: Of the problem.
        repeats: Numbers of the draws.

    Raises:
        ValueError: If the problem is no GGN of a network.
    """
    catalog, problem, made = build_problem(spec, "cpu", 1)
    finder = problem.finder(Trace)
    network: Any = problem.network() if problem.network is not None else None
    if finder is None or network is None:
        raise ValueError(f"spec must be that of a GGN of a network, got {spec}")
    record.add(named.TRACE, float(finder(Trace()).arrays["trace"][0]), problem=problem.name, method="reference")
    rows = ggn_rows(network.to(torch.device("cpu"), torch.float32))
    factor = torch.empty(len(rows), made.dim)
    for start in range(0, len(rows), 64):
        stop = min(start + 64, len(rows))
        factor[start:stop] = rows.make(start, stop)
    op = FunctionOperator(lambda block: factor.T @ (factor @ block), made.dim)
    for repeat in repeats:
        for method in (named.HUTCHINSON, named.HUTCHPP, named.XNYSTRACE):
            for budget in named.SIZES:
                found, costs = _trace(catalog, problem, op, method, budget, repeat)
                record.add(named.TRACE, float(found.value), problem=problem.name, method=method, costs=costs)


def _trace(
    catalog: Catalog, problem: Problem, op: LinearOperator, method: str, budget: int, repeat: int
) -> tuple[Estimate, UnitCosts]:
    """The last estimate of a run within a budget, and what it cost."""
    estimand = Density() if method == named.SLQ else Trace()
    bound = catalog.method(method, estimand).on(problem)
    generator = make_generator(cell_seed(problem.name, Trace().spec, repeat), op.device)
    counted = CountingOperator(op, budget)
    watch = Stopwatch()
    watch.start()
    last = last_yielded(bound, counted, budget, generator).resolve(lambda kind: kind is Trace)
    wait_for(op.device)
    watch.pause()
    return last, costs_of(counted, watch.seconds)
