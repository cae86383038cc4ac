"""Rows in the order of what they can weigh, as far as a forward pass tells."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from hessbench.estimand import Array
from hessbench.operator_parts import Rows


@dataclass(frozen=True, eq=False)
class Ranking:
    """The rows of a GGN by descending norm of their root.

    Attributes:
        order: Numbers of the rows, (num_rows,).
        squares: ||s_r||^2 in that order, (num_rows,).
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
        """Share of sum_r ||s_r||^2 behind the first `made` rows; 0 where the sum is."""
        total = float(self.squares.sum())
        return float(self.squares[made:].sum()) / total if total > 0 else 0.0


def ranked(rows: Rows, dtype: torch.dtype) -> Ranking:
    """Rank rows by ||s_r||, the heaviest first; ties by number.

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
    order = np.argsort(-norms, kind="stable")
    ordered = norms[order]
    weighing = int((ordered > torch.finfo(dtype).eps * ordered[0]).sum())
    return Ranking(order, ordered**2, max(weighing, 1), rows.per_sample)


def _seen(norms: Array) -> str:
    bad = int((~np.isfinite(norms)).sum())
    return f"{bad} of {norms.size} that are not" if norms.size else "none"
