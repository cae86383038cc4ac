"""The cheapest setting of each published library that reaches a tolerance: peer_settings.py --help.

    OMP_NUM_THREADS=1 python tests/campaigns/peer_settings.py --table settings.csv

Every setting of a grid is run at every budget of its list on problems that are in no suite, three repeats each, whose
seeds differ since their problems do. Within 1 %, 5 % for a trace, the best setting of a library is the one that gets
there on most problems at the least gradient-equivalents (their geometric mean over these problems); where none gets
there on any, as for densities, it is the one with the least error at its largest budget (the geometric mean of its
medians). A library's own operator has the same algorithm: the setting found on ours is taken over.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import math
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

import numpy as np
import torch

from hessbench.catalog import Catalog, load_catalog
from hessbench.counting import BudgetExceeded, CountingOperator
from hessbench.estimand import Estimand, Reference, parse_estimand
from hessbench.method import BoundMethod
from hessbench.operators import LinearOperator
from hessbench.seeding import derive_seed, make_generator

NETWORKS: Final = ("digits-mlp[step=100]", "mlp[activation=relu,weights=random,widths=16]")
GGNS: Final = ("digits-mlp[operator=ggn,step=100]", "mlp[activation=relu,operator=ggn,weights=random,widths=16]")
SYNTHETIC: Final = ("student-t[instance=1,zero_fraction=0.5]",)
KNOWN_DIAGONAL: Final = ("diagonal[instance=1]",)
REPEATS: Final = 3


@dataclass(frozen=True)
class Grid:
    """Settings of one library for one estimand.

    Attributes:
        library: Name of the method.
        settings: What is searched: parameters with lists of values, as sweeps of a suite.
        budgets: Products.
        problems: What they are tried on.
    """

    library: str
    settings: str
    budgets: tuple[int, ...]
    problems: tuple[str, ...]


STEPS: Final = (30, 40, 50, 60, 80, 120, 160)
PROBES: Final = (40, 160, 640)
ALL: Final = (*NETWORKS, *SYNTHETIC)

QUESTIONS: Final[dict[str, tuple[str, float, tuple[Grid, ...]]]] = {
    "eigenvalues": ("top-eigenvalues[k=20]", 0.01, (
        Grid("scipy-eigsh", "ncv=[0,30,60,80],tol=[0.0,0.001,0.01,0.1]", (1000,), ALL),
        Grid("scipy-lobpcg", "extra=[0,10,20]", (160, 240, 400, 800), GGNS),
        Grid("pyhessian-power", "max_iter=[100,1000],tol=[0.01,0.001,0.0001,1e-05]", (4000,), ALL),
        Grid("skerch-seigh", "noise=[rademacher,gaussian],recovery=[hmt,nystrom,singlepass,oversampled]",
             (200, 800), ALL),
        Grid("eigenthings-lanczos", "reorthogonalize=[auto,on]", STEPS, ALL),
        Grid("eigenthings-power", "tol=[0.001,0.0001,1e-05]", (4000,), ALL),
        Grid("primate-lanczos", "orth=[0,10,-1]", STEPS, ALL),
    )),
    "trace": ("trace", 0.05, (
        Grid("pyhessian-trace", "tol=[0.01,0.001,0.0001,0.0]", PROBES, ALL),
        Grid("curvlinops-trace", "by=[hutchinson,hutchpp,xtrace]", PROBES, ALL),
        Grid("skerch-xhutchpp", "extra=[0.0,0.34,0.67]", PROBES, ALL),
        Grid("eigenthings-trace", "by=[hutch++,hutchinson]", PROBES, ALL),
        Grid("primate-hutch", "stop=[budget,library]", PROBES, ALL),
    )),
    "density": ("density", 0.01, (
        Grid("pyhessian-density-eig-shim", "steps=[50,100,200,400]", (400,), ALL),
        Grid("curvlinops-density", "bounds=lanczos,kappa=[3.0,30.0,300.0],starts=[1,3]", (400,), ALL),
        Grid("eigenthings-density", "steps=[40,80,200,400]", (400,), ALL),
        Grid("primate-lanczos", "orth=[0,10,-1]", (400,), ALL),
    )),
    "diagonal": ("diagonal", 0.01, (
        Grid("curvlinops-diagonal", "by=[hutchinson,xdiag]", (160, 640), (*NETWORKS, *GGNS, *KNOWN_DIAGONAL)),
        Grid("skerch-xhutchpp", "extra=[0.0,0.34,0.67]", (160, 640), (*NETWORKS, *GGNS, *KNOWN_DIAGONAL)),
    )),
}  # fmt: skip
"""Estimand, tolerance and grids, by the name of the question."""


@dataclass(frozen=True)
class Tried:
    """One setting on one problem: a row of the table."""

    question: str
    library: str
    setting: str
    problem: str
    reached: bool
    budget: int
    products: float
    gradient_equivalents: float
    error: float


@dataclass(frozen=True)
class Verdict:
    """What a setting came to over all its problems: most first, then least."""

    setting: str
    reached: int
    of: int
    gradient_equivalents: float
    error: float

    @property
    def order(self) -> tuple[float, ...]:
        """Smaller is better."""
        return (-self.reached, self.gradient_equivalents, self.error)


def tried(question: str) -> Iterator[Tried]:
    """Every setting of a question on every problem, judged at the least budget from which on all repeats hold."""
    spec, tolerance, grids = QUESTIONS[question]
    estimand, catalog = parse_estimand(spec), load_catalog()
    for grid in grids:
        for chosen, problem in itertools.product(
            catalog.methods.select(f"{grid.library}[{grid.settings}]"), grid.problems
        ):
            setting = catalog.method(chosen.spec, estimand)
            runs = {m: _runs(catalog, setting, problem, estimand, m) for m in grid.budgets}
            held = [m for m in grid.budgets if all(error <= tolerance for error, _, _ in runs[m])]
            after = [m for m in held if all(later in held for later in grid.budgets if later >= m)]
            budget = after[0] if after else grid.budgets[-1]
            errors, products, units = zip(*runs[budget], strict=True)
            yield Tried(question, grid.library, str(setting.spec), problem, bool(after), budget,
                        float(np.median(products)), float(np.median(units)), float(np.median(errors)))  # fmt: skip


def _runs(
    catalog: Catalog, setting: BoundMethod, problem: str, estimand: Estimand, budget: int
) -> list[tuple[float, int, float]]:
    """Error, products and gradient-equivalents of each repeat; what fails is off by everything."""
    op, reference = _built(problem, estimand.spec)
    found: list[tuple[float, int, float]] = []
    for repeat in range(REPEATS):
        counted = CountingOperator(op, budget)
        generator = make_generator(derive_seed("peer-settings", problem, estimand.spec, str(repeat)))
        try:
            answer = setting.answer(setting.run(counted, budget, generator), op.dim, "float32")
            assert answer is not None
            errors = estimand.errors(estimand.to_arrays(answer.value, op.dim), reference, "float32")
            error = errors["relative" if estimand.key == "trace" else type(estimand).primary]
        except (BudgetExceeded, ArithmeticError, ValueError, RuntimeError, np.linalg.LinAlgError):
            error = math.inf
        found.append(
            (error if math.isfinite(error) else math.inf, counted.matvecs, counted.spending.gradient_equivalents)
        )
    return found


@cache
def _built(problem: str, estimand: str) -> tuple[LinearOperator, Reference]:
    asked, made = parse_estimand(estimand), load_catalog().problem(problem)
    finder = made.finder(type(asked))
    assert finder is not None
    return made.build(torch.device("cpu"), torch.float32), finder(asked)


def verdicts(rows: Iterable[Tried]) -> dict[tuple[str, str], list[Verdict]]:
    """Settings by question and library, best first."""
    grouped: dict[tuple[str, str], dict[str, list[Tried]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        grouped[row.question, row.library][row.setting].append(row)
    return {key: _ranked(settings) for key, settings in grouped.items()}


def _ranked(settings: dict[str, list[Tried]]) -> list[Verdict]:
    """Costs are compared on the problems that all settings reached which reached as many as the best."""
    most = max(sum(row.reached for row in rows) for rows in settings.values())
    sets = [{row.problem for row in rows if row.reached} for rows in settings.values()]
    common = set[str]().union(*sets).intersection(*(it for it in sets if len(it) == most)) if most else set[str]()
    made: list[Verdict] = []
    for setting, rows in settings.items():
        unit = _geometric([row.gradient_equivalents for row in rows if row.reached and row.problem in common])
        error = _geometric([row.error for row in rows])
        made.append(Verdict(setting, sum(row.reached for row in rows), len(rows), unit, error))
    return sorted(made, key=lambda it: it.order)


def _geometric(values: Sequence[float]) -> float:
    if not values or not np.isfinite(values).all():
        return math.inf
    return float(np.exp(np.mean(np.log(np.maximum(values, 1e-300)))))


def write_table(rows: Sequence[Tried], path: Path) -> None:
    """Every setting on every problem, one line each."""
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(list(Tried.__dataclass_fields__))
        for row in sorted(rows, key=lambda it: (it.question, it.library, it.setting, it.problem)):
            values = [getattr(row, name) for name in Tried.__dataclass_fields__]
            writer.writerow([f"{value:.4g}" if isinstance(value, float) else value for value in values])


def main() -> None:
    """Print the best setting of each library and those behind it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", type=Path, help="CSV of every setting on every problem")
    parser.add_argument("--question", choices=[*QUESTIONS], action="append", help="all by default")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    rows = [row for question in asked.question or QUESTIONS for row in tried(question)]
    if asked.table:
        write_table(rows, asked.table)
    print("question,library,place,setting,reached,problems,gradient_equivalents,error")
    for (question, library), ranked in sorted(verdicts(rows).items()):
        for place, it in enumerate(ranked, 1):
            costs = f"{it.gradient_equivalents:.4g},{it.error:.2g}"
            print(f"{question},{library},{place},{it.setting},{it.reached},{it.of},{costs}".replace("inf", ""))


if __name__ == "__main__":
    sys.exit(main())
