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
from hessbench.methods.krylov.recurrence import check_start, norm, project_out
from hessbench.methods.krylov.ritz import sort_key
from hessbench.methods.probes import draw_normal
from hessbench.methods.small_dense import eigenpairs_of
from hessbench.operators import LinearOperator

_CUT: Final = 0.5**0.5  # a pass that leaves less than this of the norm has lost digits and is repeated
_CHUNK: Final = 2**16


@dataclass(frozen=True)
class Restarted:
    """T of A Q = Q T + r e^T after a product: kept Ritz values, an arrow that couples them, then a tridiagonal part.

    Attributes:
        kept: Ritz values kept at the latest restart, shape (p,).
        arrow: Their coupling to the first vector after them, shape (p,).
        alphas: Diagonal from there on, scalars on the operator's device; only appended to until the next restart.
        betas: Off-diagonal from there on; an exact zero where an invariant subspace was exhausted.
        size: Number of `alphas` that count.
        spent: Products so far.
        operations: Vector operations so far.
        exhausted: Whether a subspace had been exhausted before the latest restart.
        basis: The vectors as rows, of which p + size count.
    """

    kept: Array
    arrow: Array
    alphas: list[Tensor]
    betas: list[Tensor]
    size: int
    spent: int
    operations: int
    exhausted: bool
    basis: Tensor | None

    def read(self) -> tuple[Array, Array]:
        """T in float64, shape (p + size, p + size), and the betas, shape (size,), the last the residual's norm."""
        both = torch.stack(self.alphas[: self.size] + self.betas[: self.size]).cpu().double().numpy()
        alphas, betas = both[: self.size], both[self.size :]
        p = self.kept.size
        T = np.diag(np.concatenate([self.kept, alphas]))
        inner = np.arange(p, p + self.size - 1)
        T[inner, inner + 1] = T[inner + 1, inner] = betas[:-1]
        T[:p, p] = T[p, :p] = self.arrow
        return T, betas


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
    zero = torch.zeros((), dtype=op.dtype, device=op.device)
    r, size, scale = start.clone(), check_start(start), zero
    negligible = 10 * torch.finfo(op.dtype).eps
    on_host = op.device.type == "cpu"
    empty = torch.empty(rows, n, dtype=op.dtype, device=op.device)
    state = Restarted(np.zeros(0), np.zeros(0), [], [], 0, 0, 0, exhausted=False, basis=empty)
    arrow = empty[:0, 0]
    for step in range(1, num_steps + 1):
        p, count = state.kept.size, state.operations
        if p + state.size == rows:
            state = _restart(state, order, keep, copy=copy)
            p = state.kept.size
            arrow = torch.from_numpy(state.arrow).to(dtype=op.dtype, device=op.device)
            count = state.operations
        Q, alphas, betas, j = _basis_of(state), state.alphas, state.betas, p + state.size
        q = torch.div(r, size, out=Q[j])
        product = op.matmat(q[:, None]).detach()[:, 0]
        alpha = torch.dot(q, product)
        torch.addcmul(product, q, alpha, value=-1, out=r)
        if betas:
            r.addcmul_(Q[j - 1], betas[-1], value=-1)
        elif p:
            r.addmv_(Q[:p].T, arrow, alpha=-1)
        count += 5 if betas else 4 + p
        size = before = norm(r)
        scale = torch.maximum(scale, torch.maximum(alpha.abs(), before))
        alphas.append(alpha)
        whole = j + 1 == n
        held, broken, passes = Q[: j + 1], zero.bool(), 0
        if not whole:
            size, passes = project_out(held, r), 1
            broken = size <= negligible * scale
            if not on_host:  # to ask would cost a synchronisation
                r = torch.where(broken, draw_normal(n, 1, op, generator)[:, 0], r)
                size, passes = project_out(held, r), 2
            elif broken:
                r = draw_normal(n, 1, op, generator)[:, 0]
                before = norm(r)
                size, passes = project_out(held, r), 2
            if on_host and size < _CUT * before:
                size, passes = project_out(held, r), passes + 1
        count += passes * (2 * (j + 1) + 1)
        betas.append(zero if whole else torch.where(broken, zero, size))
        state = replace(state, size=state.size + 1, spent=step, operations=count)
        yield state
        if whole:
            return


def _basis_of(state: Restarted) -> Tensor:
    if state.basis is None:
        raise ValueError("basis must be kept while the run goes on")
    return state.basis


def _restart(state: Restarted, order: TopEigenvalues, keep: int, *, copy: bool) -> Restarted:
    """Replace a full basis by its first Ritz vectors; the residual's direction is to follow."""
    T, betas = state.read()
    values, vectors = eigenpairs_of(T)
    first = np.argsort(sort_key(order, values), kind="stable")[:keep]
    Q = _basis_of(state)
    coefficients = torch.from_numpy(vectors[:, first].T.copy()).to(dtype=Q.dtype, device=Q.device)
    target = torch.empty_like(Q) if copy else Q
    for begin in range(0, Q.shape[1], _CHUNK):
        part = slice(begin, begin + _CHUNK)
        target[:keep, part] = coefficients @ Q[:, part]
    return Restarted(
        kept=values[first],
        arrow=betas[-1] * vectors[-1, first],
        alphas=[],
        betas=[],
        size=0,
        spent=state.spent,
        operations=state.operations + keep * T.shape[0],
        exhausted=state.exhausted or bool((betas == 0).any()),
        basis=target,
    )
