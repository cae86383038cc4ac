"""The Gram matrix of rows that are made chunk by chunk: eigenpairs of the sum of their outer products."""

from __future__ import annotations

from typing import NamedTuple, final

import numpy as np
import torch
from torch import Tensor

from hessbench.estimand import Array
from hessbench.methods.small_dense import eigenpairs_of, eigenvalues_of, to_device, to_host


class RowPairs(NamedTuple):
    """First eigenpairs of B B^T: values (k,) descending, and as many vectors (n, k)."""

    values: Array
    vectors: Tensor


@final
class RowGram:
    """B^T B of the rows so far, the columns of B (n, r): it grows by the products of new rows with all.

    Nothing is multiplied before it is asked for, and every pair of rows once: all that came since in one product.

    Args:
        capacity: Most rows.
        like: A block of rows (n, w), whose dtype and device they have.
    """

    def __init__(self, capacity: int, like: Tensor) -> None:
        # Rows, so that products with them read them in order.
        self._rows = torch.empty(capacity, like.shape[0], dtype=like.dtype, device=like.device)
        self._held = 0
        self._gram: Array = np.zeros((0, 0))

    def append(self, chunk: Tensor) -> None:
        """Keep the rows of a chunk (n, w)."""
        self._rows[self._held : self._held + chunk.shape[1]] = chunk.T
        self._held += chunk.shape[1]

    def diagonal(self, count: int) -> Tensor:
        """The diagonal (n,) in float64 of the sum of the first rows' outer products. Cost: the rows are read once."""
        found = torch.zeros(self._rows.shape[1], dtype=torch.float64, device=self._rows.device)
        for row in self._rows[:count]:
            found.addcmul_(row, row)
        return found

    def trace(self, count: int) -> float:
        """The trace of the sum of the first rows' outer products. Cost: the rows are read once."""
        return float(torch.linalg.vector_norm(self._rows[:count], dtype=torch.float64)) ** 2

    def eigenvalues(self, count: int) -> Array:
        """The min(count, n) largest eigenvalues of the sum of the first rows' outer products, descending.

        Cost: count^2 n multiplications in all, and an eigenproblem of size count on the CPU.
        """
        found = eigenvalues_of(self._leading(count))[::-1]
        return np.maximum(found[: self._rows.shape[1]], 0.0)  # none of a Gram matrix is below 0 but by rounding

    def pairs(self, count: int, k: int) -> RowPairs:
        """The first k eigenpairs of the first rows, fewer where their rank is smaller: vectors B u / sigma.

        Cost: as `eigenvalues`, and count k n multiplications.
        """
        B = self._rows[:count].T
        ascending, columns = eigenpairs_of(self._leading(count))
        values, U = ascending[::-1][:k], columns[:, ::-1][:, :k]
        seen = ~(values <= count * torch.finfo(B.dtype).eps * values[:1].max(initial=0.0))
        return RowPairs(values[seen], B @ to_device(U[:, seen] / np.sqrt(values[seen]), B))

    def _leading(self, count: int) -> Array:
        old = self._gram.shape[0]
        if old < count:
            columns = to_host(self._rows[:count] @ self._rows[old:count].T)
            grown = np.empty((count, count))
            grown[:old, :old] = self._gram
            grown[:, old:] = columns
            grown[old:, :old] = columns[:old].T
            self._gram = grown
        return self._gram[:count, :count]
