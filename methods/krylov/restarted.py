"""The Lanczos recurrence in a basis of bounded size, restarted with its best Ritz vectors."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import torch
from torch import Tensor

from hessbench.estimand import Array, TopEigenvalues
from hessbench.methods.arguments import check_at_least
from hessbench.methods.krylov.guards import Full
from hessbench.methods.krylov.recurrence import Recurrence
from hessbench.methods.krylov.tridiagonal import Tridiagonal
from hessbench.methods.krylov.vectors import check_start
from hessbench.methods.small_dense import eigenpairs_of
from hessbench.operators import LinearOperator

_CHUNK: Final = 2**16


@dataclass(frozen=True)
class Restarted:
    """T of A Q = Q T + r e^T after a product: kept Ritz values, an arrow that couples them, then a tridiagonal part.

    Attributes:
        kept: Ritz values kept at the latest restart, shape (p,).
        arrow: Their coupling to the first vector after them, shape (p,).
        tail: The tridiagonal part; where its basis is kept, p + size rows of it count.
        spent: Products so far.
        exhausted: Whether a subspace had been exhausted before the latest restart.
    """

    kept: Array
    arrow: Array
    tail: Tridiagonal
    spent: int
    exhausted: bool

    def read(self) -> tuple[Array, Array]:
        """T in float64, shape (p + size, p + size), and the betas, shape (size,), the last the residual's norm."""
        alphas, betas = self.tail.read()
        p = self.kept.size
        T = np.diag(np.concatenate([self.kept, alphas]))
        inner = np.arange(p, p + self.tail.size - 1)
        T[inner, inner + 1] = T[inner + 1, inner] = betas[:-1]
        T[:p, p] = T[p, :p] = self.arrow
        return T, betas

    def without_basis(self) -> Restarted:
        """The same, for a thunk that must not keep the basis alive."""
        return replace(self, tail=self.tail.without_basis())


def thick_restart_steps(
    op: LinearOperator,
    start: Tensor,
    *,
    order: TopEigenvalues,
    basis: int,
    keep: int,
    num_steps: int,
    generator: torch.Generator,
    copy: bool = False,
) -> Iterator[Restarted]:
    """Run Lanczos with full reorthogonalisation in at most `basis` vectors.

    A full basis is replaced by its first `keep` Ritz vectors in the order asked for, followed by the residual's
    direction; T is then diagonal with an arrow, and the recurrence goes on. An invariant subspace is followed by a
    random direction orthogonal to the basis; the run ends when the basis spans the whole space.

    Args:
        op: Operator A.
        start: First direction, shape (n,), not zero; left as it is.
        order: Which Ritz vectors are kept.
        basis: Most vectors held, at least keep + 1.
        keep: Ritz vectors kept at a restart, at least 1.
        num_steps: Most products.
        generator: Source of the directions after an invariant subspace.
        copy: Restart into new memory, so that a basis already handed out stays as it was.

    Yields:
        The projected matrix after every product.

    Cost:
        One product in one call per step. Own work: with m = basis, 2 j n multiplications a Gram-Schmidt pass at size j,
        and 2 m keep n a restart, once in m - keep steps; there T is read from the device. Memory: m + 2 vectors, and
        with `copy` keep more for as long as an old basis is referred to.

    Raises:
        ValueError: If an argument is out of range, or the start is zero or not finite.

    Source:
        Wu and Simon, SIAM J. Matrix Anal. Appl. 22 (2000), doi:10.1137/S0895479898334605.
    """
    check_at_least("num_steps", num_steps, 1)
    check_at_least("keep", keep, 1)
    n = op.dim
    rows = min(basis, n, num_steps)
    if rows < n:
        check_at_least("basis", basis, keep + 1)
    check_start(start)
    Q = torch.empty(rows, n, dtype=op.dtype, device=op.device)
    run = Recurrence(op, start, Q, Full(op, generator, on_host=op.device.type == "cpu"))
    del Q
    kept = arrow = np.zeros(0)
    exhausted = False
    for spent in range(1, num_steps + 1):
        if run.held == rows:
            full = Restarted(kept, arrow, run.matrix(), spent - 1, exhausted)
            kept, arrow, exhausted = _restart(run, full, order, keep, copy=copy)
            del full
        run.advance()
        yield Restarted(kept, arrow, run.matrix(), spent, exhausted)
        if run.ended:
            return


def _restart(
    run: Recurrence, full: Restarted, order: TopEigenvalues, keep: int, *, copy: bool
) -> tuple[Array, Array, bool]:
    """Replace a full basis by its first Ritz vectors; the residual's direction is to follow.

    Returns:
        What the run goes on with: the values kept, their arrow, and whether a subspace has been exhausted.
    """
    T, betas = full.read()
    values, vectors = eigenpairs_of(T)
    first = order.places(values)[:keep]
    Q, S, arrow = run.Q, vectors[:, first].T.copy(), betas[-1] * vectors[-1, first]
    coefficients = torch.from_numpy(S).to(dtype=Q.dtype, device=Q.device)
    target = torch.empty_like(Q) if copy else Q
    for begin in range(0, Q.shape[1], _CHUNK):
        part = slice(begin, begin + _CHUNK)
        target[:keep, part] = coefficients @ Q[:, part]
    run.restart(target, torch.from_numpy(arrow).to(dtype=Q.dtype, device=Q.device))
    run.operations += keep * T.shape[0]
    return values[first], arrow, full.exhausted or bool((betas == 0).any())
