"""The tridiagonal matrix of a Lanczos run, solved on the CPU in float64, and the quadrature it gives."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import cast

import numpy as np
import scipy.linalg
import torch
from torch import Tensor

from hessbench.estimand.base import Array


@dataclass(frozen=True)
class Tridiagonal:
    """The leading block of T after `size` products, valid for good: the lists behind it are only appended to.

    Attributes:
        alphas: Diagonal entries on the operator's device, scalars, or (p,) for p starts in lock-step.
        betas: betas[j] couples steps j and j + 1; an exact zero where an invariant subspace was exhausted.
        size: Number of steps that count.
        operations: Vectors of length n scaled, added, multiplied or measured by the method itself so far, for a start.
        basis: Lanczos vectors as rows, the first `size` of which count, where they are all kept.
    """

    alphas: list[Tensor]
    betas: list[Tensor]
    size: int
    operations: int = 0
    basis: Tensor | None = None

    def read(self) -> tuple[Array, Array]:
        """Copy alphas and betas, `size` of each, to the CPU in float64; the last beta is the residual's norm."""
        both = torch.stack(self.alphas[: self.size] + self.betas[: self.size]).cpu().double().numpy()
        return both[: self.size], both[self.size :]

    def without_basis(self) -> Tridiagonal:
        """The same, for a thunk that must not keep the basis alive."""
        return replace(self, basis=None)


@dataclass(frozen=True)
class Ritz:
    """Eigenvalues of T, ascending, shape (m,), with its eigenvectors as columns, shape (m, m)."""

    values: Array
    vectors: Array

    @property
    def first(self) -> Array:
        """First components of the eigenvectors, shape (m,)."""
        return self.vectors[0]

    @property
    def last(self) -> Array:
        """Last components of the eigenvectors, shape (m,)."""
        return self.vectors[-1]


def first_block(alphas: Array, betas: Array) -> tuple[Array, Array]:
    """Cut T at the first zero beta: the block that belongs to the start vector."""
    ends = np.flatnonzero(betas == 0)
    size = int(ends[0]) + 1 if ends.size else alphas.size
    return alphas[:size], betas[:size]


def latest_begin(betas: Array) -> int | None:
    """Where the block since the latest zero beta but the last entry begins; None where no beta is zero."""
    zeros = np.flatnonzero(betas == 0)
    if not zeros.size:
        return None
    inner = zeros[zeros < betas.size - 1]
    return int(inner[-1]) + 1 if inner.size else 0


def solve_tridiagonal(alphas: Array, betas: Array) -> Ritz:
    """Diagonalise T on the CPU in float64; all NaN where an entry is not finite.

    Args:
        alphas: Diagonal, shape (m,).
        betas: Off-diagonal, shape (m,); the last entry is not part of T.
    """
    m = alphas.size
    if not (np.isfinite(alphas).all() and np.isfinite(betas[:-1]).all()):
        return Ritz(np.full(m, np.nan), np.full((m, m), np.nan))
    if m == 1:
        return Ritz(alphas.copy(), np.ones((1, 1)))
    return Ritz(*scipy.linalg.eigh_tridiagonal(alphas, betas[:-1]))


def tridiagonal_values(alphas: Array, betas: Array) -> Array:
    """Eigenvalues of T alone, ascending, shape (m,), in half of the time; arguments as in `solve_tridiagonal`."""
    m = alphas.size
    if not (np.isfinite(alphas).all() and np.isfinite(betas[:-1]).all()):
        return np.full(m, np.nan)
    if m == 1:
        return alphas.copy()
    found = scipy.linalg.eigvalsh_tridiagonal(alphas, betas[:-1], check_finite=False, lapack_driver="sterf")
    return cast("Array", found)


def quadrature(alphas: Array, betas: Array) -> tuple[Array, Array]:
    """Gauss quadrature of the start's spectral measure: Ritz values, and squared first components, which sum to one.

    Source:
        Golub and Welsch, Math. Comp. 23 (1969), doi:10.1090/S0025-5718-69-99647-1.
    """
    ritz = solve_tridiagonal(*first_block(alphas, betas))
    return ritz.values, ritz.first**2
