"""An upper bound of the norm of a symmetric operator, from its powers on a few normal vectors."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Final, NamedTuple

import torch

from hessbench.methods.arguments import check_at_least, check_inside
from hessbench.methods.krylov.vectors import norm
from hessbench.methods.probes import draw_normal
from hessbench.operators import LinearOperator

_LEAST: Final = math.sqrt(2 / math.pi)
"""A normal number is within t of zero with a probability of at most this times t."""


class NormBounds(NamedTuple):
    """What is known of a norm: no less than `low`, and no more than `high` but for a probability."""

    low: float
    high: float


def norm_steps(
    op: LinearOperator, level: float, generator: torch.Generator, *, width: int, num_calls: int
) -> Iterator[NormBounds]:
    """Bound ||E|| of a symmetric E by ||E^q w_i||, w_1, ..., w_p normal.

    With u a unit eigenvector of the largest |lambda|, ||E^q w_i|| >= ||E||^q |<u, w_i>| for every q. All p products
    <u, w_i> are within sqrt(pi / 2) / alpha of zero with a probability of at most alpha^(-p), whatever q, so that
    ||E|| <= (alpha sqrt(2 / pi) max_i ||E^q w_i||)^(1 / q) for all q at once but for that.

    Args:
        op: Operator E of dimension n, fixed before the generator is drawn from.
        level: Probability alpha^(-p) that the norm is above any `high` that is yielded.
        generator: Source of the vectors.
        width: Number p of vectors.
        num_calls: Largest q.

    Yields:
        After each call the best bounds so far; both are 0 where E shows nothing but zeros.

    Cost:
        p products in one call per q; 2 p vectors, which are read twice a call.

    Raises:
        ValueError: If an argument is out of range.

    Source:
        Halko, Martinsson and Tropp, SIAM Rev. 53 (2011) 217-288, lemma 4.1 (q = 1), doi:10.1137/090771806; powers:
        Dixon, SIAM J. Numer. Anal. 20 (1983) 812-814, doi:10.1137/0720053.
    """
    check_inside("level", level, 0, 1)
    check_at_least("width", width, 1)
    check_at_least("num_calls", num_calls, 1)
    block = draw_normal(op.dim, width, op, generator)
    grown = torch.zeros(width, dtype=torch.float64, device=op.device)  # logs of ||E^q w_i||
    low, high = 0.0, math.inf
    constant = -math.log(level) / width + math.log(_LEAST)
    for q in range(1, num_calls + 1):
        block = op.matmat(block).detach()
        sizes = norm(block, dim=0).double()
        grown = grown + sizes.log()
        # The first block is not of unit vectors, and shows no lower bound.
        low = low if q == 1 else max(low, float(sizes.max()))
        largest = float(grown.max())
        high = min(high, math.exp((constant + largest) / q)) if largest == largest else math.nan
        yield NormBounds(low, high)
        if not largest > -math.inf:
            return
        block = block / sizes.where(sizes > 0, 1).to(block.dtype)
