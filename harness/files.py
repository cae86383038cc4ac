"""Files that are there whole or not at all, and the user's cache: what is dear to make and the same for every run."""

from __future__ import annotations

import os
import uuid
from pathlib import Path
from typing import Final

CACHE_VARIABLE: Final = "HESSBENCH_CACHE"


def cache_folder(kind: str) -> Path:
    """The folder of one kind of thing: `data`, `weights` or `references`; not made here.

    It lies under the folder named by HESSBENCH_CACHE, else in `hessbench` under XDG_CACHE_HOME or ~/.cache.
    """
    named = os.environ.get(CACHE_VARIABLE)
    if named:
        return Path(named) / kind
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "hessbench" / kind


def write_whole(path: Path, data: bytes) -> None:
    """Write a file so that it is there whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}")
    try:
        partial.write_bytes(data)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
