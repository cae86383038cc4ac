"""The calibration study, computed: how often the interval of every method that claims a standard error holds the truth.

It crosses problems with methods, so it stands with the command line, the only place that knows both. Matrices are
small and dense, so that hundreds of seeds of every method cost seconds; all methods of a problem start from the same
seeds.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

import numpy as np
import torch
from scipy.special import ndtri
from torch import Tensor

from hessbench.catalog import Catalog, load_catalog
from hessbench.counting import CountingOperator
from hessbench.estimand import Estimate, Trace
from hessbench.estimand.base import Array
from hessbench.method import BoundMethod
from hessbench.operators import LinearOperator, dense_operator, to_dense
from hessbench.problem import FACTOR, PSD
from hessbench.problems.spectra.closed_forms import student_t
from hessbench.reports.calibration.results import LEVELS, CalibrationCell, CalibrationResults
from hessbench.seeding import derive_seed, make_generator

CPU: Final = torch.device("cpu")

PRODUCTS: Final = MappingProxyType(
    {
        "hutchinson": 1,
        "hutchinson[probe=sphere]": 1,
        "sketch": 1,
        "slq[steps=2]": 2,
        "ggn-diagonal-mc": 1,
        "hutchpp": 3,
        "adaptive-hutchpp": 3,
        "xtrace": 2,
        "xnystrace": 1,
    }
)
"""Products a probe of every method that claims a standard error of the trace. That of SLQ is the mean of the Rayleigh
quotients of its starts, whatever the steps; 2 are enough."""

SPECTRA: Final = MappingProxyType[str, tuple[str, Callable[[int], Array]]](
    {
        "flat": ("evenly spaced from 1 to 3", lambda n: 1.0 + 2.0 * np.arange(n) / max(n - 1, 1)),
        "step": ("one in six is 1, the rest 1e-3", lambda n: np.where(np.arange(n) < n // 6, 1.0, 1e-3)),
        "poly": ("1 / i^2", lambda n: 1.0 / np.arange(1.0, n + 1) ** 2),
        "exp": ("0.7^i", lambda n: np.power(0.7, np.arange(n, dtype=np.float64))),
        "power law": ("1 / i", lambda n: 1.0 / np.arange(1.0, n + 1)),
        "Student-t(1)": (
            "absolute values of Student's t of one degree of freedom, 90 % zeros",
            lambda n: student_t(n, 0.9, 1.0, signed=False, seed=0),
        ),
        "Student-t(3), signed": (
            "Student's t of three degrees of freedom, half of them zeros",
            lambda n: student_t(n, 0.5, 3.0, signed=True, seed=0),
        ),
        "signed": ("evenly spaced from -1 to 2", lambda n: 3.0 * np.arange(n) / max(n - 1, 1) - 1.0),
    }
)
"""Spectra by name: what they are, and n eigenvalues."""

NETWORKS: Final = (
    "digits-mlp[operator=ggn,step=10,width=5]",
    "digits-mlp[operator=ggn,step=500,width=5]",
    "digits-mlp[operator=hessian,step=500,width=5]",
)


@dataclass(frozen=True)
class CalibrationDesign:
    """What is run and how often.

    Attributes:
        n: Dimension of the matrices that are made.
        spectra: Names of `SPECTRA`.
        networks: Specs of problems, turned into dense matrices.
        methods: Products a probe by method.
        probes: Numbers of probes.
        seeds: Seeds of every cell.
    """

    n: int = 300
    spectra: tuple[str, ...] = tuple(SPECTRA)
    networks: tuple[str, ...] = NETWORKS
    methods: Mapping[str, int] = field(default_factory=lambda: PRODUCTS)
    probes: tuple[int, ...] = (2, 3, 5, 10, 30)
    seeds: int = 400


@dataclass(frozen=True)
class _Case:
    """A dense operator with its truth, and the operator as it was built where that offers more."""

    name: str
    sentence: str
    op: LinearOperator
    built: LinearOperator
    eigenvalues: Array
    traits: tuple[str, ...]


def run_calibration(design: CalibrationDesign, say: Callable[[str], None]) -> CalibrationResults:
    """Run every method that can answer on every problem.

    Args:
        design: How much of it.
        say: Told how it goes on.
    """
    begin = time.perf_counter()
    catalog = load_catalog()
    cells: list[CalibrationCell] = []
    sentences: dict[str, str] = {}
    for case in _cases(design, catalog):
        sentences[case.name] = case.sentence
        for spec, products in design.methods.items():
            bound = catalog.method(spec, Trace())
            if all(trait in case.traits for trait in bound.method.requires):
                least = bound.min_matvecs(case.op.dim)
                numbers = [probes for probes in design.probes if probes * products >= least]
                cells += [_cell(case, bound, probes, products * probes, design.seeds) for probes in numbers]
        say(f"{case.name}: {time.perf_counter() - begin:.0f} s")
    return CalibrationResults(sentences, design.seeds, tuple(cells))


def _cases(design: CalibrationDesign, catalog: Catalog) -> Iterator[_Case]:
    for name in design.spectra:
        sentence, make = SPECTRA[name]
        values = make(design.n)
        rng = np.random.default_rng(derive_seed("calibration basis", name))
        basis = np.linalg.qr(rng.standard_normal((design.n, design.n)))[0]
        op = _symmetric(torch.from_numpy((basis * values) @ basis.T))
        traits = (PSD,) if values.min() >= 0 else ()
        yield _Case(name, f"n = {design.n}, {sentence}", op, op, values, traits)
    for spec in design.networks:
        problem = catalog.problem(spec)
        built = problem.build(CPU, torch.float64)
        dense = to_dense(built)
        values = np.linalg.eigvalsh(dense.numpy()).astype(np.float64, copy=False)
        yield _Case(problem.name, f"n = {problem.dim}", _symmetric(dense), built, values, tuple(problem.traits))


def _symmetric(matrix: Tensor) -> LinearOperator:
    return dense_operator((matrix + matrix.T) / 2)


def _cell(case: _Case, bound: BoundMethod, probes: int, products: int, seeds: int) -> CalibrationCell:
    op = case.built if FACTOR in bound.method.requires else case.op
    truth = math.fsum(case.eigenvalues)
    errors, claimed, corrected = np.empty(seeds), np.empty((len(LEVELS), seeds)), np.empty((len(LEVELS), seeds))
    for seed in range(seeds):
        generator = make_generator(derive_seed("calibration", case.name, str(seed)))
        answer = _trace(bound, CountingOperator(op, products), products, generator)
        spread = answer.diagnostics.get("spread", answer.stderr)
        errors[seed] = float(answer.value) - truth
        for row, level in enumerate(LEVELS):
            claimed[row, seed] = float(ndtri((1 + level) / 2)) * _known(spread, bound)
            corrected[row, seed] = _known(answer.half_width(level), bound)
    scale = float(np.abs(case.eigenvalues).sum())
    return CalibrationCell(case.name, str(bound.spec), probes, products, errors, claimed, corrected, scale)


def _trace(bound: BoundMethod, op: CountingOperator, products: int, generator: torch.Generator) -> Estimate:
    """The last answer of a run about the trace."""
    result = bound.run(op, products, generator)
    estimate: Estimate = list(result)[-1] if bound.method.is_anytime else result
    resolved = estimate.resolve(lambda kind: kind is Trace)
    return resolved if bound.method.estimands[0] is Trace else resolved.also[Trace]


def _known(width: float | None, bound: BoundMethod) -> float:
    if width is None:
        raise ValueError(f"{bound.spec} gave no standard error; methods of this study must, from 2 probes on")
    return width
