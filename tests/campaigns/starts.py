"""What Lanczos and block Krylov gain by a start that knows something of the network: starts.py --help.

    OMP_NUM_THREADS=1 python tests/campaigns/starts.py digits-mlp 'digits-mlp[operator=ggn]' --k 10 20

Gradient-equivalents until the first k eigenvalues by magnitude are within 1 %, the start included, medians over seeds.
Starts: normal; the gradient; the gradients of the classes, mixed at random, or as a block; Ritz vectors of the Gram
matrix of the max(64, 3 k) heaviest rows, mixed, or as a block; these rows mixed.

Found, medians of five seeds, in float64 on digits (random, gradient, classes, Ritz vectors, rows):

    Lanczos        Hessian, step 500   k = 10   36.0  45.0  39.0  40.5  38.5   k = 20    104   103   103   100   104
    Lanczos        GGN,     step 500   k = 10   21.3  22.3  19.7  20.5  21.8   k = 20   53.3  53.0  58.3  52.5  53.8
    Lanczos        Hessian, step 0     k = 10   46.0  47.0  43.0  46.5  42.5   k = 20    122   137   123   126   118
    block Krylov   Hessian, step 500   k = 10    100     -   101   100     -   k = 20    200     -   141   200     -
    block Krylov   GGN,     step 500   k = 10   53.3     -  54.3  40.5     -   k = 20    133     -  94.3   107     -
    Lanczos        ResNet20's Hessian, one seed, float32       k = 20   82.0  75.0  75.0  75.3  85.3

On digits no single start saves more than the seeds differ by; on ResNet20 three of them saved seven of 82, but with one
seed that may be chance. A block saves up to a third, and stays dearer than Lanczos from a random start by 1.4 times at
least. So none of these became an option of either method.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from hessbench.catalog import load_catalog
from hessbench.counting import CountingOperator
from hessbench.estimand import TopEigenvalues
from hessbench.estimand.base import Array
from hessbench.methods.krylov.block_recurrence import block_krylov_steps
from hessbench.methods.krylov.recurrence import lanczos_steps
from hessbench.methods.krylov.tridiagonal import solve_tridiagonal
from hessbench.operators import ProductKind
from hessbench.problems.networks.network import Network
from hessbench.seeding import make_generator

DENSE = 4096
"""Dimension up to which the truth is that of the dense matrix; beyond, that of many steps of Lanczos."""

STEPS = 130


class Start(NamedTuple):
    """A block that spans what is known, of which Lanczos takes a random mix, and gradient-equivalents it cost."""

    block: Tensor
    spent: float


def class_gradients(network: Network) -> Tensor:
    """The part of the gradient that each class adds, (n, classes)."""
    columns: list[Tensor] = []
    classes = int(max(batch.targets.max() for batch in network.batches)) + 1
    for number in range(classes):
        parameters = network.parameters.detach().clone().requires_grad_()
        losses = [
            network.loss.total(network.forward(parameters, batch.inputs[chosen]), batch.targets[chosen])
            for batch in network.batches
            if bool((chosen := batch.targets == number).any())
        ]
        columns.append(torch.autograd.grad(torch.stack(losses).sum() * network.scale, parameters)[0])
    return torch.stack(columns, dim=1)


def starts(op: CountingOperator, network: Network, k: int, generator: torch.Generator) -> Iterator[tuple[str, Start]]:
    """Every start by name, charged."""
    spending = op.spending
    yield "random", Start(torch.randn(op.dim, k, generator=generator, dtype=op.dtype), 0.0)
    yield "gradient", Start(network.gradient()[:, None], 1.0)
    yield "classes", Start(class_gradients(network), 1.0)
    rows = (op if hasattr(op, "rows") else op.parts.ggn).rows
    before = spending.gradient_equivalents
    B = rows(rows.root_norms().argsort(descending=True)[: max(64, 3 * k)])
    values, U = torch.linalg.eigh(B.T @ B)
    spent = spending.gradient_equivalents - before
    yield "ritz", Start(B @ (U[:, -k:] / values[-k:].sqrt()), spent)
    yield "rows", Start(B, spent)


def spent_until(order: TopEigenvalues, truth: Array, found: Iterator[tuple[int, Array]]) -> float:
    """Products until all values are within 1 %; infinite where they never are."""
    for spent, values in found:
        if values.size >= order.k and within(order, truth, values):
            return float(spent)
    return float("inf")


def within(order: TopEigenvalues, truth: Array, values: Array) -> bool:
    """Whether the first values are within 1 %, in magnitude."""
    sizes, wanted = np.abs(order.rank(values)[: order.k]), np.abs(truth)
    return bool((np.abs(sizes - wanted) <= 0.01 * wanted).all())


def by_lanczos(op: CountingOperator, start: Tensor, generator: torch.Generator) -> Iterator[tuple[int, Array]]:
    """Products and Ritz values after every step."""
    for T in lanczos_steps(op, start, reorth="full", num_steps=STEPS, generator=generator):
        yield T.size, solve_tridiagonal(*T.read()).values


def by_blocks(op: CountingOperator, start: Tensor, generator: torch.Generator) -> Iterator[tuple[int, Array]]:
    """Products and Ritz values after every block."""
    for state in block_krylov_steps(op, start, num_matvecs=STEPS, generator=generator):
        T = state.read()
        yield T.shape[0], np.linalg.eigvalsh(T)


def measure(spec: str, k: int, seeds: int, dtype: torch.dtype, *, blocks: bool) -> dict[str, list[float]]:
    """Gradient-equivalents by method and start, one for each seed."""
    problem, order = load_catalog().problem(spec), TopEigenvalues(k)
    inner = problem.build("cpu", dtype)
    price = 4 / 3 if inner.info.kind is ProductKind.GGN else 2.0
    network = inner.network
    if inner.dim <= DENSE:
        truth = problem.references[TopEigenvalues](order).arrays["eigenvalues"]
    else:
        generator = make_generator(99)
        *_, (_, values) = by_lanczos(CountingOperator(inner), torch.randn(inner.dim, generator=generator), generator)
        truth = order.rank(values)[:k]
    found: dict[str, list[float]] = {}
    for seed in range(seeds):
        generator = make_generator(seed)
        for name, start in starts(CountingOperator(inner), network, k, generator):
            mix = torch.randn(start.block.shape[1], generator=generator, dtype=dtype)
            run = by_lanczos(CountingOperator(inner), start.block @ mix, generator)
            cost = start.spent + price * spent_until(order, truth, run)
            found.setdefault(f"lanczos {name}", []).append(cost)
            if blocks and 1 < start.block.shape[1] <= k:
                run = by_blocks(CountingOperator(inner), start.block, generator)
                cost = start.spent + price * spent_until(order, truth, run)
                found.setdefault(f"block-krylov {name}", []).append(cost)
    return found


def main() -> None:
    """Print medians and ranges."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("problems", nargs="+", metavar="SPEC")
    parser.add_argument("--k", nargs="+", type=int, default=[10, 20])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--dtype", choices=("float32", "float64"), default="float64")
    parser.add_argument("--no-blocks", action="store_true", help="leave block Krylov out")
    asked = parser.parse_args()
    for spec in asked.problems:
        for k in asked.k:
            found = measure(spec, k, asked.seeds, getattr(torch, asked.dtype), blocks=not asked.no_blocks)
            for name, costs in found.items():
                print(f"{spec:28} k {k:3}  {name:22} {np.median(costs):7.1f}  {min(costs):7.1f} to {max(costs):7.1f}")


if __name__ == "__main__":
    main()
