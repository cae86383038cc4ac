"""The spectral density by Krylov-aware deflation: one block Krylov space for the deflation and for its quadrature."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from torch import Tensor

from hessbench.estimand import Array, Density, Estimate, Trace
from hessbench.method import Footprint, Method
from hessbench.methods.arguments import check_at_least
from hessbench.methods.density.deflation import check_share, outside_operator, put_together, rules_outside
from hessbench.methods.krylov.block_recurrence import block_krylov_steps
from hessbench.methods.krylov.ritz import ritz_vectors
from hessbench.methods.probes import draw_normal
from hessbench.methods.small_dense import eigenpairs_of
from hessbench.operators import LinearOperator

_ANY_DIM: Final = 2**62


@dataclass(frozen=True)
class KrylovSplit:
    """How a budget is spent: `blocks` of `width` products, then `starts` of `depth` Lanczos steps."""

    width: int
    blocks: int
    starts: int
    depth: int


def krylov_aware_slq(
    op: LinearOperator,
    /,
    *,
    num_matvecs: int,
    generator: torch.Generator,
    block: int = 1,
    share: float = 0.8,
    extra: int = 0,
    starts: int = 1,
) -> Estimate:
    """Krylov-aware deflation: V = span [X, A X, ..., A^(q-1) X] is deflated, and the same space is its quadrature.

    tr f(A) = tr V^T f(A) V + tr (I - V V^T) f(A) (I - V V^T). With q + e blocks of block Lanczos, T = Q^T A Q on a
    basis Q whose first q blocks span V: the first part is read off T as the sum of |s_V|^2 f(theta), s_V the first
    entries of an eigenvector of T. The second part is estimated from starts uniform on the complement of V by Lanczos
    quadrature of A, not of a projected operator: in the mean nothing is lost, whatever V holds. What V knows exactly
    has mass 1/n an eigenvalue.

    Ritz vectors that have converged to sqrt(eps) are taken out of every product of the second part. In exact
    arithmetic its starts never meet them; rounding brings the largest eigenvalues back within a few steps.

    Args:
        op: Symmetric operator of dimension n.
        num_matvecs: Most products; a few may stay unspent.
        generator: Source of X and of the starts.
        block: Columns of X; n where that is less.
        share: Part of the budget for the block Krylov space, above 0 and below 1.
        extra: Blocks e beyond those that are deflated; they make the quadrature on V exact for polynomials of degree
            2 e + 1.
        starts: Starts on the complement; they share what is left, at most as many as it holds.

    Returns:
        (nodes, weights), the weights summing to one, first those of V, and from which start each node is; in `also` the
        trace, with its standard error over the starts. What few steps or blocks take from a function of the matrix is
        in no standard error. Diagnostics: `deflated`, the dimension of V; `starts`; `steps`, Lanczos steps of a start.

    Cost:
        q + e calls of width `block`, then a call of width `starts` a step, each followed by 4 n multiplications a
        column and converged vector; a basis of (q + e) block vectors.

    Raises:
        ValueError: If `num_matvecs` is below (1 + extra) min(block, n) + 1, or another argument is out of range.

    Source:
        Chen and Hallman, SIAM J. Matrix Anal. Appl. 44 (2023), doi:10.1137/22M1494257, arXiv:2205.01736.
    """
    check_at_least("block", block, 1)
    check_at_least("extra", extra, 0)
    check_at_least("starts", starts, 1)
    check_share(share)
    n = op.dim
    check_at_least("num_matvecs", num_matvecs, _least(n, block=block, extra=extra))
    split = _split(n, num_matvecs, block, share, extra, starts)
    X = draw_normal(n, split.width, op, generator)
    steps = block_krylov_steps(op, X, num_matvecs=split.blocks * split.width, generator=generator)
    T = deque(steps, maxlen=1)[0]
    projected, Q = T.read(), T.basis
    assert Q is not None, "block Krylov steps keep their basis"
    size = projected.shape[0]
    inside = n if size == n else size - extra * split.width
    values, S = eigenpairs_of(projected)
    depth = min(split.depth, n - inside)
    rules: list[tuple[Array, Array]] = []
    if inside < n:
        residuals = np.linalg.norm(T.coupling @ S[size - T.coupling.shape[1] :], axis=0)
        inner = outside_operator(op, _converged(Q, values, S, residuals, inside))
        scale = float(np.abs(values).max())
        rules = rules_outside(inner, Q[:inside].T, split.starts, depth, generator, scale=scale)
    weights = (S[:inside] ** 2).sum(axis=0) / n
    said = {"deflated": inside, "starts": len(rules), "steps": depth}
    return put_together(n, (values, weights), n * float(values @ weights), inside, rules, said)


def _converged(Q: Tensor, values: Array, S: Array, residuals: Array, inside: int) -> Tensor:
    """Ritz vectors (n, c) that have converged to sqrt(eps) and lie in the deflated space to as much."""
    room = float(torch.finfo(Q.dtype).eps) ** 0.5
    within = 1 - (S[:inside] ** 2).sum(axis=0) <= room**2
    kept = within & (residuals <= room * np.abs(values).max())
    return ritz_vectors(Q[: values.size], S[:, kept & np.isfinite(values)])


def _split(dim: int, num_matvecs: int, block: int, share: float, extra: int, starts: int) -> KrylovSplit:
    width = min(block, dim)
    blocks = max(1 + extra, min(int(share * num_matvecs), num_matvecs - 1) // width)
    blocks = min(blocks, -(-dim // width))
    left = max(1, num_matvecs - blocks * width)
    starts = min(starts, left)
    return KrylovSplit(width, blocks, starts, left // starts)


def _least(dim: int, *, block: int, extra: int, **_: object) -> int:
    return (1 + extra) * min(block, dim) + 1


def _widths(num_matvecs: int, *, block: int, share: float, extra: int, starts: int, **_: object) -> tuple[int, ...]:
    split = _split(_ANY_DIM, num_matvecs, block, share, extra, starts)
    return tuple(sorted({min(split.width, num_matvecs), split.starts}))


def _footprint(
    dim: int, num_matvecs: int, *, block: int, share: float, extra: int, starts: int, **_: object
) -> Footprint:
    split = _split(dim, num_matvecs, block, share, extra, starts)
    size, depth = split.blocks * split.width, split.depth
    # Half of the space is taken to have converged.
    held = 1.5 * size + max(2.0 * split.width, split.starts * (depth + 6.0))
    after = split.starts * (depth * (depth + 1) + (18.0 + size) * depth)
    return Footprint(vectors=held, passes=2.0 * size * (size + 1) + 18.0 * size + after)


KRYLOV_AWARE_SLQ = Method(
    name="krylov-aware-slq",
    run=krylov_aware_slq,
    estimands=(Density, Trace),
    citation=(
        "Chen and Hallman, Krylov-aware stochastic trace estimation, SIAM J. Matrix Anal. Appl. 44 (2023) 1218-1244, "
        "doi:10.1137/22M1494257, arXiv:2205.01736"
    ),
    version="1",
    min_matvecs=_least,
    block_widths=_widths,
    footprint=_footprint,
)
