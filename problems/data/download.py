"""Downloads from OpenML by way of scikit-learn, checked against what was published and kept in the cache."""

from __future__ import annotations

import errno
import hashlib
import http.client
import io
import threading
import time
import warnings
import zlib
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, cast

import numpy as np
from numpy.typing import NDArray

from hessbench.files import cache_folder, write_whole
from hessbench.problems.data.datasets import Archive, Origin, data_set
from hessbench.problems.data.files import DATA_VARIABLE, located, named_by_user, side_file, trouble_with, unavailable

EVERY_S: Final = 5.0
"""Seconds between two lines of a download that goes on."""

_MEAN_TOLERANCE: Final = 0.01
"""Channels in another order, or inverted pixels, are off by more: the published CIFAR-10 means lie 0.009 to 0.036
apart, and 60000 rows read in the wrong order of axes give the same mean, 0.473, in every channel."""


def fetch(name: str, say: Callable[[str], None]) -> None:
    """Download a data set that cannot be loaded here, and keep it in the cache beside its checksum.

    Does nothing where it can be loaded. What scikit-learn has downloaded before, it takes from its own folder. What
    comes is compared with the published shape, number of images of each class in either split, and channel means.

    Args:
        name: Name of a data set.
        say: Told how it goes on, every few seconds, from a second thread too.

    Raises:
        ValueError: If there is no such data set.
        OSError: With one sentence and the remedy: no network, something else than was published, no room.
    """
    origin = data_set(name).origin
    reason = unavailable(name)
    archive = origin.archive
    if archive is None or reason is None:
        return
    old = located(archive)
    if old is not None:
        if named_by_user(old):
            raise OSError(reason)
        warnings.warn(
            f"{archive.file} in the cache {trouble_with(old, origin)} and is made anew", RuntimeWarning, stacklevel=2
        )
    with _telling(say, f"downloading {name} from OpenML ({archive.openml_name}, data set {archive.openml_id})"):
        arrays = _published(*_download(archive), origin, archive)
    say(f"keeping {name} in the cache")
    _keep(cache_folder("data") / archive.file, arrays)


def _download(archive: Archive) -> tuple[Any, Any]:
    """Rows (N, pixels) and classes (N,) as OpenML has them.

    Raises:
        OSError: With one sentence, if they cannot be downloaded, or the disk is full.
    """
    from sklearn.datasets import fetch_openml

    try:
        with warnings.catch_warnings():
            # It warns before each new attempt; the last failure says enough.
            warnings.filterwarnings("ignore", module=r"sklearn\.datasets\._openml")
            found = cast("Any", fetch_openml(data_id=archive.openml_id, as_frame=False))
    except (OSError, ValueError, EOFError, MemoryError, http.client.HTTPException, zlib.error) as failure:
        if isinstance(failure, OSError) and failure.errno == errno.ENOSPC:
            raise OSError(f"the disk is full: {archive.file} could not be downloaded, make room first") from failure
        raise OSError(
            f"{archive.file} could not be downloaded ({_cause(failure)}): try again with a network connection, "
            f"or set {DATA_VARIABLE} to a folder that holds it"
        ) from failure
    return found.data, found.target


