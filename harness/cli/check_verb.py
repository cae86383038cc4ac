"""`hessbench check`."""

from __future__ import annotations

import sys
import tempfile

import click
from rich.console import Console

from hessbench.catalog import Catalog, load_catalog
from hessbench.cli.folders import finish
from hessbench.cli.method_target import split_target
from hessbench.ledger.record import Status
from hessbench.method import Method
from hessbench.running.notebook import PROBLEMS
from hessbench.running.plan import Conditions
from hessbench.running.progress import reporter
from hessbench.running.runner import Options, run
from hessbench.running.suite import Cross, Suite
from hessbench.specs import Spec
from hessbench.workers.messages import Cause, ConformanceJob, Law
from hessbench.workers.pool import Pool, WorkerConfig

_BUDGETS = (20, 40, 80)
_ASKED = 10
"""Eigenvalues asked for, where they are what is estimated."""
_LAWS_TIMEOUT_S = 30.0


@click.command("check", epilog="Example: hessbench check my_estimator.py:my_method")
@click.argument("target", metavar="FILE:METHOD")
@click.option("--laws-only", is_flag=True, help="Leave the comparison with the baselines out.")
def command(target: str, laws_only: bool) -> None:
    """Hold a method of one's own against the laws, then compare it quickly with the baselines of its estimand.

    METHOD is a name in the file's METHODS list, with parameters where wanted, or the name of a variable that holds
    one of them; a registered method is checked by its name alone. Exit code 1 when a law is broken.
    """
    plugins, name = split_target(target)
    catalog = load_catalog(plugins)
    method = catalog.methods.entry_of(name)
    spec = method.spec(name)
    console = Console()
    broken = _laws(console, plugins, str(spec))
    if not laws_only:
        _comparison(console, catalog, plugins, method, spec)
    if broken:
        console.print(f"{broken} law{'s' if broken > 1 else ''} broken", highlight=False)
        sys.exit(1)


def _laws(console: Console, plugins: tuple[str, ...], spec: str) -> int:
    """Check the laws in a process of their own: a method that hangs or dies breaks a law and not the check."""
    with Pool(WorkerConfig(plugins=plugins)) as pool:
        outcome = pool.perform(ConformanceJob(spec, timeout_s=_LAWS_TIMEOUT_S))
    broken = 0
    for verdict in outcome.of_type(Law):
        broken += not verdict.passed
        mark = "kept  " if verdict.passed else "BROKEN"
        console.print(f"{mark}  {verdict.law}: {verdict.detail}", markup=False, highlight=False, soft_wrap=True)
    end = outcome.end
    if end is None or end.status is not Status.OK:
        why = "took more than 30 s" if outcome.ended.cause is Cause.TIMEOUT else "ended the process"
        said = (end.reason if end else "") or why
        console.print(f"BROKEN  ends by itself: the check {said}", markup=False, highlight=False)
        broken += 1
    return broken


def _comparison(console: Console, catalog: Catalog, plugins: tuple[str, ...], method: Method, spec: Spec) -> None:
    kind = method.estimands[0]
    estimand = kind.of_size(_ASKED).spec
    problems = [name for name in PROBLEMS[kind.key] if not _unfit(catalog, method, name)]
    if not problems:
        console.print("no comparison: no small problem has the traits the method requires", highlight=False)
        return
    crosses = [
        Cross(estimand, (problem,), (str(spec), *_baselines(catalog, method)), _fitting(catalog, method, spec, problem),
              repeats=3, memory=False)
        for problem in problems
    ]  # fmt: skip
    suite = Suite("check", 1, tuple(crosses))
    with tempfile.TemporaryDirectory() as folder:
        options = Options(plugins=plugins, conditions=Conditions(timeout_s=10.0), prices=False)
        run(suite, folder, options, reporter=reporter(Console(stderr=True)))
        finish(folder, console, report=False)


def _unfit(catalog: Catalog, method: Method, problem: str) -> bool:
    return not set(method.requires) <= set(catalog.problem(problem).traits)


def _baselines(catalog: Catalog, method: Method) -> list[str]:
    """Registered methods whose first estimand is the same and which need no more than the method does."""
    return [
        f"{other.name}*" for other in catalog.methods
        if other.estimands[0] is method.estimands[0] and other.name not in (method.name, "dense")
    ]  # fmt: skip


def _fitting(catalog: Catalog, method: Method, spec: Spec, problem: str) -> tuple[int | str, ...]:
    """Budgets the method accepts."""
    made = catalog.problem(problem)
    kind = method.estimands[0]
    least = method.bind(spec, kind.of_size(_ASKED)).min_matvecs(made.dim)
    return tuple(budget for budget in _BUDGETS if budget >= least) or (least,)
