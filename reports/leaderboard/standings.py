"""Who is best within 1 % on each question and in each class of problems, and by how much: from the ledger's answers."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from hessbench.estimand import ESTIMANDS
from hessbench.ledger.answering import Answered, MethodAnswer, Question, Ranking, answers_by
from hessbench.ledger.grouping import Key
from hessbench.reports.leaderboard.gathering import Gathered
from hessbench.reports.leaderboard.problem_classes import PROBLEM_CLASSES, ProblemClass, class_of

WITHIN: Final = 0.01
"""The tolerance of the leaderboard."""

COSTS: Final[Mapping[Ranking, str]] = {
    "products": "products",
    "gradients": "gradient-equivalents",
    "seconds": "time in gradients",
}
"""What ranks, and how the page calls it; seconds stand for multiples of a gradient timed in the same run."""


@dataclass(frozen=True)
class MethodStanding:
    """One method on one question.

    Attributes:
        key: What its rows share.
        by: Its answer, by what ranks.
        places: Its place among those that reached the tolerance, from 1, by what ranks.
        command: What replays its first cell; empty where nothing ran.
        is_own: Whether it is of one's own run.
        is_unsealed: Whether a cell of it says that it did not run sealed.
    """

    key: Key
    by: Mapping[Ranking, MethodAnswer]
    places: Mapping[Ranking, int]
    command: str
    is_own: bool
    is_unsealed: bool

    @property
    def entry(self) -> MethodAnswer:
        """Its answer, ranked by products."""
        return self.by["products"]


@dataclass(frozen=True)
class QuestionStanding:
    """One question with everyone's standing.

    Attributes:
        question: What was asked.
        problem_class: Class of its problem.
        answered: The whole answer, by what ranks.
        methods: Those asked, those that reached the tolerance first, by products.
    """

    question: Question
    problem_class: ProblemClass
    answered: Mapping[Ranking, Answered]
    methods: tuple[MethodStanding, ...]

    @property
    def conditions(self) -> tuple[str, str, int]:
        """Device, dtype and threads."""
        return self.question.device, self.question.dtype, self.question.threads


@dataclass(frozen=True)
class ClassBest:
    """The best in one class of problems by one cost.

    The best is who reaches the tolerance on most problems of the class, and of those the one whose cost is least beside
    the best on each, in the geometric mean.

    Attributes:
        method: Name to show; empty where nobody reached the tolerance.
        reached: On how many problems it did.
        first: On how many it is the best.
        runner_up: The next one; empty where there is none.
        factor: Cost of the runner-up over its own, in the geometric mean of the problems both reached, each the median
            of pairs of repeats.
        interval: What is known of that factor: on a single problem that of its pairs, else least and most of the
            problems.
        runner_up_reached: On how many problems the runner-up reached the tolerance.
        is_level: Whether the pairs on a single problem do not tell the two apart.
        remark: What to know beside it.
    """

    method: str = ""
    reached: int = 0
    first: int = 0
    runner_up: str = ""
    factor: float | None = None
    interval: tuple[float, float] | None = None
    runner_up_reached: int = 0
    is_level: bool = False
    remark: str = ""


@dataclass(frozen=True)
class ClassStanding:
    """One estimand on one class of problems, under one set of conditions.

    Attributes:
        estimand: Its spec.
        problem_class: The class.
        questions: Its questions.
        best: The best, by what ranks.
    """

    estimand: str
    problem_class: ProblemClass
    questions: tuple[QuestionStanding, ...]
    best: Mapping[Ranking, ClassBest]

    @property
    def conditions(self) -> tuple[str, str, int]:
        """Device, dtype and threads."""
        return self.questions[0].conditions


def standings(gathered: Gathered, asks: Callable[[str], bool]) -> tuple[ClassStanding, ...]:
    """Everyone's standing, estimand by estimand and class by class.

    Args:
        gathered: The rows.
        asks: Whether an estimand is shown.
    """
    found = answers_by(gathered.records, (WITHIN,), tuple(COSTS))
    unsealed = frozenset(row.cell for row in gathered.records if row.sealed is False)
    traits = {(row.problem, row.problem_hash): row.traits for row in gathered.records}
    groups: dict[tuple[int, str, int, tuple[str, str, int]], list[QuestionStanding]] = defaultdict(list)
    for each in zip(*found.values(), strict=True):
        answered = dict(zip(COSTS, each, strict=True))
        question = each[0].question
        if not asks(question.estimand):
            continue
        known = class_of(question.problem_spec, traits.get((question.problem_spec, question.problem_hash), ()))
        standing = QuestionStanding(question, known, answered, _methods(answered, gathered, unsealed))
        place = _estimand_place(question.estimand), question.estimand, PROBLEM_CLASSES.index(known), standing.conditions
        groups[place].append(standing)
    return tuple(
        ClassStanding(
            estimand, PROBLEM_CLASSES[place], tuple(questions), {by: _class_best(questions, by) for by in COSTS}
        )
        for (_, estimand, place, _), questions in sorted(groups.items(), key=lambda group: group[0])
    )


def _methods(
    answered: Mapping[Ranking, Answered], gathered: Gathered, unsealed: frozenset[str]
) -> tuple[MethodStanding, ...]:
    by = {cost: {entry.key: entry for entry in it.entries} for cost, it in answered.items()}
    places = {
        cost: {entry.key: place for place, entry in enumerate(it.reached, 1) if entry.cost(cost) is not None}
        for cost, it in answered.items()
    }
    return tuple(
        MethodStanding(
            key=entry.key,
            by={cost: by[cost][entry.key] for cost in COSTS},
            places={cost: places[cost][entry.key] for cost in COSTS if entry.key in places[cost]},
            command=gathered.commands.get(entry.cells[0], "") if entry.cells else "",
            is_own=entry.key.method in gathered.own,
            is_unsealed=any(cell in unsealed for cell in entry.cells),
        )
        for entry in answered["products"].entries
    )


def _class_best(questions: Sequence[QuestionStanding], by: Ranking) -> ClassBest:
    """The best of a class by one cost, and the runner-up."""
    costs: dict[tuple[str, str, str], dict[int, MethodAnswer]] = defaultdict(dict)
    least: dict[int, float] = {}
    for number, question in enumerate(questions):
        for entry in question.answered[by].reached:
            cost = entry.cost(by)
            if cost is not None:
                costs[entry.key.method, entry.key.method_hash, entry.key.source].setdefault(number, entry)
                least[number] = min(least.get(number, math.inf), cost.median)
    if not costs:
        return ClassBest(remark=_nobody(questions, by))

    def rank(name: tuple[str, str, str]) -> tuple[float | str, ...]:
        reached = costs[name]
        return (-len(reached), _mean([_over(reached[it], by, least[it]) for it in reached]), *name)

    first, *others = sorted(costs, key=rank)
    best = costs[first]
    found = ClassBest(
        method=_shown(best), reached=len(best), first=sum(_over(best[it], by, least[it]) == 1.0 for it in best)
    )
    if not others:
        return found
    second = costs[others[0]]
    shared = sorted(best.keys() & second.keys())
    ratios = [_ratio(second[it], best[it], by) for it in shared]
    alone = second[shared[0]].ratio if len(questions) == 1 and shared else None
    if alone is not None:
        interval = alone.interval or (alone.spread.low, alone.spread.high)
    else:
        interval = (min(ratios), max(ratios)) if ratios else None
    return replace(
        found,
        runner_up=_shown(second),
        factor=_mean(ratios) if ratios else None,
        interval=interval,
        runner_up_reached=len(second),
        is_level=alone is not None and alone.is_level,
    )


def _over(entry: MethodAnswer, by: Ranking, least: float) -> float:
    cost = entry.cost(by)
    return math.inf if cost is None else cost.median / least if least > 0 else 1.0


def _ratio(above: MethodAnswer, below: MethodAnswer, by: Ranking) -> float:
    """Cost over cost: of medians of pairs where both have them, else of medians."""
    if above.ratio is not None and below.ratio is not None and below.ratio.spread.median > 0:
        return above.ratio.spread.median / below.ratio.spread.median
    cost = below.cost(by)
    return _over(above, by, cost.median if cost else 0.0)


def _mean(values: Sequence[float]) -> float:
    """Geometric mean."""
    return math.exp(sum(math.log(value) if value > 0 else -math.inf for value in values) / len(values))


def _shown(entries: Mapping[int, MethodAnswer]) -> str:
    return next(iter(entries.values())).method


def _nobody(questions: Sequence[QuestionStanding], by: Ranking) -> str:
    """Why there is no best: nobody reached the tolerance, or what reached it has no such cost."""
    reached = any(question.answered[by].reached for question in questions)
    return "no gradient was timed in the runs that reached it" if reached else "no method reached it"


def _estimand_place(estimand: str) -> int:
    known = list(ESTIMANDS)
    name = estimand.partition("[")[0]
    return known.index(name) if name in known else len(known)
