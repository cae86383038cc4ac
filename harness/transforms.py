"""Operators made of another: shifted, scaled, mapped to [-1, 1], or less a low-rank part.

Each multiplies with the operator inside once per block, so that its products are charged as those: with an operator
that counts outside, by the kind and samples of `info`, which are passed through; with one that counts inside, by
itself.
"""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from torch import Tensor

from hessbench.operators import (
    Cancelling,
    Factor,
    Factored,
    LinearOperator,
    Multiplies,
    drawn_squares,
    info_of,
    summed_squares,
    summed_work,
)


class AffineOperator(Multiplies):
    """scale * A + shift * I; its products are those of A, and it has no factor."""

    def __init__(self, op: LinearOperator, scale: float, shift: float, done: str) -> None:
        self._op = op
        self._scale = scale
        self._shift = shift
        self.dim = op.dim
        self.dtype = op.dtype
        self.device = op.device
        info = info_of(op)
        self.info = replace(info, engine=f"{info.engine}, {done}" if info.engine else done)

    def matmat(self, block: Tensor, /) -> Tensor:
        """Multiply a block of shape (dim, k)."""
        product = self._op.matmat(block)
        scaled = product if self._scale == 1 else product * self._scale
        return scaled if self._shift == 0 else torch.add(scaled, block, alpha=self._shift)

    def rounding_size(self) -> float:
        """What the products of A round by where terms cancel in them, scaled; 0 where A does not say."""
        return abs(self._scale) * self._op.rounding_size() if isinstance(self._op, Cancelling) else 0.0


class ScaledFactoredOperator(AffineOperator):
    """c A with A = F F^T and c > 0: its factor is sqrt(c) F."""

    def __init__(self, op: LinearOperator, factor: Factor, scale: float) -> None:
        super().__init__(op, scale, 0.0, f"scaled by {scale:g}")
        self.factor = ScaledFactor(factor, scale)


class ScaledFactor:
    """sqrt(c) F, by the products of F."""

    def __init__(self, factor: Factor, scale: float) -> None:
        self._factor = factor
        self._scale = scale
        self.num_samples = factor.num_samples
        self.num_outputs = factor.num_outputs
        self.num_columns = factor.num_columns

    def rmatmat(self, block: Tensor, /) -> Tensor:
        """sqrt(c) F @ block: (num_columns, k) -> (dim, k)."""
        return self._factor.rmatmat(block) * self._scale**0.5

    def squared_sum(self, block: Tensor, /) -> Tensor:
        """Sum over samples of the squared per-sample products: (num_columns, k) -> (dim, k)."""
        return self._factor.squared_sum(block) * self._scale

    def drawn_squares(self, number: int, generator: torch.Generator, /) -> Tensor:
        """Sum over samples of squared gradients at drawn targets: (dim, number)."""
        return drawn_squares(self._factor, number, generator) * self._scale

    def summed_squares(self, block: Tensor, /) -> Tensor:
        """Sum over samples and columns of the squared per-sample products: (num_columns, k) -> (dim,)."""
        return summed_squares(self._factor, block) * self._scale

    def summed_work(self, columns: int, /) -> float:
        """Share of the price of `columns` squares that their sum takes."""
        return summed_work(self._factor, columns)


class DeflatedOperator(Multiplies):
    """A - U diag(values) U^T."""

    def __init__(self, op: LinearOperator, U: Tensor, values: Tensor) -> None:
        self._op = op
        self._U = U
        self._weighted = U * values
        self.dim = op.dim
        self.dtype = op.dtype
        self.device = op.device
        info = info_of(op)
        done = f"less {U.shape[1]} directions"
        self.info = replace(info, engine=f"{info.engine}, {done}" if info.engine else done)

    def matmat(self, block: Tensor, /) -> Tensor:
        """Multiply a block of shape (dim, k)."""
        return torch.addmm(self._op.matmat(block), self._weighted, self._U.T @ block, alpha=-1)


def shifted(op: LinearOperator, shift: float) -> LinearOperator:
    """A + shift * I.

    Args:
        op: A, with or without a factor.
        shift: Any finite number; 0 gives `op` itself. A Hessian with weight decay is the Hessian shifted by it.

    Returns:
        The operator; it has no factor, since A + shift * I is not F F^T.

    Cost: one product of A a column, and n multiplications.

    Raises:
        ValueError: If `shift` is not finite.
    """
    if not math.isfinite(shift):
        raise ValueError(f"shift must be a finite number, got {shift}")
    return op if shift == 0 else AffineOperator(op, 1.0, shift, f"shifted by {shift:g}")


def scaled(op: LinearOperator, scale: float) -> LinearOperator:
    """A times a number.

    Args:
        op: A, with or without a factor.
        scale: Any finite number but 0; 1 gives `op` itself.

    Returns:
        The operator, with the factor sqrt(scale) F where A has a factor F and `scale` is positive.

    Cost: one product of A a column, and n multiplications.

    Raises:
        ValueError: If `scale` is 0 or not finite.
    """
    if not math.isfinite(scale) or scale == 0:
        raise ValueError(f"scale must be a finite number other than 0, got {scale}")
    if scale == 1:
        return op
    if scale > 0 and isinstance(op, Factored):
        return ScaledFactoredOperator(op, op.factor, scale)
    return AffineOperator(op, scale, 0.0, f"scaled by {scale:g}")


def normalised(op: LinearOperator, low: float, high: float) -> LinearOperator:
    """(2 A - (high + low) I) / (high - low), whose spectrum lies in [-1, 1] where that of A lies in [low, high].

    Args:
        op: A; that its eigenvalues lie in the interval is the caller's to know.
        low: Lower end of the interval.
        high: Upper end, above `low`.

    Returns:
        The operator; it has no factor.

    Cost: one product of A a column, and 2 n multiplications.

    Raises:
        ValueError: If an end is not finite, or `high` is not above `low`.
    """
    width = high - low
    if not math.isfinite(width) or width <= 0:
        raise ValueError(f"low and high must be finite with low < high, got {low} and {high}")
    return AffineOperator(op, 2 / width, -(high + low) / width, f"[{low:g}, {high:g}] mapped to [-1, 1]")


def deflated(op: LinearOperator, U: Tensor, values: Tensor) -> LinearOperator:
    """A - U diag(values) U^T: with eigenpairs of A, A on the complement of their span and zero on it.

    Args:
        op: A.
        U: Columns (n, k), in the operator's dtype and on its device; they need not be orthonormal.
        values: Weights of the columns (k,).

    Returns:
        The operator; it has no factor.

    Cost: one product of A a column, and 2 n k multiplications.

    Raises:
        ValueError: If a shape, dtype or device does not fit, or an entry is not finite.
    """
    if U.ndim != 2 or U.shape[0] != op.dim or U.shape[1] < 1:
        raise ValueError(f"U takes the shape ({op.dim}, k) with k at least 1, got {tuple(U.shape)}")
    if values.shape != U.shape[1:]:
        raise ValueError(f"values takes the shape ({U.shape[1]},), one for each column of U, got {tuple(values.shape)}")
    for name, part in (("U", U), ("values", values)):
        if part.dtype != op.dtype or part.device != op.device:
            raise ValueError(f"{name} takes {op.dtype} on {op.device}, got {part.dtype} on {part.device}")
        if not bool(torch.isfinite(part).all()):
            raise ValueError(f"{name} takes finite entries")
    return DeflatedOperator(op, U.detach().clone(), values.detach())
