"""Who answers a question: a method of the registry, timed beside a gradient."""

from __future__ import annotations

import statistics
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Final, final

import numpy as np
from typing_extensions import override

from hessbench.cells.build import build, load
from hessbench.cells.cell import Cell
from hessbench.cells.counted_run import CountedRun
from hessbench.cells.execute import classify
from hessbench.cells.measure import measure
from hessbench.estimand import Estimate
from hessbench.exceptions import first_line
from hessbench.ledger.costs import Costs
from hessbench.ledger.record import Status
from hessbench.method import BoundMethod
from hessbench.problem import FACTOR, PARTS, ROWS, SUBSET, Problem
from hessbench.redact import redact
from hessbench.reports.few_gradients.results import INTERVAL, CostPoint, MethodRuns
from hessbench.studies.few_gradients.scoring import DTYPE, AnswerScoring, ScoredAnswer

_STRUCTURED: Final = frozenset({ROWS, PARTS, SUBSET, FACTOR})


@final
class GradientClock:
    """Times a gradient whenever it is asked, and knows the median of all times."""

    def __init__(self, gradient: Callable[[], object]) -> None:
        self._gradient = gradient
        self._seconds: list[float] = []

    def tick(self) -> None:
        """Time one gradient."""
        begin = time.perf_counter()
        self._gradient()
        self._seconds.append(time.perf_counter() - begin)

    @property
    def median_s(self) -> float:
        """Median seconds of a gradient."""
        return statistics.median(self._seconds)


class Contestant(ABC):
    """Whoever answers a question, again and again."""

    structured = True

    def __init__(self, label: str) -> None:
        self.label = label
        self.spent_s = 0.0
        self.failure = ""
        self._repeats: list[tuple[float, tuple[ScoredAnswer, ...]]] = []

    def go(self, repeat: int, clock: GradientClock) -> None:
        """Answer once more."""
        begin = time.perf_counter()
        build_s, answers = self._answers(repeat, clock)
        if answers:
            self._repeats.append((build_s, tuple(answers)))
        self.spent_s += time.perf_counter() - begin

    @abstractmethod
    def _answers(self, repeat: int, clock: GradientClock) -> tuple[float, list[ScoredAnswer]]:
        """Seconds of the build, and the answers by ascending cost."""

    def is_judged_by(self, error: str) -> bool:
        """Whether any answer has such an error; who claims no interval is not judged by any."""
        told = [answer.scores.get(error, np.inf) for _, answers in self._repeats for answer in answers]
        return error != INTERVAL or bool(np.isfinite(told).any())

    def runs(self, error: str, unit: float) -> MethodRuns:
        """All repeats, judged by one of the errors, with seconds in gradients."""
        return MethodRuns(
            method=self.label,
            structured=self.structured,
            build=np.asarray([build_s / unit for build_s, _ in self._repeats]),
            repeats=tuple(
                tuple(
                    CostPoint(
                        each.matvecs, each.gradient_equivalents, each.seconds / unit, each.scores[error],
                        each.half_width, each.held,
                    )
                    for each in answers
                )
                for _, answers in self._repeats
            ),
            failure="" if self._repeats else self.failure or "no budget of the study is enough for it",
        )  # fmt: skip


@final
class OwnMethod(Contestant):
    """A method of the registry; one that is not anytime is run for each budget."""

    def __init__(
        self,
        label: str,
        problem: Problem,
        bound: BoundMethod,
        budgets: tuple[int, ...],
        scoring: AnswerScoring,
        threads: int,
    ) -> None:
        super().__init__(label)
        self._problem, self._bound, self._scoring, self._threads = problem, bound, scoring, threads
        # A library of others stands with what users run today.
        by_structure = _STRUCTURED & {*bound.method.requires, *bound.method.also_takes.values()}
        self.structured = bool(by_structure) and not bound.method.library
        # More products than n tell nothing new; there may be more rows than that.
        most = budgets[-1] if self.structured else problem.dim
        least = bound.min_matvecs(problem.dim)
        fitting = tuple(dict.fromkeys(min(budget, most) for budget in budgets if budget >= least))
        whole = [fitting] if fitting else []
        self._grids = whole if bound.method.is_anytime else [(budget,) for budget in fitting]
        self.failure = bound.skip_reason(problem)
        if self.failure:
            self._grids = []

    @override
    def _answers(self, repeat: int, clock: GradientClock) -> tuple[float, list[ScoredAnswer]]:
        answers: list[ScoredAnswer] = []
        builds: list[float] = []
        for grid in self._grids:
            clock.tick()
            self._run(grid, repeat, answers, builds)
            clock.tick()
        return statistics.median(builds) if builds else 0.0, answers

    def _run(self, grid: tuple[int, ...], repeat: int, answers: list[ScoredAnswer], builds: list[float]) -> None:
        """Build, run and judge; what came of it is added to the lists."""
        problem, bound = self._problem, self._bound
        spec = bound.estimand.spec
        cell = Cell(problem.name, str(bound.spec), spec, grid, repeat, dtype=DTYPE, threads=self._threads)

        def tell(_: int, estimate: Estimate, costs: Costs) -> None:
            answer = bound.answer(estimate, problem.dim, cell.dtype)
            if answer is not None:
                judged = self._scoring.scores(answer)
                answers.append(ScoredAnswer(costs.matvecs, costs.gradient_equivalents, costs.wall_s or 0.0, *judged))

        try:
            load(problem)
            begin = time.perf_counter()
            op = build(cell, problem, by_rows=bound.method.needs_no_engine)
            builds.append(time.perf_counter() - begin)
            status, reason = measure(CountedRun(op, cell, bound), tell)
        except Exception as failure:  # noqa: BLE001 -- a method may raise anything; the page says what
            # A refusal is a sentence of its own; where it was raised is of use only for what is none.
            self.failure = redact(first_line(failure)) if isinstance(failure, ValueError) else classify(failure)[1]
            return
        self.failure = self.failure if status is Status.OK else reason
