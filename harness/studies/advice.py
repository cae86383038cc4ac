"""The study of advice: questions whose answers are known, recommended for, run, and judged."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from hessbench.advising.answered import CarriedOut
from hessbench.advising.question import AdviceQuestion, asked_estimand
from hessbench.advising.trials.carrying_out import carry_out
from hessbench.advising.trials.session import AdviceSession, advise
from hessbench.advising.trials.setting import AdviceSetting
from hessbench.catalog import Catalog, load_catalog
from hessbench.exceptions import first_line
from hessbench.redact import redact
from hessbench.reports.advice.results import AdviceStudyResults, AdviceTrial
from hessbench.running.plan import Conditions

Say = Callable[[str], None]

_TRACES: Final = (
    "student-t[n=100000,zero_fraction=0.9]",
    "student-t[n=100000,signed=false,zero_fraction=0.9]",
    "student-t[df=1.0,n=20000,signed=false,zero_fraction=0.9]",
    "spectrum[n=100000]",
    "spectrum[n=100000,name=step]",
    "digits-mlp[operator=ggn,step=0]",
    "digits-mlp[operator=ggn,step=500]",
    "digits-mlp[step=10]",
    "digits-mlp[step=500]",
    "mlp[activation=relu,data=mnist,operator=ggn,per_class=10,widths=32]",
    "mlp[activation=relu,data=mnist,per_class=10,widths=32]",
)
_VALUES: Final = (
    "student-t[n=100000,zero_fraction=0.9]",
    "spectrum[n=100000]",
    "spectrum[name=linear]",
    "wishart",
    "digits-mlp[operator=ggn,step=10]",
    "digits-mlp[step=0]",
    "digits-mlp[step=500]",
    "mlp[activation=relu,data=mnist,operator=ggn,per_class=10,widths=32]",
    "mlp[activation=relu,data=mnist,per_class=10,widths=32]",
)
_DIAGONALS: Final = (
    "diagonal",
    "diagonal[n=100000]",
    "digits-mlp[operator=ggn,step=500]",
    "digits-mlp[step=500]",
    "mlp[activation=relu,data=mnist,operator=ggn,per_class=10,widths=32]",
    "mlp[activation=relu,data=mnist,per_class=10,widths=32]",
)
_DENSITIES: Final = (
    "student-t[n=100000,zero_fraction=0.9]",
    "student-t[zero_fraction=0.9]",
    "spectrum[n=100000,name=linear]",
    "wigner",
    "digits-mlp[operator=ggn,step=500]",
    "digits-mlp[step=500]",
    "mlp[activation=relu,data=mnist,operator=ggn,per_class=10,widths=32]",
)

QUESTIONS: Final[tuple[tuple[str, str, float], ...]] = (
    *((problem, "trace", within) for problem in _TRACES for within in (0.01, 0.05)),
    *((problem, "top-eigenvalues[k=10]", 0.01) for problem in _VALUES),
    *((problem, "diagonal", 0.05) for problem in _DIAGONALS),
    *((problem, "density", 0.05) for problem in _DENSITIES),
)
"""Problem, estimand and tolerance."""

LARGE: Final[tuple[tuple[str, str, float], ...]] = (
    ("resnet20-cifar10[operator=ggn,samples=64]", "trace", 0.01),
    ("resnet20-cifar10[operator=ggn,samples=64]", "top-eigenvalues[k=10]", 0.01),
    ("resnet20-cifar10[operator=ggn,samples=64]", "diagonal", 0.05),
    ("resnet20-cifar10[operator=ggn,samples=64]", "density", 0.05),
    ("resnet20-cifar10[samples=64]", "trace", 0.01),
)
"""Those whose truth takes minutes, for the campaign of the same name."""


@dataclass(frozen=True)
class AdviceDesign:
    """What is asked.

    Attributes:
        questions: Problem, estimand and tolerance of each.
        budget_s: Seconds for each.
        memory_bytes: Memory of a run.
    """

    questions: tuple[tuple[str, str, float], ...] = field(default_factory=lambda: QUESTIONS)
    budget_s: float = 60.0
    memory_bytes: int = 2 * 2**30


def run_advice(design: AdviceDesign, say: Say) -> AdviceStudyResults:
    """Ask for advice, follow it, and compare with the truth.

    Args:
        design: What is asked.
        say: Told how it goes on.
    """
    catalog = load_catalog()
    trials: list[AdviceTrial] = []
    for problem, estimand, within in design.questions:
        begin = time.perf_counter()
        trials.append(advice_trial(catalog, problem, estimand, within, design))
        took = time.perf_counter() - begin
        say(f"{trials[-1].problem} {estimand} {within:g}: {trials[-1].method} {trials[-1].verdict}, {took:.0f} s")
    return AdviceStudyResults(tuple(trials), design.budget_s)


def advice_trial(catalog: Catalog, spec: str, estimand: str, within: float, design: AdviceDesign) -> AdviceTrial:
    """One question, from its price to the truth.

    Args:
        catalog: Where names are looked up.
        spec: The problem.
        estimand: What of it.
        within: Largest relative error accepted.
        design: Budget and memory.
    """
    problem = catalog.problem(spec)
    asked = asked_estimand(estimand, problem.dim)
    question = AdviceQuestion(problem.name, problem.dim, asked, within, design.budget_s, design.memory_bytes)
    nothing = AdviceTrial(problem.name, problem.dim, asked.spec, within)
    with tempfile.TemporaryDirectory() as folder:
        setting = AdviceSetting(question, problem, catalog, (), Conditions(), Path(folder), _silent, own_catalog=True)
        try:
            session = advise(setting)
        except ValueError as refusal:
            return replace(nothing, failure=redact(first_line(refusal)))
        if session.advice.best is None:
            return nothing
        carried = carry_out(setting, session.prices, session.advice, session.left_s, references=True)
    return _judged(nothing, session, carried)


def _judged(asked: AdviceTrial, session: AdviceSession, carried: CarriedOut) -> AdviceTrial:
    best, last = session.advice.best, carried.last
    assert best is not None, "who calls has looked"
    error = None if last.error is None else last.error.value
    return replace(
        asked,
        method=best.needed.candidate.spec,
        budget=last.budget,
        looks=len(carried.looks),
        predicted_s=float("nan") if best.seconds is None else best.seconds,
        taken_s=sum(look.point.seconds for look in carried.looks if look.point is not None),
        pilot_s=session.pilot.seconds,
        promised=session.advice.promised,
        kept=last.is_within,
        error=float("nan") if error is None else error,
        bound=0.0 if last.error is None else last.error.bound or 0.0,
        failure=last.failure,
    )


def _silent(_: str) -> None:
    """Say nothing."""
