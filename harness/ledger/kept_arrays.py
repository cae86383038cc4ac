"""Small arrays of a run, kept beside its ledger for scoring again."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any, Final, cast

import numpy as np

from hessbench.estimand.base import Arrays
from hessbench.files import DAMAGE, read_archive, write_whole

ARRAY_LIMIT: Final = 1_000_000
"""Bytes above which an estimate is not kept for scoring again."""


def save_arrays(folder: Path, name: str, arrays: Arrays) -> str:
    """Keep small arrays for scoring again; empty where they are above the limit.

    Args:
        folder: The run's folder.
        name: Where they are kept below its `arrays`, without suffix.
        arrays: What is kept, by name.

    Returns:
        The file's path inside the run's folder.
    """
    if sum(array.nbytes for array in arrays.values()) > ARRAY_LIMIT:
        return ""
    buffer = io.BytesIO()
    np.savez(buffer, **cast("dict[str, Any]", arrays))
    relative = f"arrays/{name}.npz"
    write_whole(folder / relative, buffer.getvalue())
    return relative


def load_arrays(folder: str | Path, relative: str) -> Arrays:
    """Read arrays kept by `save_arrays`.

    Raises:
        ValueError: If the file is missing, damaged or outside of the folder.
    """
    base = Path(folder).resolve()
    path = (base / relative).resolve()
    if not path.is_relative_to(base):
        raise ValueError(f"{relative} points outside of the run's folder")
    try:
        return read_archive(io.BytesIO(path.read_bytes()))
    except DAMAGE as failure:
        raise ValueError(f"{relative} cannot be read: {type(failure).__name__}") from None
