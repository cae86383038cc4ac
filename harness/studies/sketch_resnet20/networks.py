"""The matrices that the study asks for, built once a unit, with two threads on a CPU."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import Final

import torch

from hessbench.catalog import Catalog, load_catalog
from hessbench.demand import Demand, demanding
from hessbench.operators import LinearOperator
from hessbench.problem import Problem

THREADS: Final = 2


@contextmanager
def built(spec: str, device: str, products: int, widths: tuple[int, ...] = (1,)) -> Generator[tuple[Catalog, Problem, LinearOperator]]:
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
    problem = catalog.problem(spec)
    if problem.refusal:
        raise ValueError(f"{spec}: {problem.refusal}")
    before = torch.get_num_threads()
    torch.set_num_threads(THREADS if device == "cpu" else before)
    try:
        with demanding(Demand(products)):
            op = problem.build(torch.device(device), torch.float32)
        for width in widths:
            op.matmat(torch.ones(op.dim, width, dtype=op.dtype, device=op.device))
        yield catalog, problem, op
    finally:
        torch.set_num_threads(before)
