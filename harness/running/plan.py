"""From a suite to cells: every crossing resolved, checked and put in the order it runs."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Final

from hessbench.catalog import Catalog
from hessbench.cells.cell import MEMORY, TIME, Cell
from hessbench.estimand import Estimand, parse_estimand
from hessbench.method import BoundMethod
from hessbench.problem import Problem
from hessbench.redact import redact
from hessbench.registry import Selected
from hessbench.running.selection import check_selection, chosen_methods, chosen_problems
from hessbench.running.suite import Cross, Suite
from hessbench.seeding import derive_seed

MOST_CELLS: Final = 1_000_000


@dataclass(frozen=True)
class Conditions:
    """What a command line adds to a suite; None leaves the suite's own."""

    device: str | None = None
    dtype: str | None = None
    threads: int | None = None
    timeout_s: float | None = None
    memory_cap_bytes: int | None = None


@dataclass(frozen=True)
class PlannedCell:
    """A cell, and what the names in it stand for.

    Attributes:
        cell: What would run.
        problem: Its problem.
        bound: Its method, with the estimand.
        skip_reason: Why it will not; empty where it will.
        spans: Whether its largest budget is the dimension by the suite's own words, "n".
        sealed: Whether its method is to run in a process of its own.
        plugin: Python file that lists that method; empty where it is installed.
    """

    cell: Cell
    problem: Problem
    bound: BoundMethod
    skip_reason: str = ""
    spans: bool = False
    sealed: bool = False
    plugin: str = ""

    @property
    def beside(self) -> list[str]:
        """What the method answers beside the estimand asked for, without a parameter."""
        own = type(self.bound.estimand)
        others = [kind.default() for kind in self.bound.method.estimands if kind is not own]
        return [estimand.spec for estimand in others if estimand is not None]


def plan(suite: Suite, catalog: Catalog, conditions: Conditions | None = None) -> list[PlannedCell]:
    """Resolve a suite.

    Repeats are interleaved: all cells of repeat 0 in an order seeded by the suite, then those of repeat 1, and so on;
    the memory pass comes last.

    Args:
        suite: What to cross.
        catalog: Where the names are looked up.
        conditions: Overrides of the command line.

    Returns:
        The cells in running order, each once.

    Raises:
        ValueError: If a name, parameter, dimension or budget is not accepted and no glob chose it, or the selection
            leaves nothing.
    """
    check_selection(suite, catalog)
    found: dict[str, PlannedCell] = {}
    for cross in suite.crosses:
        for planned in _cells(cross, suite, catalog, conditions or Conditions()):
            found.setdefault(planned.cell.id, planned)
            if len(found) > MOST_CELLS:
                raise ValueError(f"the suite {suite.name} has more than {MOST_CELLS} cells: make several of it")
    order = random.Random(derive_seed("order", suite.label))
    keyed = [((p.cell.pass_ == MEMORY, p.cell.repeat, order.random()), p) for p in found.values()]
    return [planned for _, planned in sorted(keyed, key=lambda pair: pair[0])]


def _cells(cross: Cross, suite: Suite, catalog: Catalog, conditions: Conditions) -> Iterator[PlannedCell]:
    estimand = parse_estimand(cross.estimand)
    problems = chosen_problems(cross, suite.selection, catalog)
    methods = chosen_methods(cross, suite.selection, catalog)
    for chosen_problem in problems:
        problem = catalog.problem(chosen_problem.spec)
        unavailable = problem.refusal
        for chosen_method in methods:
            if chosen_method.by_glob and not _answers(catalog, chosen_method, estimand):
                continue
            bound = catalog.method(chosen_method.spec, estimand)
            by_glob = chosen_problem.by_glob or chosen_method.by_glob
            base = Cell(
                problem=problem.name,
                method=str(bound.spec),
                estimand=estimand.spec,
                budgets=(1,),
                device=conditions.device or suite.device,
                dtype=conditions.dtype or suite.dtype,
                threads=conditions.threads or suite.threads,
                memory_cap_bytes=conditions.memory_cap_bytes,
                timeout_s=conditions.timeout_s,
            )
            reason = unavailable or bound.skip_reason(problem) or _misfit(estimand, problem, chosen_problem.by_glob)
            yield from _budgeted(base, cross, problem, bound, reason, by_glob)


def _answers(catalog: Catalog, chosen: Selected, estimand: Estimand) -> bool:
    return catalog.methods.entry_of(chosen.spec).answers(type(estimand))


