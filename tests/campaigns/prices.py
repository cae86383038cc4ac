"""Predicted against measured: every cell of some suites is priced, then run, and the ratios are summed up.

Run by hand: `python tests/campaigns/prices.py [OUT.csv]`. Cells run in a shuffled order, without references. What
other work on the machine does to a ratio of seconds is in it; the load is printed.
"""

from __future__ import annotations

import csv
import itertools
import os
import random
import statistics
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hessbench.catalog import load_catalog
from hessbench.cells.cell import MEMORY
from hessbench.running.cell_prices import CellPrices
from hessbench.running.plan import PlannedCell, plan
from hessbench.running.price_pass import price_plan
from hessbench.running.price_store import PriceStore
from hessbench.running.suite import Cross, Suite
from hessbench.workers.messages import CellJob
from hessbench.workers.pool import Pool, WorkerConfig

SYNTHETIC = ("student-t[n=1000,zero_fraction=0.9]", "student-t[n=100000]")
SMALL = ("digits-mlp[step=500]", "mlp[weights=random,widths=128-128]")
LARGE = ("cnn-3c3d[weights=random]", "resnet20-cifar10[samples=32]")
EIGENVALUES = "top-eigenvalues[k=5]"
BUDGETS = (10, 40)
FEW = (10,)

SUITE = Suite(
    "prices",
    1,
    (
        Cross(EIGENVALUES, SYNTHETIC + SMALL, ("lanczos[reorth=full]", "power-iteration", "sketch"), BUDGETS),
        Cross("trace", SYNTHETIC + SMALL, ("hutchinson", "hutchpp"), BUDGETS),
        Cross("density", SYNTHETIC + SMALL, ("slq", "kpm"), (40,)),
        Cross("diagonal", ("digits-mlp[operator=ggn,step=500]",), ("hutchinson-diagonal", "ggn-diagonal-mc"), FEW),
        Cross(EIGENVALUES, (SYNTHETIC[0], SMALL[0]), ("dense",), ("n",)),
        Cross(EIGENVALUES, LARGE, ("lanczos[reorth=full]", "sketch"), FEW),
        Cross("trace", LARGE, ("hutchinson", "hutchpp"), FEW),
    ),
)  # fmt: skip


@dataclass(frozen=True)
class Ratio:
    """Measured over predicted of one cell; None where one of them is not there."""

    cell: PlannedCell
    predicted_s: float | None
    measured_s: float
    run_predicted_s: float | None
    run_measured_s: float | None
    predicted_bytes: int | None
    measured_bytes: int | None
    held_predicted: int | None
    held_measured: int


def main(out: Path | None) -> None:
    """Price, run, compare."""
    catalog = load_catalog(())
    planned = [entry for entry in plan(SUITE, catalog) if not entry.skip_reason]
    modules = tuple(sorted({module for entry in planned for module in entry.problem.modules}))
    random.Random(0).shuffle(planned)
    found: list[Ratio] = []
    with tempfile.TemporaryDirectory() as folder, Pool(WorkerConfig(modules=modules)) as pool:
        # Other work on the machine comes and goes: a problem is priced next to its cells, before each half of them.
        for turn, problem in itertools.product(range(2), sorted({entry.cell.problem for entry in planned})):
            mine = [entry for entry in planned if entry.cell.problem == problem][turn::2]
            store = PriceStore(Path(folder) / f"{turn}-{len(found)}.jsonl")
            prices, summary = price_plan(mine, store, 30.0, say)
            say(f"{summary.text}; load {os.getloadavg()[0]:.1f}")
            for entry in mine:
                if (ratio := compared(entry, prices, pool)) is not None:
                    found.append(ratio)
    report(found)
    if out is not None:
        write(found, out)


def compared(entry: PlannedCell, prices: CellPrices, pool: Pool) -> Ratio | None:
    """Run a cell, and lay beside what was predicted of it what it took; None where it failed."""
    cell, price = entry.cell, prices.cell_price(entry)
    outcome = pool.perform(CellJob(cell), memory=cell.pass_ == MEMORY)
    end = outcome.end
    if end is None or end.status.value not in ("ok", "over-budget"):
        say(f"{cell.method} on {cell.problem}: {end and end.reason}")
        return None
    kept, peak = end.costs.operator_bytes, end.costs.host_peak_bytes
    return Ratio(
        entry,
        price.seconds,
        outcome.elapsed_s,
        None if price.products_s is None or price.own_s is None else price.products_s + price.own_s,
        None if cell.pass_ == MEMORY else end.costs.wall_s,
        price.run_bytes,
        None if kept is None or peak is None else kept + peak,
        price.held_bytes,
        outcome.ended.peak_bytes,
    )


def report(found: list[Ratio]) -> None:
    """Print what the ratios are."""
    say(f"{len(found)} cells, load {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors")
    say(f"sum of seconds: predicted {sum(one.predicted_s or 0 for one in found):.1f}, "
        f"measured {sum(one.measured_s for one in found):.1f}")  # fmt: skip
    told = {
        "seconds of a cell": [(one.measured_s, one.predicted_s) for one in found],
        "seconds of the time pass": [(one.measured_s, one.predicted_s) for one in found if one.run_measured_s],
        "seconds of the memory pass": [(one.measured_s, one.predicted_s) for one in found if not one.run_measured_s],
        "seconds of the iteration": [(one.run_measured_s, one.run_predicted_s) for one in found],
        "iterations above 0.1 s": [
            (one.run_measured_s, one.run_predicted_s) for one in found if (one.run_measured_s or 0) > 0.1
        ],
        "bytes of the run": [(one.measured_bytes, one.predicted_bytes) for one in found],
        "bytes of runs above 10 MB": [
            (one.measured_bytes, one.predicted_bytes) for one in found if (one.measured_bytes or 0) > 1e7
        ],
        "bytes held above the server": [(one.held_measured, one.held_predicted) for one in found],
    }
    for name, pairs in told.items():
        ratios = sorted(measured / predicted for measured, predicted in pairs if measured and predicted)
        if len(ratios) > 1:
            marks = statistics.quantiles(ratios, n=20, method="inclusive")
            say(f"{name}: {len(ratios)} cells, measured / predicted: 5 % {marks[0]:.2f}, 25 % {marks[4]:.2f}, "
                f"median {statistics.median(ratios):.2f}, 75 % {marks[14]:.2f}, 95 % {marks[18]:.2f}, "
                f"range {ratios[0]:.2f} to {ratios[-1]:.2f}")  # fmt: skip


def write(found: list[Ratio], out: Path) -> None:
    """Write a row for each cell."""
    rows: list[dict[str, Any]] = [
        {
            "problem": one.cell.cell.problem, "method": one.cell.cell.method, "estimand": one.cell.cell.estimand,
            "budget": one.cell.cell.budget, "pass": one.cell.cell.pass_,
            **{name: value for name, value in vars(one).items() if name != "cell"},
        }
        for one in found
    ]  # fmt: skip
    with out.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def say(text: str) -> None:
    """Print at once."""
    print(text, flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else None)
