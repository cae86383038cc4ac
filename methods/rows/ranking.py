"""Rows in the order of what they can weigh, as far as a forward pass tells."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from hessbench.estimand import Array
from hessbench.operator_parts import Rows

_OUTLYING: Final = 3.0
"""Times the median of the norms of inputs from which on a sample is taken to be an outlier."""


@dataclass(frozen=True, eq=False)
class Ranking:
    """The rows of a GGN by descending norm of their root, those of outlying samples before their time.

    Attributes:
        order: Numbers of the rows, (num_rows,).
        squares: ||s_r||^2 in that order, (num_rows,), times what an outlying sample counts more.
        weighing: How many of the first ones weigh more than rounding, at least 1; the null rows follow them.
        per_sample: Rows of each sample: row r belongs to sample r // per_sample.
    """

    order: NDArray[np.int64]
    squares: Array
    weighing: int
    per_sample: int

    @property
    def null_rows(self) -> int:
        """Rows behind those that weigh."""
        return self.order.size - self.weighing

    def left_share(self, made: int) -> float:
        """Share of the sum of `squares` behind the first `made` rows; 0 where the sum is."""
        total = float(self.squares.sum())
        return float(self.squares[made:].sum()) / total if total > 0 else 0.0


def ranked(rows: Rows, dtype: torch.dtype) -> Ranking:
    """Rank rows by ||s_r||, the heaviest first; ties by number.

    ||b_r|| = ||J_i^T s_r|| of a sample whose input is far larger than those of others is as much larger in the first
    layer, and in all of a piecewise linear network without biases, and few draws would tell nothing of it. So the norms
    of samples whose inputs are beyond 3 times the median count more, in the ratio to that; all others stay as they are.

    A row is null where ||s_r|| is below eps max ||s||, eps that of the dtype: its square is below eps^2 of the largest,
    which no sum in that dtype sees. Of a softmax, one of the C directions of every sample is.

    Args:
        rows: The rows.
        dtype: In which they are made.

    Cost:
        One forward pass.

    Raises:
        ValueError: If a norm is not finite, or there is no row.
    """
    norms = rows.root_norms().double().numpy()
    if norms.size == 0 or not np.isfinite(norms).all():
        raise ValueError("root_norms must be one finite number for each row at least, got " + _seen(norms))
    is_null = norms <= torch.finfo(dtype).eps * norms.max()
    sizes = norms * np.repeat(_excess(rows.input_norms().double().numpy()), rows.per_sample)
    order = np.lexsort((-sizes, is_null))
    return Ranking(order, sizes[order] ** 2, max(int((~is_null).sum()), 1), rows.per_sample)


def _excess(norms: Array) -> Array:
    """How many times the largest usual norm each is, 1 for all that are usual."""
    usual = _OUTLYING * float(np.median(norms[norms > 0])) if (norms > 0).any() else np.inf
    return np.maximum(np.where(np.isfinite(norms), norms, 0.0) / usual, 1.0)


def _seen(norms: Array) -> str:
    bad = int((~np.isfinite(norms)).sum())
    return f"{bad} of {norms.size} that are not" if norms.size else "none"
