"""What sealing costs a product: the same products asked for across the door and beside it, in turns.

    python tests/campaigns/sealing.py [--rounds 9] [--problem SPEC]

Prints for each problem, dtype and width the median seconds of a counted product, what the door adds to it, and beside
that what its own column, `sealing_s`, holds: the rest of what it adds stays in the method's time. Needs tests/support
on the path.
"""

from __future__ import annotations

import argparse
import statistics
import time

import torch
from sealed_pair import sealed_door

from hessbench import Estimate, Method, Problem, Trace
from hessbench.catalog import load_catalog
from hessbench.cells.build import dtype_of
from hessbench.cells.cell import Cell
from hessbench.clock import Stopwatch
from hessbench.counting import CountingOperator
from hessbench.operators import FunctionOperator, LinearOperator
from hessbench.registry import Registry
from hessbench.sealing.door import Door

N = 100_000
SYNTHETIC = f"student-t[n={N}]"
BUDGET = 10**6
NETWORK = "mlp[weights=random,widths=1333]"
PRODUCTS = {1: 12, 16: 3}


def products(op, /, *, num_matvecs, generator, width=1):
    """Multiply one block again and again, saying how long that took here."""
    block = torch.randn(op.dim, width, generator=generator, dtype=op.dtype)
    op.matmat(block)
    begin = time.perf_counter()
    for _ in range(PRODUCTS[width]):
        op.matmat(block)
    return Estimate(0.0, diagnostics={"seconds": (time.perf_counter() - begin) / PRODUCTS[width]})


METHODS = Registry("method", [Method("products", products, (Trace,))])


def doubling() -> Problem:
    """The cheapest product there is: each entry doubled."""
    return Problem("doubling", N, lambda device, dtype: FunctionOperator(lambda block: 2 * block, N, dtype, device))


def one_run(op: LinearOperator, cell: Cell, door: Door | None, width: int) -> tuple[float, float]:
    """Seconds a product takes the method, and those of them that the door's column holds."""
    counting = CountingOperator(op)
    if door is None:
        bound = METHODS.entry_of(cell.method).bind(cell.method, Trace())
        return bound.run(counting, BUDGET, torch.Generator().manual_seed(0)).diagnostics["seconds"], 0.0
    clock = Stopwatch()
    door.begin(counting, clock)
    clock.start()
    (estimate,) = door.estimates(BUDGET, 0, {})
    clock.pause()
    column = door.overhead_ns * 1e-9 / (PRODUCTS[width] + 1)
    seconds = estimate.resolve().diagnostics["seconds"]
    door.finish()
    return seconds, column


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--problem", action="append", default=[])
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    catalog = load_catalog()
    asked = chosen.problem or ("doubling", SYNTHETIC, NETWORK)
    problems = [doubling() if spec == "doubling" else catalog.problem(spec) for spec in asked]
    print(
        f"{'problem':24} {'n':>7} {'dtype':8} {'k':>3} {'alone':>9} {'sealed':>9} {'added':>7} {'door':>7} {'left':>7}"
    )
    for problem in problems:
        for dtype in ("float32", "float64"):
            op = problem.build(torch.device("cpu"), dtype_of(dtype))
            for width in (1, 16):
                spec = f"products[width={width}]" if width != 1 else "products"
                cell = Cell(problem.name, spec, "trace", (BUDGET,), dtype=dtype)
                alone, sealed, taken = [], [], []
                with sealed_door(cell, problem, METHODS) as door:
                    for _ in range(chosen.rounds):
                        alone.append(one_run(op, cell, None, width)[0])
                        seconds, column = one_run(op, cell, door, width)
                        sealed.append(seconds)
                        taken.append(column)
                base, with_door, own = map(statistics.median, (alone, sealed, taken))
                added = statistics.median(s - a for s, a in zip(sealed, alone, strict=True))
                print(
                    f"{problem.name:24} {problem.dim:7} {dtype:8} {width:3} "
                    f"{base * 1e3:7.2f}ms {with_door * 1e3:7.2f}ms "
                    f"{added / base:7.1%} {own / base:7.1%} {(added - own) / base:7.1%}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
