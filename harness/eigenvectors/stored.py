"""Eigenvectors in a folder: a memory-mapped matrix of columns, and a text that says whose they are."""

from __future__ import annotations

import json
import math
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Final, cast

import numpy as np
from numpy.typing import NDArray

from hessbench.eigenvectors.slabs import Columns, slab_of, slab_rows
from hessbench.estimand.base import Array
from hessbench.files import write_whole

VECTORS: Final = "vectors.npy"
ABOUT: Final = "about.json"
FORMAT: Final = 1


@dataclass(frozen=True)
class StoredEigenvectors:
    """Eigenvectors on disk.

    Attributes:
        folder: Where they are: `vectors.npy` (n, k), rows together, and `about.json`.
        values: Their eigenvalues (k,), in the order of the columns.
        shapes: Names and shapes of the pieces that a column is made of, in order; empty where it has none.
        facts: What is said of them: problem, method, what they cost, residuals.
    """

    folder: Path
    values: Array
    shapes: Mapping[str, tuple[int, ...]] = field(default_factory=dict[str, tuple[int, ...]])
    facts: Mapping[str, Any] = field(default_factory=dict[str, Any])

    @cached_property
    def vectors(self) -> NDArray[Any]:
        """The columns (n, k), memory-mapped and read only: what is not looked at stays on disk.

        Raises:
            ValueError: If the file is missing, damaged, or of another shape than the eigenvalues say.
        """
        try:
            found = np.load(self.folder / VECTORS, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError, EOFError) as failure:
            raise ValueError(f"{VECTORS} cannot be read: {type(failure).__name__}") from None
        if found.ndim != 2 or found.shape[1] != self.values.size:
            raise ValueError(f"{VECTORS} holds {found.shape}, and {self.values.size} eigenvectors are named beside it")
        return cast("NDArray[Any]", found)


def write_eigenvectors(
    folder: str | Path,
    vectors: Columns,
    values: Array,
    *,
    shapes: Mapping[str, tuple[int, ...]] | None = None,
    facts: Mapping[str, Any] | None = None,
) -> StoredEigenvectors:
    """Keep eigenvectors, of any size; what stood in the folder is replaced once all is written.

    Args:
        folder: Where; made if need be.
        vectors: Columns (n, k): an array, a memory-mapped one or a tensor on any device, copied slab by slab.
        values: Their eigenvalues (k,).
        shapes: Names and shapes of the pieces of a column, as `Problem.shapes`.
        facts: Anything else worth saying that JSON holds.

    Returns:
        What is there now.

    Raises:
        ValueError: If the shapes do not fit each other, or a number is not finite.
        OSError: If the folder cannot be written.
    """
    values = np.asarray(values, dtype=np.float64)
    if vectors.ndim != 2 or values.shape != (vectors.shape[1],) or not vectors.shape[1]:
        raise ValueError(f"vectors takes columns (n, k), one for each of {values.shape}, got {tuple(vectors.shape)}")
    pieces = dict(shapes or {})
    if pieces and sum(map(math.prod, pieces.values())) != vectors.shape[0]:
        raise ValueError(f"shapes must name all {vectors.shape[0]} entries of a vector, got other pieces")
    home = Path(folder)
    home.mkdir(parents=True, exist_ok=True)
    partial = home / f".{VECTORS}.{uuid.uuid4().hex[:8]}"
    try:
        _write_matrix(partial, vectors)
        partial.replace(home / VECTORS)
    finally:
        partial.unlink(missing_ok=True)
    said = dict(facts or {})
    about = {"format": FORMAT, "values": values.tolist(), "shapes": {name: list(it) for name, it in pieces.items()}}
    write_whole(home / ABOUT, json.dumps({**about, "facts": said}, indent=1).encode())
    return StoredEigenvectors(home, values, pieces, said)


def read_eigenvectors(folder: str | Path) -> StoredEigenvectors:
    """Open eigenvectors that were kept.

    Raises:
        ValueError: If there are none, or they are of another format.
    """
    home = Path(folder)
    try:
        about = cast("dict[str, Any]", json.loads((home / ABOUT).read_bytes()))
        if about["format"] != FORMAT:
            raise ValueError(f"{ABOUT} is of format {about['format']}, {FORMAT} is accepted")
        shapes = {name: tuple(map(int, shape)) for name, shape in about["shapes"].items()}
        return StoredEigenvectors(home, np.asarray(about["values"], dtype=np.float64), shapes, about["facts"])
    except (OSError, LookupError, TypeError, json.JSONDecodeError) as failure:
        raise ValueError(f"no eigenvectors are kept in {home.name}: {ABOUT} {type(failure).__name__}") from None


def _write_matrix(path: Path, vectors: Columns) -> None:
    n, k = vectors.shape
    first = slab_of(vectors, slice(0, 1))
    matrix = np.lib.format.open_memmap(path, mode="w+", dtype=first.dtype, shape=(n, k))
    for rows in slab_rows(n, k):
        slab = slab_of(vectors, rows)
        if not np.isfinite(slab).all():
            raise ValueError("vectors must be finite, and an entry is not")
        matrix[rows] = slab
    matrix.flush()
