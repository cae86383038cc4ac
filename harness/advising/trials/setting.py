"""Where advice is asked for: the problem, the conditions, the folder, and who has answered there so far."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias

from hessbench.advising.candidates import AdviceCandidate
from hessbench.advising.observed import FailedPilot, PilotPoint, observe
from hessbench.advising.question import AdviceQuestion
from hessbench.catalog import Catalog
from hessbench.estimand import Estimand
from hessbench.method import BoundMethod
from hessbench.problem import Problem
from hessbench.running.options import Options
from hessbench.running.plan import Conditions, PlannedCell, plan
from hessbench.running.progress import Reporter
from hessbench.running.runner import run
from hessbench.running.suite import Cross, Suite

Tell: TypeAlias = Callable[[str], None]


@dataclass(frozen=True)
class AdviceRun:
    """What is run of a method.

    Attributes:
        candidate: The method.
        budgets: Products, or rows.
        repeats: Starts.
        first_repeat: Number of the first.
    """

    candidate: AdviceCandidate
    budgets: tuple[int, ...]
    repeats: int = 1
    first_repeat: int = 0


@dataclass(frozen=True)
class AdviceSetting:
    """Where advice is asked for.

    Attributes:
        question: What is asked.
        problem: Of what.
        catalog: Where names are looked up.
        plugins: Plugin files, of which one may define the problem.
        conditions: Device, dtype and threads.
        folder: Where all runs are kept.
        tell: Told how it goes on.
        reporter: Told of the cells.
        own_catalog: Whether the catalog lives in this process alone.
    """

    question: AdviceQuestion
    problem: Problem
    catalog: Catalog
    plugins: tuple[str, ...]
    conditions: Conditions
    folder: Path
    tell: Tell
    reporter: Reporter | None = None
    own_catalog: bool = False

    @property
    def estimand(self) -> Estimand:
        """What is asked of the problem."""
        return self.question.estimand

    @property
    def dtype(self) -> str:
        """In which the operator computes."""
        return self.conditions.dtype or "float32"

    def bound(self, candidate: AdviceCandidate) -> BoundMethod:
        """A method, bound to the estimand.

        Raises:
            ValueError: If it is not registered, or does not answer the estimand.
        """
        return self.catalog.method(candidate.spec, self.estimand)

    def planned(self, runs: Sequence[AdviceRun], conditions: Conditions | None = None) -> list[PlannedCell]:
        """The cells of runs."""
        return plan(self._suite(runs), self.catalog, conditions or self.conditions)

    def perform(
        self, runs: Sequence[AdviceRun], timeout_s: float, *, references: bool = False
    ) -> tuple[list[PilotPoint], list[FailedPilot]]:
        """Run what is not there yet, and read what all of it said.

        Args:
            runs: What is to be there.
            timeout_s: Limit of a cell.
            references: Whether the truth is looked for.

        Raises:
            OSError: If the folder cannot be written.
        """
        conditions = replace(self.conditions, timeout_s=max(timeout_s, 1.0))
        options = Options(plugins=self.plugins, conditions=conditions, prices=False, references=references)
        catalog = self.catalog if self.own_catalog else None
        run(self._suite(runs), self.folder, options, catalog=catalog, reporter=self.reporter)
        by_spec = {str(self.bound(it.candidate).spec): it.candidate for it in runs}
        cells = [(entry.cell.id, by_spec[entry.cell.method]) for entry in self.planned(runs, conditions)]
        return observe(self.folder, cells, self.estimand.spec)

    def _suite(self, runs: Sequence[AdviceRun]) -> Suite:
        crosses = tuple(
            Cross(
                self.estimand.spec,
                (self.problem.name,),
                (it.candidate.spec,),
                it.budgets,
                it.repeats,
                memory=False,
                first_repeat=it.first_repeat,
            )
            for it in runs
        )
        return Suite("advise", 1, crosses)
