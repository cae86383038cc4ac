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
    """B^T B of the rows so far, the columns of B (n, r): it grows by the products of new rows with old ones.

    Nothing is multiplied before it is asked for, and every chunk once.
    """

    def __init__(self) -> None:
        self._chunks: list[Tensor] = []
        self._gram: Array = np.zeros((0, 0))
        self._done = 0

    def append(self, chunk: Tensor) -> None:
        """Keep the rows of a chunk (n, w)."""
        self._chunks.append(chunk)

    def eigenvalues(self, count: int) -> Array:
        """The min(count, n) largest eigenvalues of the sum of the first rows' outer products, descending.

        Cost: count^2 n multiplications in all, and an eigenproblem of size count on the CPU.
        """
        found = eigenvalues_of(self._leading(count))[::-1]
        return np.maximum(found[: self._chunks[0].shape[0]], 0.0)  # none of a Gram matrix is below 0 but by rounding

    def pairs(self, count: int, k: int) -> RowPairs:
        """The first k eigenpairs of the first rows, fewer where their rank is smaller: vectors B u / sigma.

        Cost: as `eigenvalues`, and count k n multiplications.
        """
        B = torch.cat(self._chunks, dim=1)[:, :count]
        ascending, columns = eigenpairs_of(self._leading(count))
        values, U = ascending[::-1][:k], columns[:, ::-1][:, :k]
        seen = ~(values <= count * torch.finfo(B.dtype).eps * values[:1].max(initial=0.0))
        return RowPairs(values[seen], B @ to_device(U[:, seen] / np.sqrt(values[seen]), B))

    def _leading(self, count: int) -> Array:
        while self._gram.shape[0] < count:
            new = self._chunks[self._done]
            beside = [to_host(old.T @ new) for old in self._chunks[: self._done + 1]]
            columns = np.concatenate(beside)
            old = self._gram.shape[0]
            grown = np.empty((columns.shape[0], columns.shape[0]))
            grown[:old, :old] = self._gram
            grown[:, old:] = columns
            grown[old:, :old] = columns[:old].T
            self._gram = grown
            self._done += 1
        return self._gram[:count, :count]
