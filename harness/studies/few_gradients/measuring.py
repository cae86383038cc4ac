"""What an answer about a network costs in gradients: every question of a design, asked of every method in turns."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Final, final

import torch

from hessbench.catalog import Catalog, load_catalog
from hessbench.estimand import parse_estimand
from hessbench.problem import Problem
from hessbench.reports.few_gradients.results import NetworkQuestion, QuestionRuns
from hessbench.studies.few_gradients.contestants import Contestant, GradientClock, OwnMethod
from hessbench.studies.few_gradients.questions import (
    BACKPACK,
    BACKPACK_BUDGET,
    BACKPACK_LABEL,
    AskedMethods,
    ggn_of,
    study_questions,
)
from hessbench.studies.few_gradients.scoring import AnswerScoring

DEVICE: Final = "cpu"


@dataclass(frozen=True)
class FewGradientsDesign:
    """What is run.

    Attributes:
        questions: Each with its methods and their budgets.
        repeats: Seeds of each method.
        threads: Of the tensor library.
        most_s: Seconds of a question that a method does not pass by another repeat, where the question does not say.
        seed: Which of the disjoint sets of repeats.
    """

    questions: tuple[tuple[NetworkQuestion, AskedMethods], ...] = field(default_factory=study_questions)
    repeats: int = 5
    threads: int = 2
    most_s: float = 8.0
    seed: int = 0


@final
class Problems:
    """Problems by their specs, each made once, so that what its references keep is made once."""

    def __init__(self) -> None:
        self.catalog: Catalog = load_catalog()
        self._made: dict[str, Problem] = {}

    def of(self, spec: str) -> Problem:
        """The problem of a spec."""
        if spec not in self._made:
            self._made[spec] = self.catalog.problem(spec)
        return self._made[spec]


def questions_of(question: NetworkQuestion, asked: AskedMethods) -> list[NetworkQuestion]:
    """A question by its own error, and by each other that its answers are scored by."""
    return [question, *(replace(question, error=error, name=name) for error, name in asked.also.items())]


def answered(
    problems: Problems, question: NetworkQuestion, asked: AskedMethods, design: FewGradientsDesign
) -> list[QuestionRuns]:
    """The runs of a question, once for each of the errors of `questions_of`.

    Args:
        problems: Where problems are made.
        question: The question.
        asked: Who is asked.
        design: How often, and on how many threads; its questions are not looked at.
    """
    torch.set_num_threads(design.threads)
    estimand = parse_estimand(asked.estimand)
    problem, truth = problems.of(question.problem), problems.of(asked.truth or question.problem)
    finder = truth.finder(type(estimand))
    network: Any = problem.network() if problem.network is not None else None
    assert finder is not None
    on_cpu = network.to(torch.device(DEVICE), torch.float32)
    scoring = AnswerScoring(estimand, question.error, finder(estimand), problem.dim)
    gradient = on_cpu.own_gradient()
    gradient()
    clock = GradientClock(gradient)
    contestants: list[Contestant] = []
    for spec, budgets in asked.methods.items():
        here = problems.of(asked.elsewhere.get(spec, question.problem))
        bound = problems.catalog.method(spec, estimand)
        if not bound.skip_reason(here):
            label = f"{bound.spec} of the GGN" if spec in asked.elsewhere else str(bound.spec)
            contestants.append(OwnMethod(label, here, bound, budgets, scoring, design.threads))
    if asked.backpack:
        here = problems.of(ggn_of(question.problem))
        bound = problems.catalog.method(BACKPACK, estimand)
        contestants.append(OwnMethod(BACKPACK_LABEL, here, bound, (BACKPACK_BUDGET,), scoring, design.threads))
    most_s = design.most_s if asked.most_s is None else asked.most_s
    # In turns, so that what slows the machine down for a while slows all of them.
    for done in range(design.repeats):
        for each in contestants:
            if not done or each.spent_s * (done + 1) / done <= most_s:
                each.go(design.seed * design.repeats + done, clock)
    return [
        QuestionRuns(
            of, problem.dim, int(network.num_samples), clock.median_s,
            tuple(each.runs(of.error, clock.median_s) for each in contestants if each.is_judged_by(of.error)),
        )
        for of in questions_of(question, asked)
    ]  # fmt: skip
