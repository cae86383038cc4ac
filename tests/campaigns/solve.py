"""Products that damped systems and diagonals of a network's Gauss-Newton matrix take, by method; see --help.

Seen on the GGN of the MNIST perceptron (1930 parameters, float64, relative residual 1e-6, damping 1e-5 of the norm;
median products over those of plain conjugate gradients, 857 for a normal right-hand side and 676 for the gradient):

| method | normal | gradient |
| --- | --- | --- |
| `cg[reorth=full]`, exact arithmetic: none that uses b alone is below | .279 | .311 |
| `cg[reorth=first]`, 150 residuals kept | .296 | .318 |
| the same with 125, 100 or 50 kept | .319, .350, .440 | .334, .358, .444 |
| `nystrom-cg[rank=200]`; 180 and 160 | .366; .368, .372 | .429; .423, .423 |
| `nystrom-cg[rank=300]` and 400, where the last eigenvalue is ten dampings | .417, .509 | .510, .633 |
| `nystrom-cg[sizing=adaptive]`, which ends at 200 | .366 | .429 |
| `nystrom-cg[rank=20,reorth=first]` and `[rank=100,reorth=full]` | .320, .330 | .349, .373 |

Tried and left out, as products over those of plain conjugate gradients in the same order:

- a block Krylov sketch of as many products, 100 x 2, 50 x 4, 20 x 10 and 10 x 15: .366, .368, .364, .366; .429, .429,
  .425, .411;
- conjugate gradients deflated (Saad, Yeung, Erhel and Guyomarc'h) by a random block of 200 columns whose products are
  known: .447; .496; by a block of 100 after a power step: .473; .530; by a block Krylov basis 20 x 10: .375; .432;
- the Krylov basis of b itself, 150 products, as a sketch from whose Galerkin solution the run goes on: .295; .321. That
  is what keeping the first 150 residuals does without a preconditioner.

So a sketch at random spends on the spectrum alone what the Krylov space of b spends on the spectrum and on b: it does
not reach a third without orthogonalisation. Keeping the first 150 residuals does, for 150 vectors read twice a step.
"""

from __future__ import annotations

import argparse
import math
from statistics import median
from typing import Any

import numpy as np
import torch

from hessbench.catalog import Catalog, load_catalog
from hessbench.counting import CountingOperator
from hessbench.estimand import Density, Diagonal, Solve
from hessbench.estimand.solve import damping_of
from hessbench.operators import LinearOperator
from hessbench.problem import Problem
from hessbench.seeding import derive_seed, make_generator

MNIST = "mlp[data=mnist-7x7,operator=ggn,recipe=batch:64+momentum:0+rate:0.1,step=500,train_per_class=50]"
DIGITS = "digits-mlp[operator=ggn]"
SHARES = (1e-3, 1e-4, 1e-5)
WANTED = 1e-6
METHODS = (
    "cg",
    "cg[reorth=full]",
    *(f"cg[kept={kept},reorth=first]" for kept in (50, 100, 125, 150)),
    "nystrom-cg[sizing=adaptive]",
    "nystrom-cg[rank=20,reorth=first]",
    *(f"nystrom-cg[rank={rank}]" for rank in (20, 50, 100, 150, 200)),
    *(f"nystrom-cg[rank={rank},reorth=full]" for rank in (20, 50, 100, 150, 200)),
)


def ready(catalog: Catalog, spec: str) -> Problem:
    problem = catalog.problem(spec)
    if problem.refusal and problem.prepare is not None:
        problem.prepare(print)
    if problem.refusal and problem.train is not None:
        problem.train(print, lambda *_: None)
    return problem


def products_to(op: LinearOperator, bound: Any, b: torch.Tensor, seed: int) -> int:
    """Products until the true relative residual is at most 1e-6, measured beside the count; -1 where it never is."""
    counted = CountingOperator(op, 20_000)
    for estimate in bound.run(counted, 20_000, make_generator(seed), {"b": b}):
        found = estimate.resolve()
        if found.diagnostics.get("residual", math.inf) > 2 * WANTED:
            continue
        x = found.value
        left = b - op.matmat(x[:, None])[:, 0] - bound.estimand.damping * x
        if float(left.norm()) <= WANTED * float(b.norm()):
            return counted.matvecs
    return -1


def systems(catalog: Catalog, spec: str, seeds: int) -> None:
    problem = ready(catalog, spec)
    op = problem.build(torch.device("cpu"), torch.float64)
    norm = problem.references[Density](Density()).norm
    print(f"{problem.name}, dimension {problem.dim}, norm {norm:.4g}, float64, relative residual {WANTED:g}")
    print(
        "products, the sketch included, median of", seeds, "right-hand sides and sketches; one gradient, its sketches"
    )
    for rhs in ("normal", "gradient"):
        for share in SHARES:
            print(f"\nrhs={rhs}, damping {share:g} of the norm")
            plain = 0.0
            for method in METHODS:
                counts: list[int] = []
                for seed in range(seeds):
                    estimand = Solve(damping_of(norm, share), rhs, seed if rhs == "normal" else 0)
                    bound = catalog.method(method, estimand)
                    b = torch.as_tensor(estimand.right_side(problem.dim, problem.network))
                    repeats = seed == 0 or rhs == "normal" or method.startswith("nystrom")
                    counts += [products_to(op, bound, b, derive_seed("solve", str(seed)))] if repeats else []
                plain = plain or median(counts)
                print(
                    f"  {method:36} {median(counts):6g}  {median(counts) / plain:5.3f} of plain  {sorted(counts)}",
                    flush=True,
                )


def diagonals(catalog: Catalog, spec: str, seeds: int) -> None:
    problem = ready(catalog, spec)
    op = problem.build(torch.device("cpu"), torch.float64)
    estimand = Diagonal()
    reference = problem.references[Diagonal](estimand)
    print(f"\n{problem.name}: relative 2-norm of the error of the diagonal at 100 products or squares, {seeds} seeds")
    for method in ("hutchinson-diagonal", "diagpp", "xdiag", "ggn-diagonal-mc", "ggn-diagonal-mc[draw=labels]"):
        bound, errors = catalog.method(method, estimand), []
        for seed in range(seeds):
            result = bound.run(CountingOperator(op, 100), 100, make_generator(derive_seed("diagonal", str(seed))))
            last = list(result)[-1] if bound.method.is_anytime else result
            arrays = estimand.to_arrays(last.resolve().value, problem.dim)
            errors.append(estimand.errors(arrays, reference, "float64")["relative_norm"])
        low, high = np.quantile(errors, [0.1, 0.9])
        print(f"  {method:36} {median(errors):.4f}  (10 to 90 %: {low:.4f} to {high:.4f})", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", default=MNIST)
    parser.add_argument("--digits", default=DIGITS)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--diagonal-seeds", type=int, default=20)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    catalog = load_catalog()
    diagonals(catalog, asked.digits, asked.diagonal_seeds)
    systems(catalog, asked.network, asked.seeds)


if __name__ == "__main__":
    main()