def _published(data: Any, target: Any, origin: Origin, archive: Archive) -> dict[str, NDArray[np.uint8]]:
    """The arrays of the file, where the download is what was published.

    Raises:
        OSError: With one sentence, if it is not.
    """
    train = sum(archive.train_counts)
    wanted = (train + sum(archive.test_counts), int(np.prod(origin.pixels)))
    if np.shape(data) != wanted:
        raise OSError(_other(archive, f"has shape {np.shape(data)}, not {wanted}"))
    pixels = _whole_numbers(data, archive, "pixels", origin.top)
    labels = _whole_numbers(target, archive, "classes", origin.classes - 1)
    if labels.shape != wanted[:1]:
        raise OSError(_other(archive, f"has {labels.size} classes for {wanted[0]} images"))
    images = pixels.reshape(-1, *origin.pixels)
    if len(origin.pixels) == 3:
        # A row holds the channels one after another; the file holds them pixel by pixel.
        *sides, channels = origin.pixels
        images = np.moveaxis(pixels.reshape(-1, channels, *sides), 1, -1)
    arrays = {"x_train": images[:train], "y_train": labels[:train], "x_test": images[train:], "y_test": labels[train:]}
    for split, counts in (("train", archive.train_counts), ("test", archive.test_counts)):
        if tuple(np.bincount(arrays[f"y_{split}"], minlength=origin.classes).tolist()) != counts:
            raise OSError(_other(archive, f"has other numbers of images of each class in its {split} split"))
    means = arrays["x_train"].reshape(train, -1, len(archive.mean)).mean(axis=(0, 1)) / origin.top
    if not np.allclose(means, archive.mean, rtol=0, atol=_MEAN_TOLERANCE):
        raise OSError(_other(archive, f"has channel means {means.round(3).tolist()}, not {list(archive.mean)}"))
    return arrays


def _whole_numbers(values: Any, archive: Archive, what: str, top: int) -> NDArray[np.uint8]:
    try:
        # Classes may come as text.
        numbers = np.asarray(values) if np.asarray(values).dtype.kind in "iuf" else np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise OSError(_other(archive, f"has {what} that are not numbers")) from None
    if not bool(np.all((numbers >= 0) & (numbers <= top))):  # NaN is neither
        raise OSError(_other(archive, f"has {what} outside of 0 to {top}"))
    whole = numbers.astype(np.uint8)
    if not np.array_equal(whole, numbers):
        raise OSError(_other(archive, f"has {what} that are not whole numbers"))
    return whole


def _keep(path: Path, arrays: dict[str, NDArray[np.uint8]]) -> None:
    """Write the file after its checksum: whenever this stops, what is there fits or is known not to.

    Raises:
        OSError: With one sentence, if the cache cannot take it.
    """
    buffer = io.BytesIO()
    # Not compressed: every run unpacks it again.
    np.savez(buffer, **cast("dict[str, Any]", arrays))
    content = buffer.getvalue()
    side = side_file(path)
    try:
        write_whole(side, f"{hashlib.sha256(content).hexdigest()}  {path.name}\n".encode())
        write_whole(path, content)
    except OSError as failure:
        if failure.errno in (errno.ENOSPC, errno.EDQUOT):
            size = f"{len(content) / 1e6:.0f} MB"
            trouble = f"the disk is full: {path.name} needs {size} in the cache; make room, or set HESSBENCH_CACHE"
        else:
            trouble = f"{path.name} cannot be kept in the cache ({_cause(failure)}): set HESSBENCH_CACHE"
        raise OSError(f"{trouble} to a folder that can take it") from failure


@contextmanager
def _telling(say: Callable[[str], None], text: str) -> Generator[None, None, None]:
    """Say what is going on at once, and every few seconds with the time it has taken."""
    start, done = time.monotonic(), threading.Event()

    def tell() -> None:
        while not done.wait(EVERY_S):
            say(f"{text}: {time.monotonic() - start:.0f} s")

    say(text)
    teller = threading.Thread(target=tell, daemon=True)
    teller.start()
    try:
        yield
    finally:
        done.set()
        teller.join()


def _other(archive: Archive, difference: str) -> str:
    return (
        f"what OpenML gives for {archive.file} {difference}, and is not taken: "
        f"set {DATA_VARIABLE} to a folder that holds the file"
    )


def _cause(failure: BaseException) -> str:
    """What went wrong, in a few words and without a path."""
    reason = getattr(failure, "reason", None)
    if isinstance(reason, BaseException):
        return _cause(reason)
    if isinstance(failure, OSError) and failure.strerror:
        return failure.strerror
    return f"{type(failure).__name__}: {reason}" if isinstance(reason, str) else type(failure).__name__
