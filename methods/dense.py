"""Everything, exactly, at the price of n products: the baseline every estimator must beat."""

from __future__ import annotations

from functools import partial
from typing import Final

import numpy as np
import torch
from torch import Tensor

from hessbench.estimand import Array, Density, Diagonal, Estimand, Estimate, Solve, TopEigenspace, TopEigenvalues, Trace
from hessbench.estimand.solve import refuse_singular
from hessbench.method import Footprint, Method
from hessbench.methods.arguments import Which, check_at_least
from hessbench.methods.small_dense import eigenvalues_of, to_host, top_pairs
from hessbench.operators import LinearOperator, to_dense

_BLOCK: Final = 256


def dense(
    op: LinearOperator,
    /,
    *,
    num_matvecs: int,
    generator: torch.Generator,
    k: int = 10,
    which: Which = "magnitude",
    damping: float = 0.0,
    b: Tensor | None = None,
) -> Estimate:
    """Multiply the identity, then diagonalise the symmetric part in float64.

    Args:
        op: Symmetric operator of dimension n.
        num_matvecs: Most products; n are spent.
        generator: Not used.
        k: Number of eigenvalues.
        which: Their order: `magnitude`, `algebraic` or `smallest`.
        damping: Multiple of the identity that is added in a system to be solved.
        b: Right-hand side (n,) of that, where one is.

    Returns:
        The first k eigenvalues, and in `also` the trace, the density (every eigenvalue with weight 1/n), the diagonal
        and, computed when they are asked for, the space of the first k eigenvectors and, with b, the solution. What
        error there is comes from the products.

    Cost:
        n products in ceil(n / 256) calls; own work of order n^3, and n^2 numbers of memory.

    Raises:
        ValueError: If `num_matvecs` is below n.

    Source:
        Anderson et al., LAPACK Users' Guide (1999), doi:10.1137/1.9780898719604.
    """
    del generator
    n = op.dim
    check_at_least("num_matvecs", num_matvecs, n)
    A = to_dense(op, block_size=_BLOCK).detach().cpu().double().numpy()
    eigenvalues = eigenvalues_of(A)
    solved: dict[type[Estimand], Estimate] = {}
    if b is not None:
        solved[Solve] = Estimate(partial(_solution, A, eigenvalues, Solve(damping), to_host(b)))
    return Estimate(
        value=TopEigenvalues(k, which).rank(eigenvalues)[:k],
        also={
            Trace: Estimate(float(A.trace())),
            Density: Estimate((eigenvalues, np.full(n, 1 / n))),
            Diagonal: Estimate(A.diagonal().copy()),
            TopEigenspace: Estimate(partial(_top_vectors, A, k, which)),
            **solved,
        },
    )


def _top_vectors(A: Array, k: int, which: Which) -> Array:
    return top_pairs(A, k, which)[1]


def _solution(A: Array, eigenvalues: Array, estimand: Solve, b: Array) -> Array:
    if not np.isfinite(A).all():
        return np.full(b.size, np.nan)
    refuse_singular(estimand, eigenvalues + estimand.damping)
    solution = np.linalg.solve((A + A.T) / 2 + estimand.damping * np.eye(b.size), b)
    return solution.astype(np.float64, copy=False)


def _least(dim: int, **_: object) -> int:
    return dim


def _widths(num_matvecs: int, **_: object) -> tuple[int, ...]:
    return (min(num_matvecs, _BLOCK),)


def _footprint(dim: int, num_matvecs: int, **_: object) -> Footprint:
    del num_matvecs
    # The matrix in its own dtype, its joined copy, and copies in float64 for the symmetric part. Its reduction to a
    # tridiagonal one reads the half that is left once a column, n^3 / 6 numbers in float64.
    return Footprint(vectors=6.0 * dim, passes=8.0 * dim + dim * dim / 3.0)


DENSE = Method(
    name="dense",
    run=dense,
    estimands=(TopEigenvalues, Trace, Density, Diagonal, TopEigenspace, Solve),
    citation="Anderson et al., LAPACK Users' Guide, third edition, SIAM (1999), doi:10.1137/1.9780898719604",
    version="1",
    min_matvecs=_least,
    block_widths=_widths,
    footprint=_footprint,
)
