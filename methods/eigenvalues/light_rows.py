"""Which samples of a Hessian are taken whole, and of which others only the heavy rows of their GGN."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, cast

import torch
from torch import Tensor

from hessbench.operator_parts import Parted, Rowed
from hessbench.operators import FunctionOperator, LinearOperator

_SLOPE: Final = 0.25
"""What a slope counts beside a square of a root: on ResNet20 its part of the residual has a thirteenth of the norm."""

_ROWS: Final = 4
"""Rows for each eigenvalue, at most; and steps for each, in which a sample more costs two products over it."""


@dataclass(frozen=True)
class LightRows:
    """A set of samples, and rows of the GGN of the others.

    Attributes:
        kept: Numbers of the samples that are taken whole.
        dropped: Numbers of the others.
        rows: Numbers of rows of the others, the heaviest first.
    """

    kept: Tensor
    dropped: Tensor
    rows: Tensor


def most_rows(k: int) -> int:
    """Most rows that are made for k eigenvalues."""
    return _ROWS * k


def light_rows(op: Parted, dropped: float, k: int, least: int, otherwise: int) -> LightRows | None:
    """As few samples and rows as leave at most a share of the weight; None where whole samples alone cost no more.

    A sample that is left out leaves its part of the residual, which its slope tells of, and those of its rows that are
    not made. Rows cost a forward pass and a VJP of a sample, once.

    Args:
        op: The Hessian.
        dropped: Share of the weight that may be left.
        k: Number of eigenvalues.
        least: Least number of samples.
        otherwise: How many samples would do without rows.

    Cost: that of `sample_weights`, which has been made.
    """
    rows = cast("Rowed", op.parts.ggn).rows
    roots = rows.root_norms().double().square().view(rows.num_samples, -1)
    slopes = _SLOPE * rows.slope_norms().double()
    order = (slopes + roots.sum(dim=1) * 1e-6).argsort(descending=True, stable=True)
    allowed = dropped * float(roots.sum() + slopes.sum())
    most = most_rows(k)

    def left(size: int) -> Tensor:
        """What is left with 0, 1, ... rows made."""
        squares = roots[order[size:]].flatten().sort(descending=True).values
        tails = squares.flip(0).cumsum(0).flip(0)
        return float(slopes[order[size:]].sum()) + torch.cat([tails, tails.new_zeros(1)])[: most + 1]

    low, high = max(least, 1), otherwise
    while low < high:
        middle = (low + high) // 2
        if float(left(middle)[-1]) <= allowed:
            high = middle
        else:
            low = middle + 1
    if low >= otherwise:
        return None
    count = int((left(low) > allowed).sum())
    if not count or count > most * (otherwise - low):
        return None
    others = order[low:]
    numbers = (others[:, None] * rows.per_sample + torch.arange(rows.per_sample)).flatten()
    heavy = roots.flatten()[numbers].argsort(descending=True, stable=True)[:count]
    return LightRows(order[:low], others, numbers[heavy])


def plus_rows(op: LinearOperator, B: Tensor, sign: float) -> LinearOperator:
    """A + B B^T, or A - B B^T: rows in the columns of B (n, r). Cost of a column: that of A, and 2 r n of own work."""
    return FunctionOperator(
        lambda block: torch.addmm(op.matmat(block), B, B.T @ block, alpha=sign), op.dim, op.dtype, op.device
    )
