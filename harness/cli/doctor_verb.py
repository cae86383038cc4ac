"""`hessbench doctor`."""

from __future__ import annotations

import os
import sys
import warnings
from typing import Any

import click
import torch

from hessbench.catalog import load_catalog
from hessbench.cells.cell import MEMORY, Cell
from hessbench.cli.self_check import default_seed, self_check, summed
from hessbench.estimand import parse_estimand
from hessbench.ledger.environment import capture, is_loaded
from hessbench.ledger.record import Status
from hessbench.operators import info_of
from hessbench.problems.curvature.engines.by_rules import unknown_node
from hessbench.problems.curvature.engines.operator import EngineOperator
from hessbench.problems.curvature.structured import StructuredGGN, StructuredHessian
from hessbench.reports.writing.terminal import print_table, table_console
from hessbench.workers.messages import CellJob
from hessbench.workers.pool import Pool, WorkerConfig

_PROBE = {"problem": "student-t", "method": "hutchinson", "estimand": "trace"}


@click.command("doctor", epilog="Example: hessbench doctor --problem 'mlp[operator=ggn]'")
@click.option("--problem", "spec", metavar="SPEC", help="Say instead how products of this problem are made.")
@click.option("--self-check", "checks", is_flag=True, help="Try instead products and references on cases made here.")
@click.option("--seed", type=click.IntRange(0, 2**62), help="First case of --self-check; the version's by default.")
@click.option(
    "--seconds", type=click.FloatRange(0), default=60.0, show_default=True, help="How long --self-check goes on."
)
@click.option("--plugin", "plugins", multiple=True, metavar="FILE", help="Python file with METHODS or PROBLEMS.")
def command(spec: str | None, checks: bool, seed: int | None, seconds: float, plugins: tuple[str, ...]) -> None:
    """Say what this machine can measure, and which problems cannot be built here; exit code 1 on a defect.

    With --problem, say which engine makes its products here and which node of its network the rules do not know. With
    --self-check, try the promises on cases that are in no registry, and name every one that is broken.
    """
    if spec is not None and checks:
        raise ValueError("doctor takes --problem or --self-check, not both")
    if checks:
        if plugins:
            raise ValueError("doctor takes --plugin or --self-check, not both: the check makes its own cases")
        _check_itself(default_seed() if seed is None else seed, seconds)
        return
    if spec is not None:
        _print_engine(spec, plugins)
        return
    facts = capture("cuda" if _has_cuda() else "cpu")
    console = table_console()
    print_table(console, ("", ""), [(name, _written(value)) for name, value in facts.items()])
    console.print()
    defects = 0
    for name, (passed, detail) in _findings(plugins).items():
        defects += passed is False
        mark = {True: "ok     ", False: "DEFECT ", None: "note   "}[passed]
        console.print(f"{mark} {name}: {detail}", markup=False, highlight=False, soft_wrap=True)
    if defects:
        sys.exit(1)


def _check_itself(seed: int, seconds: float) -> None:
    """One line for each family, and one for each case that broke a promise."""
    broken = False
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what torch has to say of layers is no concern of who asks for this
        totals = summed(self_check(seed, seconds))
    for family, found in totals.items():
        allowed = family.allowed(found)
        broken |= found.broken > allowed
        mark = "BROKEN " if found.broken > allowed else "ok     "
        chance = f" ({allowed} may be by chance)" if family.misses else ""
        click.echo(f"{mark} {family.name}: {found.tried} tried, {found.refused} refused, {found.broken} broken{chance}")
        for detail in found.details:
            click.echo(f"        {' '.join(detail.split())}")
    click.echo(f"seed {seed}")
    if broken:
        sys.exit(1)


def _print_engine(spec: str, plugins: tuple[str, ...]) -> None:
    """Build a problem on the CPU, and say how its products are made."""
    problem = load_catalog(plugins).problem(spec)
    reason = problem.refusal
    if reason:
        raise ValueError(f"{problem.name}: {reason}")
    op = problem.build(torch.device("cpu"), torch.float32)
    click.echo(f"problem {problem.name}: dimension {op.dim}")
    click.echo(f"engine  {info_of(op).engine or 'none: it is no curvature of a network'}")
    if isinstance(op, EngineOperator | StructuredGGN | StructuredHessian):
        unknown = unknown_node(op.network)
        click.echo(f"rules   {unknown or 'every node of the network is known'}")


def _findings(plugins: tuple[str, ...]) -> dict[str, tuple[bool | None, str]]:
    found: dict[str, tuple[bool | None, str]] = {}
    catalog = load_catalog(plugins)
    found["registry"] = (True, f"{len(catalog.problems)} problems, {len(catalog.methods)} methods")
    found["worker"] = _worker(plugins)
    found["load"] = (
        None if is_loaded(1) else True,
        f"{os.getloadavg()[0]:.2f} over the last minute" + ("; times will be marked contended" if is_loaded(1) else ""),
    )
    for family in catalog.problems:
        for spec in family.presets[:1] or (family.name,):
            problem = catalog.problem(spec)
            reason = problem.refusal
            if reason:
                found[spec] = (None, reason)
    return found


def _worker(plugins: tuple[str, ...]) -> tuple[bool, str]:
    """Run one cell in a worker of the memory pass, the plugins imported, and see what it could measure."""
    catalog = load_catalog()
    problem = catalog.problem(_PROBE["problem"])
    cell = Cell(
        problem=problem.name,
        method=str(catalog.method(_PROBE["method"], parse_estimand(_PROBE["estimand"])).spec),
        estimand=_PROBE["estimand"],
        budgets=(20,),
        pass_=MEMORY,
        timeout_s=60.0,
    )
    with Pool(WorkerConfig(plugins=plugins)) as pool:
        outcome = pool.perform(CellJob(cell), memory=True)
    end = outcome.end
    if end is None or end.status is not Status.OK:
        return False, f"a cell did not end well: {end.reason if end else outcome.ended}"
    peak = end.costs.host_peak_bytes
    what = "host peaks can be measured" if peak is not None else end.notes.get("host_peak_bytes", "no host peak")
    return True, f"a cell ran in {outcome.elapsed_s * 1e3:.0f} ms; {what}"


def _has_cuda() -> bool:
    return torch.cuda.is_available()


def _written(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {inner}" for key, inner in value.items()) or "none"  # pyright: ignore[reportUnknownVariableType]
    return str(value)
