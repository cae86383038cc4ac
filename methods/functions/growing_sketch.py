"""A Nystrom sketch that doubles, its products kept, until conjugate gradients gain nothing from a larger one."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Final

import torch
from torch import Tensor

from hessbench.methods.eigenvalues.nystrom import NystromPairs, nystrom_of
from hessbench.methods.probes import draw_normal
from hessbench.operators import LinearOperator

ENOUGH: Final = 10.0
"""Multiple of the damping to which the last eigenvalue of a sketch has fallen when it is large enough."""


def growing_pairs(op: LinearOperator, rank: int, generator: torch.Generator) -> Iterator[NystromPairs]:
    """Nystrom approximations of min(rank, n), twice, four times as many columns, up to n.

    Every column is multiplied once: a new block is made orthonormal to those before it.

    Args:
        op: Positive semi-definite operator of dimension n.
        rank: Columns of the first sketch, at least 1.
        generator: Source of the blocks.

    Cost: A call of rank products, then one of as many as there were before; own work of some 16 m^2 n in all for m
        columns, and 6 m vectors.

    Raises:
        ValueError: As `nystrom_pairs`.
    """
    n = op.dim
    Omega = torch.empty(n, 0, dtype=op.dtype, device=op.device)
    products = Omega
    while Omega.shape[1] < n:
        width = min(Omega.shape[1] or rank, n - Omega.shape[1])
        fresh = draw_normal(n, width, op, generator)
        for _ in range(2):  # what the first pass leaves along the others is rounding beside what it takes out
            fresh = torch.linalg.qr(fresh - Omega @ (Omega.T @ fresh)).Q.contiguous()
        Omega = torch.cat([Omega, fresh], dim=1)
        products = torch.cat([products, op.matmat(fresh).detach()], dim=1)
        yield nystrom_of(Omega, products)


def is_large_enough(pairs: NystromPairs, damping: float, tolerance: float) -> bool:
    """Whether more columns would cost more products than they save, or the sketch sees nothing but rounding beyond.

    The last eigenvalue l of the sketch bounds how far the preconditioned condition number is above 1 + l / damping:
    Frangella, Tropp and Udell stop where l is at most ten times the damping. The steps that this condition takes,
    sqrt(1 + l / damping) log(2 / tolerance) / 2, may be fewer than the products of the sketch long before.

    Args:
        pairs: The sketch.
        damping: At least 0.
        tolerance: Relative residual asked for.

    Source:
        Frangella, Tropp and Udell, SIAM J. Matrix Anal. Appl. 44 (2023), arXiv:2110.02820, section 5.4.
    """
    last = float(pairs.values.min())
    if last <= max(pairs.shift, ENOUGH * damping):
        return True
    return damping > 0 and steps_for(1 + last / damping, tolerance) <= pairs.values.size


def steps_for(condition: float, tolerance: float) -> float:
    """Steps after which conjugate gradients have the error below a tolerance, whatever the right-hand side."""
    return condition**0.5 * math.log(2 / tolerance) / 2


def sketched_solution(b: Tensor, preconditioned: Tensor, last: float, damping: float) -> Tensor:
    """P^-1 b / (l + damping), the solution where the sketch sees A, and less than it where it does not.

    Args:
        b: Right-hand side (n,).
        preconditioned: P^-1 b (n,).
        last: Last eigenvalue l of the sketch.
        damping: At least 0.

    Returns:
        x (n,); zero where l and the damping are.
    """
    size = last + damping
    return preconditioned / size if size else torch.zeros_like(b)
