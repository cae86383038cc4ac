"""Damped systems by the Gram matrix: of (B^T B + d I) x = b only one with B B^T, which is small, is solved."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Final, cast

import numpy as np
import scipy.linalg
import torch
from torch import Tensor

from hessbench.estimand.base import Array
from hessbench.estimand.work import advance
from hessbench.problems.references.rows import SampleRows

_REFINED: Final = 3
"""Most steps of refinement; each takes the error times eps ||B||^2 / d."""

_CHUNK: Final = 64


@dataclass(frozen=True)
class RowFactor:
    """Products with rows B (P, n), which are kept where they fit into memory and made again for each where they do not.

    Attributes:
        rows: The rows.
        memory: Bytes of rows that may be held.
    """

    rows: SampleRows
    memory: int

    def times(self, v: Tensor) -> Tensor:
        """B v (P,) for v (n,)."""
        parts = [block @ v for _, block in self._blocks()]
        return torch.cat(parts) if parts else v.new_zeros(0)

    def transposed(self, y: Tensor) -> Tensor:
        """B^T y (n,) for y (P,)."""
        total = y.new_zeros(self.rows.dim)
        for start, block in self._blocks():
            total.addmv_(block.T, y[start : start + block.shape[0]])
        return total

    def outer(self, v: Tensor) -> Tensor:
        """B^T B v (n,) for v (n,), in one pass over the rows."""
        total = torch.zeros_like(v)
        for _, block in self._blocks():
            total.addmv_(block.T, block @ v)
        return total

    @cached_property
    def _kept(self) -> Tensor | None:
        count = len(self.rows)
        if not count or 8 * count * self.rows.dim > self.memory:
            return None
        kept = torch.empty(count, self.rows.dim, dtype=torch.float64)
        for start in range(0, count, _CHUNK):
            advance(start, count)
            kept[start : start + _CHUNK] = self.rows.make(start, min(start + _CHUNK, count))
        return kept

    def _blocks(self) -> Iterator[tuple[int, Tensor]]:
        """Rows that follow each other, and the number of the first of them."""
        if self._kept is not None:
            yield 0, self._kept
            return
        count = len(self.rows)
        chunk = max(1, min(_CHUNK, self.memory // (16 * self.rows.dim)))
        for start in range(0, count, chunk):
            advance(start, count)
            yield start, self.rows.make(start, min(start + chunk, count))


def row_passes(count: int, n: int, memory: int) -> int:
    """How often a row is made at most: once where all are kept; else twice a solve, and once a residual."""
    return 1 if 8 * count * n <= memory else 3 * (1 + _REFINED)


def woodbury_solution(factor: RowFactor, gram: Tensor, b: Array, damping: float) -> tuple[Array, float]:
    """Solve (B^T B + d I) x = b by (b - B^T (B B^T + d I)^-1 B b) / d, and refine it until its residual is rounding.

    What cancels in the difference is a part eps ||B||^2 / d of x. A step of refinement, with a residual from the rows
    and not from their Gram matrix, leaves that part of the error.

    Args:
        factor: Products with B (P, n).
        gram: B B^T (P, P).
        b: Right-hand side (n,).
        damping: d, above 0, and not rounding beside ||B||^2.

    Returns:
        x (n,), and |b - (B^T B + d I) x| / |x|, the norm of a change of the matrix of which it is the exact solution;
        0 where x is 0.

    Cost: P^3 multiplications, and `row_passes` passes over the rows.

    Source:
        Woodbury, Inverting modified matrices, Memorandum Report 42, Princeton (1950); Higham, Accuracy and Stability of
        Numerical Algorithms (2002), doi:10.1137/1.9780898718027, chapter 12, for the refinement.
    """
    right = torch.as_tensor(b)
    solve = _small_solver(gram, damping)

    def solution(r: Tensor) -> Tensor:
        return (r - factor.transposed(solve(factor.times(r)))) / damping

    def residual(x: Tensor) -> Tensor:
        return right - factor.outer(x) - damping * x

    rounding = 2.0**-52 * float(torch.linalg.matrix_norm(gram)) if len(gram) else 0.0
    x = solution(right)
    r = residual(x)
    for _ in range(_REFINED):
        if float(r.norm()) <= rounding * float(x.norm()):
            break
        x = x + solution(r)
        r = residual(x)
    size = float(x.norm())
    return x.numpy(), float(r.norm()) / size if size else 0.0


def _small_solver(gram: Tensor, damping: float) -> Callable[[Tensor], Tensor]:
    """Solves (B B^T + d I) y = c for any c (P,)."""
    if not gram.shape[0]:
        return lambda c: c
    factors = scipy.linalg.lu_factor(gram.numpy() + damping * np.eye(gram.shape[0]))
    return lambda c: torch.as_tensor(cast("Array", scipy.linalg.lu_solve(factors, c.numpy())))
