"""Long columns a slab of rows at a time, so that no more than a slab of them is held in float64."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from hessbench.estimand.base import Array

Columns: TypeAlias = NDArray[Any] | Tensor
"""Columns (n, k): an array, a memory-mapped one, or a tensor."""

SLAB_ENTRIES: Final = 2**21
"""Numbers of one slab: 16 MiB in float64."""


def slab_rows(n: int, k: int, entries: int = SLAB_ENTRIES) -> Iterator[slice]:
    """Slices of rows that cut n rows of k numbers into slabs of at most so many entries."""
    step = max(1, entries // max(1, k))
    return (slice(start, min(start + step, n)) for start in range(0, n, step))


def slab_of(columns: Columns, rows: slice) -> NDArray[Any]:
    """Some rows in the dtype they are in, in memory."""
    if isinstance(columns, Tensor):
        return columns[rows].detach().cpu().numpy()
    return np.asarray(columns[rows])


def slabs(columns: Columns) -> Iterator[Array]:
    """All rows in their order, slab by slab in float64.

    Raises:
        ValueError: If they are no columns (n, k) with k at least 1.
    """
    check_columns(columns)
    return (slab_of(columns, rows).astype(np.float64) for rows in slab_rows(*columns.shape))


def check_columns(columns: Columns) -> None:
    """Refuse what is no block of columns.

    Raises:
        ValueError: Saying what is accepted.
    """
    if columns.ndim != 2 or not columns.shape[0] or not columns.shape[1]:
        raise ValueError(f"columns (n, k) with n and k at least 1 are accepted, got shape {tuple(columns.shape)}")
