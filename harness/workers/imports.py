"""What a server imports before its first fork, so that no job takes the time."""

from __future__ import annotations

import sys
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from importlib import import_module
from types import ModuleType
from typing import cast


def import_all(names: Iterable[str], *, but_missing: bool = False) -> None:
    """Import modules by their names.

    Args:
        names: Of the modules.
        but_missing: Whether one that is not there is left for the job that needs it to miss, and to say so.

    Raises:
        ImportError: If one is not there.
    """
    for name in names:
        try:
            import_module(name)
        except ImportError:
            if not but_missing:
                raise


@contextmanager
def without_threads() -> Generator[None, None, None]:
    """Import without pyarrow, which pandas takes when it is there and which starts a thread; a fork must meet none."""
    absent = "pyarrow" not in sys.modules
    if absent:
        sys.modules["pyarrow"] = cast("ModuleType", None)
    try:
        yield
    finally:
        if absent:
            del sys.modules["pyarrow"]
