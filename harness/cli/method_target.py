"""A method named on the command line: `FILE.py:METHOD`, or a registered name."""

from __future__ import annotations

from pathlib import Path

from hessbench.catalog import load_catalog, load_plugin
from hessbench.method import Method


def split_target(target: str, *, alone: bool = False) -> tuple[tuple[str, ...], str]:
    """The plugin files of a target, and the method it names.

    Args:
        target: A name in the file's METHODS list, with parameters where wanted, or the name of a variable that holds
            one of them, after the file and a colon; a registered method by its name alone.
        alone: Take the method of a file that lists only one, where none is named.

    Raises:
        ValueError: If no method is named, or the file lists no such one.
    """
    if target.endswith(".py"):
        own = _listed(target) if alone else []
        if len(own) == 1:
            return (target,), own[0]
        lists = f"; it lists: {', '.join(own) or 'none'}" if alone else ""
        raise ValueError(f"name the method as well, as in {Path(target).name}:{own[0] if own else 'my-method'}{lists}")
    file, colon, name = target.rpartition(":")
    if not colon:
        return (), target
    catalog = load_catalog((file,))
    wanted, bracket, rest = name.partition("[")
    if wanted in catalog.methods:
        return (file,), name
    own = _listed(file)
    held = getattr(load_plugin(file), wanted, None)
    for found in (held.name if isinstance(held, Method) else "", wanted.replace("_", "-")):
        if found in own:
            return (file,), f"{found}{bracket}{rest}"
    raise ValueError(f"{Path(file).name} lists no method {wanted!r} in METHODS; it lists: {', '.join(own) or 'none'}")


def _listed(file: str) -> list[str]:
    load_catalog((file,))  # refuses a file that lists something else
    return [method.name for method in getattr(load_plugin(file), "METHODS", [])]
