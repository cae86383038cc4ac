"""The matrices that the study asks for, built once a unit."""

from __future__ import annotations

from typing import NamedTuple

import torch

from hessbench.catalog import Catalog, load_catalog
from hessbench.demand import Demand, demanding
from hessbench.operators import LinearOperator
from hessbench.problem import Problem


class BuiltProblem(NamedTuple):
    """A problem with its operator in float32."""

    catalog: Catalog
    problem: Problem
    op: LinearOperator


def ready_problem(catalog: Catalog, spec: str) -> Problem:
    """A problem that can be built here: a network that is not trained yet is trained by its recipe, and kept.

    Args:
        catalog: Where it is registered.
        spec: Of the problem.

    Raises:
        ValueError: If the problem cannot be had here, saying what is missing.
    """
    problem = catalog.problem(spec)
    if problem.refusal and problem.train is not None:
        problem.train(_unsaid, _unsaid)
    if problem.refusal:
        raise ValueError(f"{spec}: {problem.refusal}")
    return problem


def _unsaid(*_: object) -> None:
    """A study tells of its units, which take longer than the training of one."""


def build_problem(spec: str, device: str, products: int, widths: tuple[int, ...] = (1,)) -> BuiltProblem:
    """A problem and its operator in float32, after a first product of each width that is not counted.

    Args:
        spec: Of the problem.
        device: Where it is built.
        products: Most products that are asked of it.
        widths: Columns of the blocks.

    Raises:
        ValueError: If the problem cannot be had here, saying what is missing.
    """
    catalog = load_catalog()
    problem = ready_problem(catalog, spec)
    with demanding(Demand(products)):
        op = problem.build(torch.device(device), torch.float32)
    for width in widths:
        op.matmat(torch.ones(op.dim, width, dtype=op.dtype, device=op.device))
    return BuiltProblem(catalog, problem, op)
