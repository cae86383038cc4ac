"""Image files: where they are looked for, whether they can be read, and reading them. Nothing is ever unpickled.

A file is an `.npz` with arrays `x_train`, `y_train`, `x_test` and `y_test`, all uint8. A side file `NAME.npz.sha256`,
as `sha256sum` writes it, is compared with it wherever there is one.
"""

from __future__ import annotations

import hashlib
import os
import re
import zipfile
from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from hessbench.files import DAMAGE, cache_folder, read_archive
from hessbench.problems.data.datasets import SPLITS, Archive, Origin, data_set

DATA_VARIABLE: Final = "HESSBENCH_DATA"

_held: ContextVar[dict[tuple[Path, str], NDArray[np.uint8]] | None] = ContextVar("_held", default=None)
"""Arrays by file and name, while they are read once."""


def unavailable(name: str) -> str | None:
    """Why a data set cannot be loaded here, and what to do about it; None when it can.

    A file in the folder named by HESSBENCH_DATA goes before one in the cache, and is refused where it is damaged:
    other images than those the user named are never taken in their place. Looks at the headers and the labels of a
    file, and at its checksum once per process.

    Raises:
        ValueError: If there is no such data set.
    """
    origin = data_set(name).origin
    return None if origin.archive is None else _reason(origin, origin.archive.file, located(origin.archive))


def located(archive: Archive) -> Path | None:
    """The file of an archive, the user's before the cache's; None where there is neither."""
    own = [data_file(archive.file)] if os.environ.get(DATA_VARIABLE) else []
    for path in (*own, cache_folder("data") / archive.file):
        if _is_file(path):
            return path
    return None


def data_file(file: str) -> Path:
    """A file in the folder named by HESSBENCH_DATA, whether it is there or not."""
    return Path(os.environ.get(DATA_VARIABLE, "")) / file


def named_by_user(path: Path) -> bool:
    """Whether a file lies in the folder named by HESSBENCH_DATA."""
    return bool(os.environ.get(DATA_VARIABLE)) and path == data_file(path.name)


@contextmanager
def read_once() -> Generator[None]:
    """Within, arrays of the files are unpacked once and shared, which nobody may write into."""
    held = _held.set({} if (outer := _held.get()) is None else outer)
    try:
        yield
    finally:
        _held.reset(held)


def read(origin: Origin, split: str) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Images (N, H, W) or (N, H, W, 3) and labels (N,) of a split, in the order of the file.

    Raises:
        OSError: With one sentence, if the file is not there, damaged or of another form.
    """
    images, labels = _read(origin, f"x_{split}", f"y_{split}")
    return images, labels


def read_labels(origin: Origin, split: str) -> NDArray[np.uint8]:
    """Labels (N,) of a split, in the order of the file.

    Raises:
        OSError: With one sentence, if the file is not there, damaged or of another form.
    """
    (labels,) = _read(origin, f"y_{split}")
    return labels


def trouble_with(path: Path, origin: Origin) -> str | None:
    """What is wrong with a file, as the end of a sentence; None where it is sound.

    Cost: the headers and labels of the file, and its checksum, the first time, where a side file gives one.
    """
    try:
        with path.open("rb") as stream, zipfile.ZipFile(stream) as archive:
            headers = {name: _header(archive, name) for name in (f"{part}_{s}" for s in SPLITS for part in "xy")}
        for split in SPLITS:
            form = _other_form(headers, split, origin) or _other_labels(_array(path, f"y_{split}"), split, origin)
            if form:
                return form
        return _other_checksum(path)
    except DAMAGE as failure:
        return f"is damaged ({type(failure).__name__})"


def side_file(path: Path) -> Path:
    """Where the checksum of a file is kept."""
    return path.with_name(f"{path.name}.sha256")


def _reason(origin: Origin, file: str, path: Path | None) -> str | None:
    remedy = f"set {DATA_VARIABLE} to a folder that holds it, or run once with a network connection to download it"
    if path is None:
        if os.environ.get(DATA_VARIABLE):
            return f"{file} is neither in the folder named by {DATA_VARIABLE} nor in the cache: {remedy}"
        return f"{file} is needed and {DATA_VARIABLE} is not set: {remedy}"
    trouble = trouble_with(path, origin)
    if trouble is None:
        return None
    if named_by_user(path):
        return f"{file} in the folder named by {DATA_VARIABLE} {trouble}: put a sound file in its place, or remove it"
    return f"{file} in the cache {trouble}: {remedy} again"


def _read(origin: Origin, *names: str) -> list[NDArray[np.uint8]]:
    """Arrays of the file of an origin, which is checked first.

    Raises:
        ValueError: If the origin has no file.
        OSError: With one sentence, if the file is not there or not sound.
    """
    if origin.archive is None:
        raise ValueError(f"{origin.name} is not read from a file")
    file, path = origin.archive.file, located(origin.archive)
    reason = _reason(origin, file, path)
    if path is None or reason:
        raise OSError(reason)
    held = _held.get()
    try:
        if held is None:
            return [_array(path, name) for name in names]
        for name in names:
            if (path, name) not in held:
                held[path, name] = _array(path, name)
        return [held[path, name] for name in names]
    except DAMAGE as failure:
        # What could be seen without unpacking it all was sound.
        raise OSError(f"{file} is damaged ({type(failure).__name__}): put a sound file in its place") from failure


def _array(path: Path, name: str) -> NDArray[np.uint8]:
    with path.open("rb") as stream:
        return read_archive(stream, name)[name]


def _header(archive: zipfile.ZipFile, name: str) -> tuple[tuple[int, ...], np.dtype[np.generic]]:
    """Shape and dtype of a stored array, of which no more than the first block is unpacked."""
    with archive.open(f"{name}.npy") as stream:
        version = np.lib.format.read_magic(stream)
        reader = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = reader(stream)
    return shape, dtype


def _other_form(
    headers: dict[str, tuple[tuple[int, ...], np.dtype[np.generic]]], split: str, origin: Origin
) -> str | None:
    (images, pixel), (labels, label) = headers[f"x_{split}"], headers[f"y_{split}"]
    if images[1:] != origin.pixels or pixel != np.uint8:
        form = ", ".join(("N", *map(str, origin.pixels)))
        return f"holds x_{split} of shape {images} and type {pixel}, where ({form}) and uint8 are accepted"
    if labels != images[:1] or label != np.uint8:
        return f"holds y_{split} of shape {labels} and type {label}, where {images[:1]} and uint8 are accepted"
    return None


def _other_labels(labels: NDArray[np.uint8], split: str, origin: Origin) -> str | None:
    counts = np.bincount(labels, minlength=origin.classes)
    if counts.size > origin.classes:
        return f"holds the label {counts.size - 1} in y_{split}, where 0 to {origin.classes - 1} are accepted"
    if not counts.all():
        return f"holds no image of class {int(counts.argmin())} in y_{split}"
    return None


def _other_checksum(path: Path) -> str | None:
    side = side_file(path)
    if not _is_file(side):
        return None
    stated = re.match(r"\\?([0-9a-fA-F]{64})\b", side.read_text(encoding="utf-8"))
    facts = path.stat()
    if stated and stated[1].lower() == _sha256(path, facts.st_size, facts.st_mtime_ns):
        return None
    return f"does not have the SHA-256 that {side.name} gives"


@lru_cache(maxsize=64)
def _sha256(path: Path, size: int, mtime_ns: int) -> str:
    """Checksum of a file, once per process while its size and time stay the same."""
    del size, mtime_ns
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a folder that may not be entered
        return False
