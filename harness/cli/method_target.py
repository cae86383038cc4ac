"""A method named on the command line: `FILE.py:METHOD`, or a registered name."""

from __future__ import annotations

from pathlib import Path

from hessbench.catalog import Catalog, load_catalog, load_plugin
from hessbench.method import Method


def split_target(target: str) -> tuple[tuple[str, ...], str]:
    """The plugin files of a target, which are imported, and the method it names.

    Args:
        target: A name in the file's METHODS list, with parameters where wanted, or the name of a variable that holds
            one of them, after the file and a colon; a registered method by its name alone.

    Raises:
        ValueError: If no method is named, or the file lists no such one.
    """
    file, name = file_and_name(target)
    if not file:
        return (), name
    if not name:
        raise ValueError(f"name the method as well, as in {Path(file).name}:my-method")
    catalog = load_catalog((file,))
    wanted = name.partition("[")[0]
    if wanted in catalog.methods:
        return (file,), name
    module = load_plugin(file)
    held = getattr(module, wanted, None)
    own = [method.name for method in getattr(module, "METHODS", [])]
    return (file,), _listed(file, name, own, also=held.name if isinstance(held, Method) else "")


def file_and_name(target: str) -> tuple[str, str]:
    """The plugin file of a target and the method it names, as they are written; empty where there is none."""
    if target.endswith(".py"):
        return target, ""
    file, _, name = target.rpartition(":")
    return file, name


def named_in(catalog: Catalog, file: str, name: str) -> str:
    """The method that a target names, in a catalog that holds those of its file.

    Args:
        catalog: Where it is looked up.
        file: Plugin file; empty for a registered method.
        name: Name, with parameters where wanted; empty for the only one of the file.

    Raises:
        ValueError: If the file lists no such method, or several where none is named.
    """
    if not file:
        return name
    own = list(catalog.files)
    if name:
        return _listed(file, name, own)
    if len(own) == 1:
        return own[0]
    example = f"{Path(file).name}:{own[0] if own else 'my-method'}"
    raise ValueError(f"name the method as well, as in {example}; it lists: {', '.join(own) or 'none'}")


def _listed(file: str, name: str, own: list[str], also: str = "") -> str:
    """The method of a file that a name stands for, with its parameters: by that name, or written as a variable is.

    Args:
        file: The file.
        name: What was written.
        own: Names of the methods it lists.
        also: That of the method that a variable of the name holds.

    Raises:
        ValueError: If the file lists no such method.
    """
    wanted, bracket, rest = name.partition("[")
    for found in (wanted, also, wanted.replace("_", "-")):
        if found in own:
            return f"{found}{bracket}{rest}"
    listed = ", ".join(own) or "none"
    raise ValueError(f"{Path(file).name} lists no method {wanted!r} in METHODS; it lists: {listed}")
