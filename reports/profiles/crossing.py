"""Which runs enter a comparison over all problems: methods and problems that are fully crossed, pair by pair.

A profile is over one set of problems for every method. Where a suite crosses unevenly, the largest full crossing is
taken, by the number of its runs, and what is left out is said.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from hessbench.ledger.answering import RANKINGS, Attainment, Question, QuestionAttainments, Ranking, State
from hessbench.ledger.grouping import Key
from hessbench.reports.writing import units

Costs: TypeAlias = NDArray[np.float64]

LEAST_PROBLEMS: Final = 2
LEAST_METHODS: Final = 2
"""Below these there is nothing over all problems to say."""


@dataclass(frozen=True)
class Instance:
    """One repeat on one problem: what methods are compared on in pairs."""

    problem: str
    repeat: int


@dataclass(frozen=True)
class Crossing:
    """Every method on every instance, for one estimand under one set of conditions.

    Attributes:
        estimand: Spec.
        conditions: Device, dtype and threads, in words.
        tolerances: Largest errors accepted.
        methods: Names to show.
        keys: What the rows of each method share; the problem is that of any.
        instances: Repeats of problems.
        left_out: Methods that were not run on all of these problems, with the number of problems they were run on.
        costs: By tolerance and cost, (methods, instances): infinite where the tolerance was not reached, NaN where it
            was and the cost is not known, or where an answer could not be judged.
    """

    estimand: str
    conditions: str
    tolerances: tuple[float, ...]
    methods: tuple[str, ...]
    keys: tuple[Key, ...]
    instances: tuple[Instance, ...]
    left_out: Mapping[str, int]
    costs: Mapping[tuple[float, Ranking], Costs]

    @property
    def title(self) -> str:
        """Estimand and conditions."""
        return f"{self.estimand}, {self.conditions}"

    @property
    def problems(self) -> tuple[str, ...]:
        """Names of the problems."""
        return tuple(dict.fromkeys(instance.problem for instance in self.instances))

    def known(self, tolerance: float, by: Ranking) -> Costs:
        """The costs (methods, instances) of the instances on which those of every method are known, or censored."""
        costs = self.costs[tolerance, by]
        return costs[:, ~np.isnan(costs).any(axis=0)]


_Runs: TypeAlias = dict[str, dict[str, list[Attainment]]]
"""Attainments by method and problem, by the names of both."""


def crossings(found: Sequence[QuestionAttainments]) -> tuple[Crossing, ...]:
    """The full crossing of each estimand and set of conditions that has one.

    Args:
        found: Every repeat of every method, question by question.
    """
    groups: dict[tuple[str, str, str, int], list[QuestionAttainments]] = defaultdict(list)
    for one in found:
        asked = one.question
        groups[asked.estimand, asked.device, asked.dtype, asked.threads].append(one)
    made = (_crossing(group) for _, group in sorted(groups.items()))
    return tuple(one for one in made if one is not None)


def _crossing(group: Sequence[QuestionAttainments]) -> Crossing | None:
    runs: _Runs = defaultdict(dict)
    for one in group:
        for it in one.attainments:
            runs[it.method].setdefault(one.question.problem, []).append(it)
    chosen = _largest({method: frozenset(on) for method, on in runs.items()})
    if chosen is None:
        return None
    methods, problems = chosen
    instances = [
        Instance(problem, repeat)
        for problem in sorted(problems)
        for repeat in _repeats([runs[method][problem] for method in methods])
    ]
    if len({instance.problem for instance in instances}) < LEAST_PROBLEMS:
        return None
    asked = group[0].question
    tolerances = tuple(dict.fromkeys(it.tolerance for it in group[0].attainments))
    places = [[_by_repeat(runs[method][problem]) for problem in sorted(problems)] for method in methods]
    at = {problem: place for place, problem in enumerate(sorted(problems))}
    costs: dict[tuple[float, Ranking], Costs] = {
        (tolerance, by): np.array(
            [[_cost(of[at[it.problem]], it.repeat, tolerance, by) for it in instances] for of in places]
        )
        for tolerance in tolerances
        for by in RANKINGS
    }
    return Crossing(
        estimand=asked.estimand,
        conditions=_conditions(asked),
        tolerances=tolerances,
        methods=tuple(methods),
        keys=tuple(next(iter(runs[method].values()))[0].key for method in methods),
        instances=tuple(instances),
        left_out={method: len(on) for method, on in sorted(runs.items()) if method not in methods},
        costs=costs,
    )


def _largest(run_on: Mapping[str, frozenset[str]]) -> tuple[list[str], frozenset[str]] | None:
    """Methods and problems of the full crossing with the most runs, of those the one with the most problems."""
    found: list[tuple[int, int, list[str], list[str]]] = []
    for problems in set(run_on.values()):
        methods = sorted(method for method, on in run_on.items() if problems <= on)
        if len(problems) >= LEAST_PROBLEMS and len(methods) >= LEAST_METHODS:
            found.append((-len(problems) * len(methods), -len(problems), methods, sorted(problems)))
    if not found:
        return None
    *_, methods, problems = min(found)
    return methods, frozenset(problems)


def _repeats(by_method: Sequence[Sequence[Attainment]]) -> list[int]:
    """Repeats that every method has; one without randomness has as many as are wanted."""
    known = [({it.repeat for it in found}, all(it.is_random is False for it in found)) for found in by_method]
    several = [numbers for numbers, is_fixed in known if not (is_fixed and len(numbers) == 1)]
    return sorted(set.intersection(*(several or [numbers for numbers, _ in known])))


def _by_repeat(found: Sequence[Attainment]) -> dict[tuple[int | None, float], Attainment]:
    """By repeat and tolerance; under no repeat the one repeat of a method without randomness."""
    known: dict[tuple[int | None, float], Attainment] = {(it.repeat, it.tolerance): it for it in found}
    if len({it.repeat for it in found}) == 1 and all(it.is_random is False for it in found):
        known |= {(None, it.tolerance): it for it in found}
    return known


def _cost(known: Mapping[tuple[int | None, float], Attainment], repeat: int, tolerance: float, by: Ranking) -> float:
    it = known.get((repeat, tolerance)) or known.get((None, tolerance))
    if it is None or it.state is State.NOT_JUDGED:
        return np.nan
    return it.costs.get(by, np.nan) if it.state is State.REACHED else np.inf


def _conditions(asked: Question) -> str:
    return units.conditions(asked.device, asked.dtype, asked.threads)
