"""The diagonal of any operator exactly, by products with blocks of columns of the identity."""

from __future__ import annotations

import torch

from hessbench.estimand import Diagonal, Estimate, Trace
from hessbench.method import Footprint, Method
from hessbench.methods.arguments import check_at_least
from hessbench.operators import LinearOperator


def diagonal_exact(op: LinearOperator, /, *, num_matvecs: int, generator: torch.Generator, block: int = 64) -> Estimate:
    """Entries e_i^T A e_i, all of them: what the diagonal of a Hessian costs where nothing is estimated.

    Args:
        op: Symmetric operator of dimension n.
        num_matvecs: Most products, at least n; n are spent.
        generator: Not used.
        block: Columns of the identity multiplied at once, at least 1: two blocks (n, block) are all that is held.

    Returns:
        The diagonal, shape (n,), and in `also` its sum, the trace.

    Cost:
        n products in ceil(n / block) calls.

    Raises:
        ValueError: If `num_matvecs` is below n, or `block` below 1.

    Source:
        Bekas, Kokiopoulou and Saad, Appl. Numer. Math. 57 (2007), doi:10.1016/j.apnum.2007.01.003, section 1.
    """
    del generator
    n = op.dim
    check_at_least("block", block, 1)
    check_at_least("num_matvecs", num_matvecs, n)
    diagonal = torch.empty(n, dtype=op.dtype, device=op.device)
    for start in range(0, n, block):
        width = min(block, n - start)
        columns = torch.zeros(n, width, dtype=op.dtype, device=op.device)
        columns[start : start + width].fill_diagonal_(1)
        diagonal[start : start + width] = op.matmat(columns).detach()[start : start + width].diagonal()
    return Estimate(diagonal, also={Trace: Estimate(float(diagonal.sum(dtype=torch.float64)))})


def _least(dim: int, **_: object) -> int:
    return dim


def _widths(num_matvecs: int, *, block: int, **_: object) -> tuple[int, ...]:
    return (min(num_matvecs, block),)


def _footprint(dim: int, num_matvecs: int, *, block: int, **_: object) -> Footprint:
    del num_matvecs
    return Footprint(vectors=2.0 * min(block, dim) + 1, passes=1.0 * dim)


DIAGONAL_EXACT = Method(
    name="diagonal-exact",
    run=diagonal_exact,
    estimands=(Diagonal, Trace),
    citation=(
        "Bekas, Kokiopoulou and Saad, An estimator for the diagonal of a matrix, Appl. Numer. Math. 57 (2007) "
        "1214-1229, doi:10.1016/j.apnum.2007.01.003"
    ),
    version="1",
    min_matvecs=_least,
    block_widths=_widths,
    footprint=_footprint,
)
