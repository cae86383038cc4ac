"""The protocol of operators: what methods see of one, and what else it may offer.

Every operator is square, real and symmetric. `matmat` is the one primitive: (n, k) in, (n, k) out.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor


class ProductKind(StrEnum):
    """What one column of a product is, for counting and pricing."""

    PRODUCT = "product"
    GRADIENT = "gradient"
    HESSIAN = "hessian"
    GGN = "ggn"
    JVP = "jvp"
    VJP = "vjp"
    PER_EXAMPLE_SQUARE = "per-example-square"
    FORWARD = "forward"


@runtime_checkable
class LinearOperator(Protocol):
    """A symmetric real operator of dimension `dim`."""

    @property
    def dim(self) -> int:
        """Number of rows and of columns."""
        ...

    @property
    def dtype(self) -> torch.dtype:
        """Floating type of blocks in and out."""
        ...

    @property
    def device(self) -> torch.device:
        """Where blocks live."""
        ...

    def matmat(self, block: Tensor, /) -> Tensor:
        """Multiply a block.

        Args:
            block: Columns to multiply, shape (dim, k).

        Returns:
            The product, shape (dim, k), of the same dtype and device.
        """
        ...


@dataclass(frozen=True)
class OperatorInfo:
    """What one product of an operator is and touches.

    Attributes:
        kind: Kind charged per column.
        samples: Data samples one column touches; 0 for an operator without data.
        population: Samples in the whole data set.
        engine: How the product is computed, for the ledger.
    """

    kind: ProductKind = ProductKind.PRODUCT
    samples: int = 0
    population: int = 0
    engine: str = ""


@runtime_checkable
class Described(Protocol):
    """An operator that says what its products are."""

    @property
    def info(self) -> OperatorInfo:
        """What one product is and touches."""
        ...


@runtime_checkable
class Factor(Protocol):
    """The factor F = J^T Lambda^(1/2) of a GGN = F F^T, with one column per sample and output.

    Column i * num_outputs + c belongs to sample i and output c; the mean over samples is inside Lambda.
    """

    @property
    def num_samples(self) -> int:
        """Number N of samples."""
        ...

    @property
    def num_outputs(self) -> int:
        """Number C of network outputs per sample."""
        ...

    @property
    def num_columns(self) -> int:
        """N * C."""
        ...

    def rmatmat(self, block: Tensor, /) -> Tensor:
        """Compute F @ block by one vector-Jacobian product per column: (num_columns, k) -> (dim, k)."""
        ...

    def squared_sum(self, block: Tensor, /) -> Tensor:
        """Sum over samples of the squared per-sample products: (num_columns, k) -> (dim, k).

        Entry (p, j) is sum_i (sum_c F[p, iC+c] block[iC+c, j])^2, one per-example square per column.
        """
        ...


@runtime_checkable
class DrawsTargets(Protocol):
    """A factor of a loss that is the log-likelihood of a distribution of targets."""

    def drawn_squares(self, number: int, generator: torch.Generator, /) -> Tensor:
        """Sum over samples of squared gradients of the loss at targets drawn from the prediction: (dim, number).

        Entry (p, j) is an unbiased estimate of that of the diagonal of F F^T; one per-example square per column.
        """
        ...


@runtime_checkable
class SumsSquares(Protocol):
    """A factor that adds up the squares of many columns for less than each of them takes."""

    def summed_squares(self, block: Tensor, /) -> Tensor:
        """Sum over samples and columns of the squared per-sample products: (num_columns, k) -> (dim,)."""
        ...


@runtime_checkable
class PricesSums(Protocol):
    """A factor that says what its sums of squares take."""

    def summed_work(self, columns: int, /) -> float:
        """Share of the price of `columns` per-example squares that their sum takes, by counting multiplications."""
        ...


@runtime_checkable
class Factored(Protocol):
    """An operator that offers its factor."""

    @property
    def factor(self) -> Factor:
        """The factor F with operator = F F^T."""
        ...


@runtime_checkable
class Differentiable(Protocol):
    """What a problem is made of, where it has a gradient: products are timed beside it."""

    def to(self, device: torch.device, dtype: torch.dtype) -> Differentiable:
        """The same elsewhere."""
        ...

    def gradient(self) -> Tensor:
        """Gradient (n,) of the objective over all data, as whoever wrote it would compute it."""
        ...


@runtime_checkable
class Cancelling(Protocol):
    """An operator whose products are small differences of large terms, as those of a network that fits its data."""

    def rounding_size(self) -> float:
        """What its products round by, in units of eps: the norm of what cancels in them; costs some products."""
        ...


def drawn_squares(factor: Factor, number: int, generator: torch.Generator) -> Tensor:
    """The squares of `DrawsTargets`.

    Raises:
        ValueError: If no targets can be drawn.
    """
    if not isinstance(factor, DrawsTargets):
        raise ValueError("the factor of this operator draws no targets: take draw=signs")
    return factor.drawn_squares(number, generator)


def summed_squares(factor: Factor, block: Tensor) -> Tensor:
    """The sum of `SumsSquares`, by single columns where the factor has no other way."""
    if isinstance(factor, SumsSquares):
        return factor.summed_squares(block)
    return factor.squared_sum(block).sum(dim=1)


def summed_work(factor: Factor, columns: int) -> float:
    """The share that `PricesSums` tells; 1 where the factor says none."""
    return factor.summed_work(columns) if isinstance(factor, PricesSums) else 1.0


def info_of(op: LinearOperator) -> OperatorInfo:
    """What the products of `op` are; a plain product where it does not say."""
    return op.info if isinstance(op, Described) else OperatorInfo()
