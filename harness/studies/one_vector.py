"""How the error of Lanczos quadrature with a single random vector falls as the matrix grows."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch

from hessbench.catalog import Catalog, load_catalog
from hessbench.estimand import Array, Arrays, Density, Reference
from hessbench.estimand.density import kolmogorov_smirnov, spread_of, wasserstein1
from hessbench.problem import Problem
from hessbench.reports.one_vector.results import (
    KS,
    MEASURES,
    MOMENTS,
    WASSERSTEIN,
    LadderRung,
    OneVectorResults,
    SpectrumLadder,
)
from hessbench.seeding import derive_seed, make_generator
from hessbench.studies.single_run import last_estimate

_SYNTHETIC: Final = ((1_000, 50), (10_000, 50), (100_000, 30), (1_000_000, 10))
_NETWORKS: Final = ((16, 15), (64, 15), (256, 15), (1024, 15))


@dataclass(frozen=True)
class Climb:
    """A family of matrices at growing sizes.

    Attributes:
        name: What it is called.
        spec: Its spec with `{size}` and, where there is a draw, `{draw}` for its number.
        sizes: Each size with its number of starts, ascending.
    """

    name: str
    spec: str
    sizes: tuple[tuple[int, int], ...] = _SYNTHETIC


CLIMBS: Final = (
    Climb("linear", "spectrum[name=linear,n={size}]"),
    Climb("step", "spectrum[name=step,n={size}]"),
    Climb("clustered", "spectrum[name=clustered,n={size}]"),
    Climb("Student's t(3)", "student-t[n={size},instance={draw}]"),
    Climb("Student's t(3), 90 % zeros", "student-t[n={size},instance={draw},zero_fraction=0.9]"),
    Climb(
        "abs(Student's t(1)), 90 % zeros", "student-t[n={size},instance={draw},df=1.0,signed=false,zero_fraction=0.9]"
    ),
    Climb("ten spikes", "spectrum[name=spiked,n={size}]"),
    Climb("power law 1/i", "spectrum[n={size}]"),
    Climb("geometric 0.9^i", "spectrum[name=geometric,n={size}]"),
    Climb("GGN of networks, by width", "mlp[operator=ggn,per_class=10,widths={size},run={draw}]", _NETWORKS),
)


@dataclass(frozen=True)
class OneVectorDesign:
    """What is run.

    Attributes:
        climbs: The families.
        steps: Lanczos steps of each start.
        group: Starts with the same draw, whose rules are also averaged; it divides every number of starts.
        alone: Draws of a probe's own measure for each rung.
    """

    climbs: tuple[Climb, ...] = CLIMBS
    steps: int = 32
    group: int = 5
    alone: int = 20

    def __post_init__(self) -> None:
        for climb in self.climbs:
            for size, starts in climb.sizes:
                if starts < self.group or starts % self.group:
                    raise ValueError(f"starts must be a multiple of {self.group}, got {starts} at {climb.name} {size}")


def run_one_vector(design: OneVectorDesign, say: Callable[[str], None]) -> OneVectorResults:
    """Run every start of every family, in float64; a family that cannot be built here is left out and said.

    Args:
        design: What is run.
        say: Told how it goes on.
    """
    begin = time.perf_counter()
    catalog = load_catalog()
    ladders: list[SpectrumLadder] = []
    for climb in design.climbs:
        reason = catalog.problem(_spec(climb, climb.sizes[0][0], 0)).refusal
        if reason:
            say(f"{climb.name} is left out: {reason}")
            continue
        rungs = tuple(_rung(catalog, climb, size, starts, design) for size, starts in climb.sizes)
        ladders.append(SpectrumLadder(climb.name, climb.spec, rungs))
        say(f"{climb.name}: {time.perf_counter() - begin:.0f} s")
    return OneVectorResults(design.steps, design.group, tuple(ladders))


def _spec(climb: Climb, size: int, draw: int) -> str:
    return climb.spec.replace("{size}", str(size)).replace("{draw}", str(draw))


def _rung(catalog: Catalog, climb: Climb, size: int, starts: int, design: OneVectorDesign) -> LadderRung:
    """Every start of one size; each group of starts has a draw of its own, where the family has draws."""
    draws = starts // design.group if "{draw}" in climb.spec else 1
    single: list[Mapping[str, float]] = []
    pooled: list[Mapping[str, float]] = []
    alone: list[Mapping[str, float]] = []
    variances: list[Array] = []
    dim = 0
    for draw in range(draws):
        problem = catalog.problem(_spec(climb, size, draw))
        dim = problem.dim
        reference = problem.references[Density](Density())
        rules = _rules(catalog, problem, design.steps, range(draw * starts // draws, (draw + 1) * starts // draws))
        single += [density_errors(rule, reference) for rule in rules]
        for first in range(0, len(rules), design.group):
            pooled.append(density_errors(_mean_rule(rules[first : first + design.group]), reference))
        variances.append(moment_deviations(reference, dim) ** 2)
        rng = np.random.default_rng(derive_seed("one-vector alone", problem.name))
        alone += [probe_errors(reference, dim, rng) for _ in range(-(-design.alone // draws))]
    predicted = np.sqrt(np.mean(variances, axis=0))
    return LadderRung(
        dim, _by_measure(single), _by_measure(pooled), _by_measure(alone),
        dict(zip(MOMENTS, predicted.tolist(), strict=True)),
    )  # fmt: skip


def _rules(catalog: Catalog, problem: Problem, steps: int, starts: Sequence[int]) -> list[Arrays]:
    """The quadrature of each start by itself."""
    operator = problem.build(torch.device("cpu"), torch.float64)
    method = catalog.method(f"slq[steps={steps}]", Density())
    rules: list[Arrays] = []
    for start in starts:
        generator = make_generator(derive_seed("one-vector", problem.name, str(start)))
        value = last_estimate(method, operator, min(steps, problem.dim), generator).value
        rules.append(Density().to_arrays(value, problem.dim))
    return rules


def _mean_rule(rules: Sequence[Arrays]) -> Arrays:
    nodes = np.concatenate([rule["nodes"] for rule in rules])
    order = np.argsort(nodes, kind="stable")
    weights = np.concatenate([rule["weights"] for rule in rules]) / len(rules)
    return {"nodes": nodes[order], "weights": weights[order]}


def density_errors(rule: Arrays, reference: Reference) -> dict[str, float]:
    """Errors of a quadrature: Wasserstein-1 over the spread, Kolmogorov-Smirnov, and relative ones of moments."""
    found = Density().errors(rule, reference, "float64")
    truth, mass = reference.arrays["nodes"], reference.arrays["weights"]
    return {
        WASSERSTEIN: found["wasserstein1"],
        KS: found["ks"],
        **_moment_errors(rule["nodes"], rule["weights"], truth, mass),
    }


def probe_errors(reference: Reference, dim: int, rng: np.random.Generator) -> dict[str, float]:
    """Errors of a random vector's own spectral measure, as if the recurrence had no end.

    The squared entries of a normal vector in the eigenbasis, summed over equal eigenvalues, are chi-squared with as
    many degrees of freedom as there are equal ones, whatever the basis.

    Args:
        reference: Of the density.
        dim: Dimension n.
        rng: Source of the vector.
    """
    truth, mass = reference.arrays["nodes"], reference.arrays["weights"]
    weights = rng.chisquare(np.rint(mass * dim))
    weights /= weights.sum()
    spread = spread_of(truth, mass)
    return {
        WASSERSTEIN: wasserstein1(truth, weights, truth, mass) / spread if spread else 0.0,
        KS: kolmogorov_smirnov(truth, weights, truth, mass),
        **_moment_errors(truth, weights, truth, mass),
    }


def moment_deviations(reference: Reference, dim: int) -> Array:
    """Standard deviations of the relative errors of moments of a uniform unit vector's measure, shape (4,).

    v^T B v with v uniform on the sphere of n dimensions has the mean tr(B) / n and the variance 2 / (n + 2) times the
    variance of the eigenvalues of B.

    Args:
        reference: Of the density.
        dim: Dimension n.
    """
    truth, mass = reference.arrays["nodes"], reference.arrays["weights"]
    # Scaled, so that an eighth power does not overflow.
    x = truth / max(float(np.abs(truth).max()), np.finfo(np.float64).tiny)
    powers = [x**degree for degree in range(1, len(MOMENTS) + 1)]
    deviations = [np.sqrt(2 / (dim + 2) * ((power - power @ mass) ** 2 @ mass)) for power in powers]
    return np.asarray([
        deviation / scale if (scale := float(np.abs(power) @ mass)) else 0.0
        for deviation, power in zip(deviations, powers, strict=True)
    ])  # fmt: skip


def _moment_errors(nodes: Array, weights: Array, truth: Array, mass: Array) -> dict[str, float]:
    largest = max(float(np.abs(truth).max()), np.finfo(np.float64).tiny)
    x, y = nodes / largest, truth / largest
    errors: dict[str, float] = {}
    for degree, name in enumerate(MOMENTS, 1):
        scale = float(np.abs(y**degree) @ mass)
        errors[name] = float(x**degree @ weights - y**degree @ mass) / scale if scale else 0.0
    return errors


def _by_measure(rows: Sequence[Mapping[str, float]]) -> dict[str, Array]:
    return {name: np.asarray([row[name] for row in rows]) for name in MEASURES}
