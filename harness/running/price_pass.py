"""A short pass that measures the prices which a plan lacks, within a stated time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from hessbench.catalog import Catalog
from hessbench.ledger.environment import is_loaded
from hessbench.operators import ProductKind
from hessbench.running.cell_prices import CellPrices, guessed_seconds
from hessbench.running.plan import PlannedCell
from hessbench.running.price_store import Place, PriceStore
from hessbench.workers.messages import Outcome, RunPriceJob
from hessbench.workers.pool import COUNTING, Pool, WorkerConfig
from hessbench.workers.price_messages import BlockPrice, BuiltPrice, MemoryPassPrice, Rehearsal
from hessbench.workers.rehearsal import MOST_DIM

LIMIT_S: Final = 30.0
"""Seconds that a pass may take, where no other limit is named."""

_LEAST_S: Final = 3.0
_MOST_RUNS: Final = 300
"""Runs that one job rehearses; a job is one packet."""

Say = Callable[[str], None]
Run = tuple[str, str, int]


@dataclass
class PassSummary:
    """What a pass did.

    Attributes:
        limit_s: Seconds it was allowed.
        remembered: Problems, under their conditions, whose prices were there.
        measured: Those that were measured now.
        seconds: What the measurements took, beside the start of a worker.
        missing: Why others have no price.
        contended: Whether other work ran on the machine meanwhile.
    """

    limit_s: float
    remembered: int = 0
    measured: int = 0
    seconds: float = 0.0
    missing: dict[str, str] = field(default_factory=dict[str, str])
    contended: bool = False

    @property
    def text(self) -> str:
        """Where the prices come from, and why others are missing, a line each."""
        parts = [f"{self.remembered} remembered"] if self.remembered else []
        if self.measured:
            beside = ", beside other work on the machine" if self.contended else ""
            parts.append(f"{self.measured} measured now in {self.seconds:.1f} s of at most {self.limit_s:g} s{beside}")
        if self.missing:
            parts.append(f"{len(self.missing)} missing")
        lines = [f"problems with prices: {'; '.join(parts)}"]
        return "\n".join([*lines, *(f"no price of {problem}: {why}" for problem, why in self.missing.items())])


def price_plan(
    planned: Sequence[PlannedCell],
    store: PriceStore,
    limit_s: float,
    say: Say,
    *,
    plugins: tuple[str, ...] = (),
    catalog: Catalog | None = None,
) -> tuple[CellPrices, PassSummary]:
    """Measure the prices of a plan that a store lacks, those of cheap problems first.

    Args:
        planned: Cells; those that are skipped have no price.
        store: What is known, and where what is measured is kept.
        limit_s: Seconds that all measurements may take; what is left over after them has no price. 0 measures nothing.
        say: Told what is measured.
        plugins: Plugin files that workers load.
        catalog: Problems and methods that live only in this process, in place of them.

    Returns:
        The prices of the cells, and what was done.

    Raises:
        ValueError: If a worker could not start, and said why.
        ChildProcessError: If it could not, and said nothing.
    """
    timed = [entry for entry in planned if not entry.skip_reason]
    summary = PassSummary(limit_s)
    lacking = _lacking(timed, store, summary)
    if lacking and limit_s > 0:
        modules = tuple(sorted({*COUNTING, *(module for entry in timed for module in entry.problem.modules)}))
        spawn = any(not entry.cell.device.startswith("cpu") for entry in timed)
        summary.contended = is_loaded(max(entry.cell.threads for entry in timed))
        shared = _Shared(store)
        with Pool(WorkerConfig(plugins=plugins, modules=modules, spawn=spawn, catalog=catalog)) as pool:
            for done, (place, runs) in enumerate(lacking):
                left = limit_s - summary.seconds
                if left <= 0:
                    summary.missing[place.problem] = f"not reached within {limit_s:g} s"
                    continue
                say(f"price of the products of {place.problem}")
                share = max(left / (len(lacking) - done), min(_LEAST_S, left))
                outcome = pool.perform(_job(place, runs, shared.lacking(place, runs), share, min(left, 3 * share)))
                summary.seconds += outcome.elapsed_s  # without the start of a server
                if why := _keep(place, outcome, store):
                    summary.missing[place.problem] = why
                else:
                    summary.measured += 1
                    shared.spread(place, runs)
    elif lacking:
        summary.missing = {place.problem: "none is remembered" for place, _ in lacking}
    return CellPrices(store), summary


def _lacking(
    timed: Iterable[PlannedCell], store: PriceStore, summary: PassSummary
) -> list[tuple[Place, tuple[Run, ...]]]:
    """Places of which something was never measured, and the runs on them; those that cost least first."""
    runs: dict[Place, dict[Run, None]] = {}
    weight: dict[Place, float] = {}
    for entry in timed:
        cell, place = entry.cell, Place.of(entry.cell)
        runs.setdefault(place, {})[cell.method, cell.estimand, cell.budget] = None
        weight[place] = max(weight.get(place, 0.0), guessed_seconds(entry))
    found: list[tuple[Place, tuple[Run, ...]]] = []
    for place in sorted(runs, key=lambda place: (weight[place], place.problem)):
        known = store.of(place)
        if known.built is not None and all(run in known.rehearsals or run in known.tried for run in runs[place]):
            summary.remembered += 1
        else:
            # A job has room for so many: those that were never tried go first.
            found.append((place, tuple(sorted(runs[place], key=known.tried.__contains__))))
    return found


class _Shared:
    """Rehearsals that hold for more than one problem: those on the largest small operator, of a method without factor.

    Args:
        store: What is known.
    """

    def __init__(self, store: PriceStore) -> None:
        self._store = store
        self._found: dict[tuple[str, str, int, Run], Rehearsal] = {}
        for place, known in store.prices.items():
            self._take(place, known.rehearsals)

    def lacking(self, place: Place, runs: tuple[Run, ...]) -> set[Run]:
        """Runs that have to be rehearsed with this problem."""
        known = self._store.of(place).rehearsals
        return {run for run in runs if run not in known and self._key(place, run) not in self._found}

    def spread(self, place: Place, runs: tuple[Run, ...]) -> None:
        """Take over what was just measured of a place, and give it what it shares with others."""
        known = self._store.of(place)
        self._take(place, known.rehearsals)
        if known.built is not None and known.built.dim >= MOST_DIM:
            found = {run: self._found[self._key(place, run)] for run in runs if self._key(place, run) in self._found}
            given = [rehearsal for run, rehearsal in found.items() if run not in known.rehearsals]
            self._store.add(place, given, tried=found)

    def _take(self, place: Place, rehearsals: Mapping[Run, Rehearsal]) -> None:
        for run, rehearsal in rehearsals.items():
            if rehearsal.dim == MOST_DIM > rehearsal.allowed and not any(
                name.startswith((ProductKind.VJP, ProductKind.PER_EXAMPLE_SQUARE)) for name in rehearsal.blocks
            ):
                self._found[self._key(place, run)] = rehearsal

    @staticmethod
    def _key(place: Place, run: Run) -> tuple[str, str, int, Run]:
        return place.device, place.dtype, place.threads, run


def _job(place: Place, runs: tuple[Run, ...], lacking: set[Run], limit_s: float, timeout_s: float) -> RunPriceJob:
    asked = sorted(runs, key=lambda run: run not in lacking)[:_MOST_RUNS]
    return RunPriceJob(
        place.problem,
        place.device,
        place.dtype,
        place.threads,
        methods=tuple(method for method, _, _ in asked),
        estimands=tuple(estimand for _, estimand, _ in asked),
        budgets=tuple(budget for _, _, budget in asked),
        rehearsed=tuple(run in lacking for run in asked),
        limit_s=limit_s,
        timeout_s=timeout_s,
    )


def _keep(place: Place, outcome: Outcome, store: PriceStore) -> str:
    """Keep what a job measured; why it measured too little to price anything, empty where it did not."""
    built, blocks = outcome.of_type(BuiltPrice), outcome.of_type(BlockPrice)
    if not built or not blocks:
        if outcome.end is not None and outcome.end.reason:
            return outcome.end.reason
        limit = outcome.job.timeout_s or 0.0
        return f"its build and one product took more than {limit:.0f} s, or ended the process"
    busy = None if outcome.end is None else outcome.end.busy_s
    start_s = None if busy is None else max(outcome.elapsed_s - busy, 0.0)
    job = outcome.job
    asked: list[Run] = []
    if isinstance(job, RunPriceJob):
        every = zip(job.methods, job.estimands, job.budgets, job.rehearsed, strict=True)
        asked = [(method, estimand, budget) for method, estimand, budget, rehearsed in every if rehearsed]
    rehearsed = outcome.of_type(Rehearsal)
    # One that failed among them is not asked for again; those that the limit cut off are.
    last = rehearsed[-1] if rehearsed else None
    tried = asked[: asked.index((last.method, last.estimand, last.budget)) + 1] if last else []
    store.add(place, [*built, *blocks, *outcome.of_type(MemoryPassPrice), *rehearsed], start_s, tried)
    return ""
