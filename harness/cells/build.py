"""The first steps of a cell: its data, the operator, its health, and a product to hold a later one beside."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor

from hessbench.cells.cell import Cell
from hessbench.demand import Demand, demanding
from hessbench.distributions import library
from hessbench.method import BoundMethod
from hessbench.network_copy import Copied, NetworkCopy
from hessbench.operator_parts import Parted, Rowed
from hessbench.operators import Factored, LinearOperator, check_operator, check_product
from hessbench.problem import FACTOR, Problem
from hessbench.seeding import derive_seed, make_generator


@dataclass(frozen=True)
class Witness:
    """A product made before the run.

    Attributes:
        block: What was multiplied, of shape (dim, 1); None where the first row was made, and nothing multiplied.
        image: What came of it, likewise.
    """

    block: Tensor | None
    image: Tensor

    def refutes(self, op: LinearOperator) -> bool:
        """Whether the same product comes out otherwise now: the operator is no longer what it was."""
        after = _first_row(op) if self.block is None else op.matmat(self.block)
        bound = 1e4 * torch.finfo(op.dtype).eps * float(self.image.norm())
        return not float((after - self.image).norm()) <= bound


def build(cell: Cell, problem: Problem, num_products: int | None = None, *, by_rows: bool = False) -> LinearOperator:
    """Build the cell's operator.

    Args:
        cell: Its device and dtype, and the memory it may take.
        problem: The problem.
        num_products: The largest budget that is spent on it under these conditions; that of the cell by default.
        by_rows: Whether its method makes no whole product, and what these need is left out where the problem can.
    """
    make = problem.build_rows if by_rows and problem.build_rows is not None else problem.build
    with demanding(Demand(num_products or cell.budget, cell.memory_cap_bytes)):
        return make(torch.device(cell.device), dtype_of(cell.dtype))


def load(problem: Problem) -> None:
    """Read what the operator is made of, its data and weights, so that the build finds them in memory."""
    if problem.load is not None:
        problem.load()


def check_built(op: LinearOperator, cell: Cell, problem: Problem) -> None:
    """Refuse an operator that is not what was asked for.

    Raises:
        ValueError: If its dimension, dtype or device is another.
    """
    if op.dim != problem.dim:
        raise ValueError(f"the operator has dimension {op.dim}, its problem declares {problem.dim}")
    if op.dtype != dtype_of(cell.dtype) or op.device.type != torch.device(cell.device).type:
        raise ValueError(f"the operator is {op.dtype} on {op.device}, the cell asks for {cell.dtype} "
                         f"on {cell.device}")  # fmt: skip


def warm_up(op: LinearOperator, cell: Cell, bound: BoundMethod) -> Witness:
    """One product per declared width and the operator's health check; libraries imported.

    A method that multiplies on a copy of the network gets a gradient of one in place of products.

    Raises:
        ValueError: If the operator is not symmetric, or its products are not finite.
    """
    for module in bound.method.modules:
        library(module)
    if bound.method.works_by == "copy" and isinstance(op, Copied):
        _gradient(op.network_copy())
    if FACTOR in bound.method.requires and isinstance(op, Factored):
        factor = op.factor
        factor.squared_sum(torch.ones(factor.num_columns, 1, dtype=op.dtype, device=op.device))
    if bound.method.works_by == "rows" or (bound.method.needs_no_engine and _rows_of(op) is not None):
        row = _first_row(op)
        if not bool(row.isfinite().all()):
            raise ValueError("the operator returned a row that is not finite")
        return Witness(None, row.clone())
    generator = make_generator(derive_seed("warm-up", str(cell.seed)), op.device)
    check_operator(op, generator)
    for width in bound.block_widths(cell.budget):
        op.matmat(_normal(op, min(width, op.dim), generator))
    block = _normal(op, 1, generator)
    image = op.matmat(block)
    check_product(op, block, image)
    return Witness(block.clone(), image.clone())


def dtype_of(name: str) -> torch.dtype:
    """A dtype as torch has it, by its name."""
    return cast("torch.dtype", getattr(torch, name))


def _first_row(op: LinearOperator) -> Tensor:
    """The heaviest row of the first sample, of the operator or of its GGN: (dim, 1).

    Raises:
        ValueError: If the operator has none.
    """
    rowed = _rows_of(op)
    if rowed is None:
        raise ValueError("the operator has no rows, and its method takes no whole product")
    return rowed.rows(torch.zeros(1, dtype=torch.int64))


def _rows_of(op: LinearOperator) -> Rowed | None:
    ggn = op.parts.ggn if isinstance(op, Parted) else op
    return ggn if isinstance(ggn, Rowed) else None


def _gradient(copy: NetworkCopy) -> None:
    inputs, targets = copy.batches[0]
    with torch.enable_grad():
        torch.autograd.grad(copy.loss(copy.model(inputs), targets), list(copy.parameters))


def _normal(op: LinearOperator, width: int, generator: torch.Generator) -> Tensor:
    return torch.randn(op.dim, width, generator=generator, dtype=op.dtype, device=op.device)
