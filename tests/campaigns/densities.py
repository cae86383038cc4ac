"""Density estimators side by side on a heavy tail with many zeros: abs(Student-t(1)), 90 % zeros, float32.

Run `python tests/campaigns/densities.py`, with `--dims 1000 1000000`, `--seeds 15 1`, `--budget 100` and `--k 10`.
Medians over the seeds of Wasserstein-1 over the spread; the same of the bulk (the k largest magnitudes of the truth and
mass k/n of largest magnitude of the estimate removed, both renormalised); Kolmogorov-Smirnov; and the error of the mass
at zero. It ends with the winner of each and how far the best is below plain SLQ on the bulk.
"""

from __future__ import annotations

import argparse

import numpy as np
import torch

from hessbench.catalog import load_catalog
from hessbench.estimand import Density
from hessbench.estimand.density import spread_of, wasserstein1
from hessbench.seeding import make_generator

METHODS = (
    "slq", "slq[steps=50]", "slq[steps=100]", "kpm", "kpm[damping=lorentz]", "kpm[damping=lanczos]", "lanczos-density",
    "sketch-density", "deflated-slq", "deflated-slq[rank=30,steps=50]", "deflated-slq[by=simultaneous]",
    "krylov-aware-slq", "krylov-aware-slq[starts=2]", "krylov-aware-slq[share=0.5]", "self-deflated-slq",
)  # fmt: skip


def without_largest(nodes, weights, mass):
    """A measure without `mass` of the largest magnitude, renormalised, nodes ascending."""
    order = np.argsort(-np.abs(nodes), kind="stable")
    left = np.clip(np.cumsum(weights[order]) - mass, 0.0, weights[order])
    kept = left > 0
    x, w = nodes[order][kept], left[kept] / left.sum()
    ascending = np.argsort(x, kind="stable")
    return x[ascending], w[ascending]


def errors(value, reference, n, k):
    """Wasserstein-1, that of the bulk, KS and mass at zero."""
    estimand = Density()
    arrays = estimand.to_arrays(value, n)
    found = estimand.errors(arrays, reference, "float32")
    truth = without_largest(reference.arrays["nodes"], reference.arrays["weights"], k / n)
    bulk = wasserstein1(*without_largest(arrays["nodes"], arrays["weights"], k / n), *truth) / spread_of(*truth)
    return {"wasserstein1": found["wasserstein1"], "bulk": bulk, "ks": found["ks"], "zero_mass": found["zero_mass"]}


def table(n, seeds, budget, k, chosen):
    """Print the medians for one dimension."""
    catalog = load_catalog()
    problem = catalog.problem(f"student-t[df=1,n={n},signed=false,zero_fraction=0.9]")
    op, reference = problem.build(torch.device("cpu"), torch.float32), problem.references[Density](Density())
    medians = {}
    print(f"n = {n}, {budget} products, {seeds} seeds, k = {k}")
    for spec in chosen:
        bound, found = catalog.method(spec, Density()), []
        for seed in range(seeds):
            result = bound.run(op, budget, make_generator(seed))
            for estimate in result if bound.method.is_anytime else [result]:
                last = estimate
            found.append(errors(last.resolve().value, reference, n, k))
        medians[spec] = {name: float(np.median([row[name] for row in found])) for name in found[0]}
        print(f"  {spec:34s}", *(f"{name} {value:.5f}" for name, value in medians[spec].items()), flush=True)
    for name in ("wasserstein1", "bulk", "ks", "zero_mass"):
        best = min(row[name] for row in medians.values())
        print(f"  best by {name}: {', '.join(s for s, row in medians.items() if row[name] == best)} ({best:.5f})")
    if "slq" in medians:
        best = min(row["bulk"] for row in medians.values())
        print(f"  the best bulk is {medians['slq']['bulk'] / best:.1f} times below plain SLQ's")


def main():
    """Read the arguments and print a table for each dimension."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dims", type=int, nargs="+", default=[1000, 1_000_000])
    parser.add_argument("--seeds", type=int, nargs="+", default=[15, 1])
    parser.add_argument("--budget", type=int, default=100)
    parser.add_argument("--k", type=int, default=10)
    parser.add_argument("--methods", nargs="+", default=METHODS)
    asked = parser.parse_args()
    for n, seeds in zip(asked.dims, asked.seeds, strict=True):
        table(n, seeds, asked.budget, asked.k, asked.methods)


if __name__ == "__main__":
    main()
