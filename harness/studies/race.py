"""Sketch-and-refine against Lanczos at equal products, from the same starts: the open question of the document."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch

from hessbench.catalog import Catalog, load_catalog
from hessbench.counting import CountingOperator
from hessbench.estimand import Array, Estimate, Reference, TopEigenvalues
from hessbench.problem import Problem
from hessbench.reports.sketch.results import Race
from hessbench.seeding import derive_seed, make_generator

METHODS: Final = (
    "lanczos",
    "sketch-and-refine[refine=davidson]",
    "sketch-and-refine[refine=lobpcg]",
    "sketch-and-refine[refine=rayleigh]",
    "sketch-and-refine[inner=4,refine=davidson]",
)
PROBLEMS: Final = (
    "student-t[zero_fraction=0.9]",
    "student-t[df=1.0,signed=false,zero_fraction=0.9]",
    "student-t[signed=false]",
    "spectrum",
    "spectrum[name=geometric]",
    "spectrum[name=step]",
    "spectrum[name=step,signed=true]",
    "spectrum[name=spiked]",
    "spectrum[name=clustered]",
    "spectrum[name=linear]",
    "spectrum[name=linear,signed=true]",
    "digits-mlp[step=500]",
)


@dataclass(frozen=True)
class Races:
    """What is run.

    Attributes:
        problems: Specs; one that cannot be built here is left out and said.
        budgets: Products.
        starts: Number of starts.
        k: Eigenvalues asked for.
    """

    problems: tuple[str, ...] = PROBLEMS
    budgets: tuple[int, ...] = (20, 30, 40, 60, 80, 120)
    starts: int = 12
    k: int = 10


def run_races(races: Races, say: Callable[[str], None]) -> tuple[Race, ...]:
    """Run every method on every problem from every start, in float64, and score each budget.

    Args:
        races: What is run.
        say: Told how it goes on.
    """
    catalog = load_catalog()
    estimand = TopEigenvalues(races.k)
    found: list[Race] = []
    for spec in races.problems:
        problem = catalog.problem(spec)
        reason = problem.refusal
        if reason:
            say(f"{spec} is left out: {reason}")
            continue
        reference = problem.references[TopEigenvalues](estimand)
        errors = {
            method: np.stack([
                _errors(catalog, method, problem, reference, estimand, races.budgets, start)
                for start in range(races.starts)
            ])
            for method in METHODS
        }  # fmt: skip
        found.append(Race(problem.name, races.budgets, errors, estimand.floor(reference, "float64")))
        say(f"{problem.name}: {races.starts} starts of {len(METHODS)} methods")
    return tuple(found)


def _errors(
    catalog: Catalog, method: str, problem: Problem, reference: Reference, estimand: TopEigenvalues,
    budgets: tuple[int, ...], start: int,
) -> Array:  # fmt: skip
    """The primary error of the last answer within each budget, NaN before the first."""
    bound = catalog.method(method, estimand)
    most = min(max(budgets), problem.dim)
    op = CountingOperator(problem.build(torch.device("cpu"), torch.float64), most)
    generator = make_generator(derive_seed("refine-race", problem.name, str(start)))
    latest: Estimate | None = None
    errors = np.full(len(budgets), np.nan)
    place = 0
    answers: Iterator[Any] = bound.run(op, most, generator)

    def score() -> float:
        if latest is None:
            return float("nan")
        arrays = estimand.to_arrays(latest.resolve(lambda _: False).value, problem.dim)
        return estimand.errors(arrays, reference, "float64")[estimand.primary]

    for estimate in answers:
        while place < len(budgets) and op.matvecs > budgets[place]:
            errors[place] = score()
            place += 1
        latest = estimate
    for left in range(place, len(budgets)):
        errors[left] = score()
    return errors
