"""What rows that are not made yet will weigh, by those that are."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from hessbench.estimand import Array

_ROUNDS: Final = 3
"""Times the two kinds of factors are fitted in turn."""

_OF_SAMPLE: Final = 1.0
_OF_DIRECTION: Final = 3.0
"""Average rows that every sample and every direction begins with: one small row makes no factor vanish."""


def row_sizes(squares: Array, norms: Array, seen: NDArray[np.bool_], per_sample: int) -> Array:
    """Predict ||b_r||^2 = ||J_i^T s_r||^2 as ||s_r||^2 times a factor of the sample and one of the place in the sample.

    Both are ratios of rows seen, shrunk to the average of all of them; without a row seen all are 1. They only say how
    likely a row is drawn: no answer rests on their being right.

    Args:
        squares: ||s_r||^2 by number of the row, (num_rows,).
        norms: ||b_r||^2 of the rows that are seen, (num_rows,).
        seen: Which are, (num_rows,).
        per_sample: Rows of each sample.

    Returns:
        Sizes (num_rows,), positive where `squares` is.

    Cost:
        A few passes over num_rows numbers.
    """
    known = np.flatnonzero(seen & (squares > 0))
    ratios = norms[known] / squares[known]
    if not ratios.sum() > 0 or not np.isfinite(ratios).all():
        return squares
    samples, directions = known // per_sample, known % per_sample
    count = squares.size // per_sample
    of_direction = np.ones(per_sample)
    of_sample = np.ones(count)
    for _ in range(_ROUNDS):
        average = float(ratios.sum() / of_direction[directions].sum())
        of_sample = _shrunk(ratios / of_direction[directions], samples, count, average, _OF_SAMPLE)
        of_direction = _shrunk(ratios / of_sample[samples], directions, per_sample, 1.0, _OF_DIRECTION)
    return squares * (of_sample[:, None] * of_direction[None, :]).ravel()


def _shrunk(values: Array, groups: NDArray[np.int64], count: int, center: float, weight: float) -> Array:
    """Means of groups of values, each with `center` as so many more values of it."""
    sums = np.bincount(groups, values, minlength=count)
    return (weight * center + sums) / (weight + np.bincount(groups, minlength=count))
