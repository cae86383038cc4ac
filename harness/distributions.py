"""Libraries that may not be installed: how they are imported when they are needed, and how to get them."""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Final
from warnings import catch_warnings, simplefilter

PEERS_REMEDY: Final = "pip install 'hessbench[peers]'"
"""What installs the published libraries that stand beside this one."""


def library(module: str) -> Any:
    """A library's module, imported now; what it warns of on import is not ours to mend.

    Raises:
        ImportError: If it cannot be imported.
    """
    with catch_warnings():
        simplefilter("ignore")
        return import_module(module)


def remedy_for(distribution: str) -> str:
    """That a distribution is not installed, and what installs it; empty where it is, or where none is named."""
    try:
        if distribution:
            version(distribution)
    except PackageNotFoundError:
        return f"{distribution} is not installed: pip install {distribution}"
    return ""
