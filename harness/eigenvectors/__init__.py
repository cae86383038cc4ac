"""Eigenvectors at real size: kept on disk as memory-mapped columns, and what is read from them slab by slab."""

from __future__ import annotations

from hessbench.eigenvectors.keeping import keep_eigenvectors
from hessbench.eigenvectors.localisation import layer_shares, overlaps, participation_ratio, subspace_overlap
from hessbench.eigenvectors.stored import StoredEigenvectors, read_eigenvectors, write_eigenvectors

__all__ = [
    "StoredEigenvectors",
    "keep_eigenvectors",
    "layer_shares",
    "overlaps",
    "participation_ratio",
    "read_eigenvectors",
    "subspace_overlap",
    "write_eigenvectors",
]
