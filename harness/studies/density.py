"""Every estimator of the spectral density at equal products, over the synthetic registry and a small network."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch

from hessbench.catalog import Catalog, load_catalog
from hessbench.estimand import Array, Arrays, Density, Reference
from hessbench.estimand.density import spread_of
from hessbench.method import BoundMethod
from hessbench.operators import LinearOperator
from hessbench.problem import SYNTHETIC
from hessbench.reports.density.results import METRICS, CaseRuns, DensityResults
from hessbench.seeding import cell_seed, make_generator
from hessbench.studies.single_run import last_estimate

METHODS: Final = (
    "slq[steps=100]",
    "slq[reorth=none,steps=100]",
    "slq",
    "kpm",
    "kpm[bounds=tight]",
    "kpm[damping=lorentz]",
    "kpm[damping=lanczos]",
    "lanczos-density",
    "deflated-slq",
    "deflated-slq[by=simultaneous]",
    "self-deflated-slq",
    "krylov-aware-slq",
)
CAUCHY: Final = "student-t[df=1.0,signed=false,zero_fraction=0.9]"
NETWORK: Final = "mlp[data=mnist-7x7,recipe=momentum:0,run={run},step={step}]"


@dataclass(frozen=True)
class DensityCase:
    """A problem, or several draws of one: repeat r is run on draw r modulo their number."""

    name: str
    specs: tuple[str, ...]
    is_network: bool = False


@dataclass(frozen=True)
class DensityDesign:
    """What is run.

    Attributes:
        budget: Products of every run.
        methods: Specs.
        synthetic: Whether every preset of the synthetic families is among the problems.
        cases: Further problems.
        repeats: Seeds of each problem.
        shown: Names of the problems whose densities are drawn.
    """

    budget: int = 100
    methods: tuple[str, ...] = METHODS
    synthetic: bool = True
    cases: tuple[DensityCase, ...] = (
        DensityCase(CAUCHY, (CAUCHY,)),
        *(
            DensityCase(
                f"network, step {step}",
                tuple(NETWORK.replace("{run}", str(run)).replace("{step}", str(step)) for run in range(5)),
                is_network=True,
            )
            for step in (0, 10, 100, 500)
        ),
    )
    repeats: int = 10
    shown: tuple[str, ...] = (
        "wigner",
        "spectrum[name=spiked]",
        "student-t[zero_fraction=0.9]",
        CAUCHY,
        "network, step 0",
        "network, step 500",
    )


def run_density(design: DensityDesign, say: Callable[[str], None]) -> DensityResults:
    """Run every method on every problem from every seed, in float64; what cannot be built here is left out and said.

    Args:
        design: What is run.
        say: Told how it goes on.
    """
    begin = time.perf_counter()
    catalog = load_catalog()
    cases = (*(synthetic_cases(catalog) if design.synthetic else ()), *design.cases)
    found: list[CaseRuns] = []
    for case in cases:
        reason = catalog.problem(case.specs[0]).refusal
        if reason:
            say(f"{case.name} is left out: {reason}")
            continue
        found.append(_case(catalog, case, design))
        say(f"{case.name}: {time.perf_counter() - begin:.0f} s")
    shown = tuple(name for name in design.shown if any(case.name == name for case in found))
    return DensityResults(design.budget, design.methods, tuple(found), shown)


def synthetic_cases(catalog: Catalog) -> list[DensityCase]:
    """Every preset of the families whose matrices are made up."""
    specs = [str(selected.spec) for selected in catalog.problems.select("*")]
    return [DensityCase(spec, (spec,)) for spec in specs if SYNTHETIC in catalog.problem(spec).traits]


@dataclass(frozen=True)
class _BuiltDraw:
    operator: LinearOperator
    reference: Reference
    seeded_as: str


@dataclass(frozen=True)
class _ScoredRun:
    errors: dict[str, float]
    clipped: float
    escaped: bool
    reason: str
    rule: Arrays | None


def _case(catalog: Catalog, case: DensityCase, design: DensityDesign) -> CaseRuns:
    methods = {spec: catalog.method(spec, Density()) for spec in design.methods}
    draws: list[_BuiltDraw] = []
    for spec in case.specs[: design.repeats]:
        problem = catalog.problem(spec)
        operator = problem.build(torch.device("cpu"), torch.float64)
        draws.append(_BuiltDraw(operator, problem.references[Density](Density()), problem.name))
    runs = {
        spec: [_run(method, draws[repeat % len(draws)], repeat, design.budget) for repeat in range(design.repeats)]
        for spec, method in methods.items()
    }
    truth = draws[0].reference.arrays
    nodes, weights = truth["nodes"], truth["weights"]
    spread = spread_of(nodes, weights)
    metrics = [name for name in METRICS if any(name in run.errors for each in runs.values() for run in each)]
    return CaseRuns(
        name=case.name,
        is_network=case.is_network,
        outlier_reach=float(np.abs(nodes - nodes @ weights).max() / spread) if spread else 1.0,
        largest_atom=float(weights.max()),
        errors={spec: {name: _column(each, name) for name in metrics} for spec, each in runs.items()},
        clipped={spec: np.asarray([run.clipped for run in each]) for spec, each in runs.items()},
        escaped={spec: np.asarray([run.escaped for run in each]) for spec, each in runs.items()},
        reasons={spec: tuple(dict.fromkeys(run.reason for run in each if run.reason)) for spec, each in runs.items()},
        truth=dict(truth),
        rules={spec: first.rule for spec, (first, *_) in runs.items() if first.rule is not None},
    )


def _column(runs: list[_ScoredRun], name: str) -> Array:
    return np.asarray([run.errors.get(name, np.nan) for run in runs])


def _run(method: BoundMethod, draw: _BuiltDraw, repeat: int, budget: int) -> _ScoredRun:
    """One run, from the seed that every method has; without a density, why."""
    dim = draw.operator.dim
    generator = make_generator(cell_seed(draw.seeded_as, Density().spec, repeat))
    estimate = last_estimate(method, draw.operator, min(budget, dim), generator)
    said: dict[str, Any] = dict(estimate.diagnostics)
    escaped = int(said.get("bounded", 1)) > 1
    arrays = Density().to_arrays(estimate.value, dim)
    if not all(bool(np.isfinite(it).all()) for it in arrays.values()):
        return _ScoredRun({}, 0.0, escaped, str(said.get("reason", "not finite")), None)
    errors = Density().errors(arrays, draw.reference, "float64")
    if errors[Density.primary] <= Density().floor(draw.reference, "float64"):
        # No accuracy is claimed below the bound, which is the scale where all eigenvalues are equal.
        errors = dict.fromkeys(errors, 0.0)
    return _ScoredRun(errors, float(said.get("clipped", 0.0)), escaped, "", arrays)