def _misfit(estimand: Estimand, problem: Problem, by_glob: bool) -> str:
    """Why the estimand does not fit the dimension, as a skip reason where a glob chose the problem.

    Raises:
        ValueError: If it does not, and no glob did.
    """
    try:
        estimand.check(problem.dim)
    except ValueError as misfit:
        if by_glob:
            return str(misfit)
        raise ValueError(f"{problem.name}: {misfit}") from None
    return ""


def _budgeted(
    base: Cell, cross: Cross, problem: Problem, bound: BoundMethod, reason: str, by_glob: bool
) -> Iterator[PlannedCell]:
    """Spread a cell over budgets, repeats and passes.

    Raises:
        ValueError: If a budget is too small, and no glob chose the cell.
    """
    budgets = sorted({problem.dim if budget == "n" else int(budget) for budget in cross.num_matvecs})
    least = bound.min_matvecs(problem.dim)
    low = [budget for budget in budgets if budget < least]
    if low and not reason:
        says = f"{bound.spec} needs at least {least} products on {problem.name}, got num_matvecs = {low[0]}"
        if not by_glob:
            raise ValueError(says)
        yield PlannedCell(replace(base, budgets=tuple(low)), problem, bound, says)
    enough = [budget for budget in budgets if budget >= least] or ([] if not reason else budgets)
    if not enough:
        return
    grids = [tuple(enough)] if bound.method.is_anytime else [(budget,) for budget in enough]
    if reason:
        yield from (PlannedCell(replace(base, budgets=grid), problem, bound, reason) for grid in grids)
        return
    for grid in grids:
        spans = "n" in cross.num_matvecs and grid[-1] == problem.dim
        for repeat in range(cross.first_repeat, cross.first_repeat + cross.repeats):
            cell = replace(base, budgets=grid, repeat=repeat, pass_=TIME)
            yield PlannedCell(cell, problem, bound, spans=spans)
    if cross.memory:
        spans = "n" in cross.num_matvecs and grids[-1][-1] == problem.dim
        yield PlannedCell(replace(base, budgets=grids[-1][-1:], pass_=MEMORY), problem, bound, spans=spans)


def prepare(suite: Suite, catalog: Catalog, say: Callable[[str], None]) -> None:
    """Let every problem of a suite that cannot be built here get what it misses, where it knows how.

    A problem that fails at it is told of and stays unavailable, which its cells then say.

    Args:
        suite: What will be run.
        catalog: Where the names are looked up.
        say: Told how it goes on.

    Raises:
        ValueError: If a name or a parameter is not accepted.
    """
    specs = {chosen.spec for cross in suite.crosses for chosen in chosen_problems(cross, suite.selection, catalog)}
    for spec in sorted(specs, key=str):
        problem = catalog.problem(spec)
        if problem.prepare and problem.refusal:
            try:
                problem.prepare(say)
            except Exception as failure:  # noqa: BLE001 -- a problem's own code may raise anything; its cells are skipped
                say(f"{spec}: {redact(str(failure))}")


def shard(cells: list[PlannedCell], index: int, count: int) -> list[PlannedCell]:
    """Keep the cells of one shard; which shard a cell is in depends on its id alone.

    Args:
        cells: The whole plan.
        index: Number of the shard, from 1.
        count: Number of shards.

    Raises:
        ValueError: If `index` is not between 1 and `count`.
    """
    if not 1 <= index <= count:
        raise ValueError(f"shard must be between 1/{count} and {count}/{count}, got {index}/{count}")
    return [planned for planned in cells if int(planned.cell.id, 16) % count == index - 1]


def largest_budgets(planned: list[PlannedCell]) -> dict[tuple[str, str, str, int], int]:
    """The largest budget of all cells of a problem under the same conditions, by which one engine is chosen for all.

    Cells that need none count where there are no others: what they spend is not made by it.
    """
    largest: dict[tuple[str, str, str, int], int] = {}
    with_engine = {conditions_of(entry.cell) for entry in planned if not entry.bound.method.needs_no_engine}
    for entry in planned:
        key = conditions_of(entry.cell)
        if entry.bound.method.needs_no_engine and key in with_engine:
            continue
        largest[key] = max(entry.cell.budget, largest.get(key, 1))
    return largest


def conditions_of(cell: Cell) -> tuple[str, str, str, int]:
    """Problem, device, dtype and threads: cells that agree in them are to multiply alike."""
    return cell.problem, cell.device, cell.dtype, cell.threads
