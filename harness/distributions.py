"""Libraries that are not installed, and how to get them."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version


def remedy_for(distribution: str) -> str:
    """That a distribution is not installed, and what installs it; empty where it is, or where none is named."""
    try:
        if distribution:
            version(distribution)
    except PackageNotFoundError:
        return f"{distribution} is not installed: pip install {distribution}"
    return ""
