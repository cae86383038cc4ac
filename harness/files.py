"""Files that are there whole or not at all, and the user's cache: what is dear to make and the same for every run."""

from __future__ import annotations

import os
import struct
import tokenize
import uuid
import zipfile
import zlib
from pathlib import Path
from typing import IO, Any, Final

import numpy as np
from numpy.typing import NDArray

CACHE_VARIABLE: Final = "HESSBENCH_CACHE"

DAMAGE: Final = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    tokenize.TokenError,
    OSError,
    EOFError,
    LookupError,
    ValueError,
    TypeError,
    AttributeError,
    ArithmeticError,
    SyntaxError,
    RuntimeError,
    MemoryError,
)
"""What reading an archive of arrays raises on bytes that are not what they should be: a header may ask for more memory
than there is, a flag for a password or for a method of compression that nobody has."""


def cache_folder(kind: str) -> Path:
    """The folder of one kind of thing: `data`, `weights` or `references`; not made here.

    It lies under the folder named by HESSBENCH_CACHE, else in `hessbench` under XDG_CACHE_HOME or ~/.cache.
    """
    named = os.environ.get(CACHE_VARIABLE)
    if named:
        return Path(named) / kind
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "hessbench" / kind


def read_archive(stream: IO[bytes], *names: str) -> dict[str, NDArray[Any]]:
    """The arrays of an `.npz`, all of them or those named; nothing is ever unpickled.

    Raises:
        Exception: One of `DAMAGE`, if one is not there or not what was written.
    """
    with zipfile.ZipFile(stream) as archive:
        members = [f"{name}.npy" for name in names] or archive.namelist()
        return {member.removesuffix(".npy"): _member(archive, member) for member in members}


def _member(archive: zipfile.ZipFile, member: str) -> NDArray[Any]:
    with archive.open(member) as stream:
        array = np.lib.format.read_array(stream, allow_pickle=False)
        # Its checksum is looked at only at its end, which a damaged header may place too early.
        if stream.read(1):
            raise ValueError(f"{member} holds more than its header says")
    return array


def write_whole(path: Path, data: bytes) -> None:
    """Write a file so that it is there whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}")
    try:
        partial.write_bytes(data)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
