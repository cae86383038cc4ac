"""The files a Python file is made of: itself, and what it imports from its own folder or package."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path


def source_files(file: Path) -> tuple[Path, ...]:
    """A file and those beside it, or in its package, that it imports at any depth and in any place.

    Installed libraries are not followed: their versions stand for them. Imports by a computed name are not seen.

    Args:
        file: A Python file; one that cannot be parsed stands alone.

    Returns:
        The file itself, then the others in order of their path.
    """
    found: set[Path] = set()
    waiting = [file.resolve()]
    while waiting:
        here = waiting.pop()
        if here not in found:
            found.add(here)
            waiting += _imported(here)
    return (file.resolve(), *sorted(found - {file.resolve()}))


def _imported(file: Path) -> Iterator[Path]:
    try:
        tree = ast.parse(file.read_bytes())
    except (OSError, SyntaxError, ValueError):
        return
    package = [file.parent, *(parent for parent in file.parent.parents if (parent / "__init__.py").is_file())]
    # Where an absolute name may begin: beside the file, or beside the outermost package it belongs to.
    bases = {file.parent}
    for folder in package:
        if not (folder / "__init__.py").is_file():
            break
        bases.add(folder.parent)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield from _modules(bases, alias.name.split("."))
        elif isinstance(node, ast.ImportFrom):
            parts = node.module.split(".") if node.module else []
            origins = {file.parents[node.level - 1]} if 0 < node.level <= len(file.parents) else bases
            if node.level == 0 or parts:
                yield from _modules(origins, parts)
            for alias in node.names:
                yield from _modules(origins, [*parts, alias.name])


def _modules(bases: set[Path], parts: list[str]) -> Iterator[Path]:
    """The files of a dotted name and of the packages it goes through."""
    for base in bases:
        for depth in range(1, len(parts) + 1):
            path = base.joinpath(*parts[:depth])
            for candidate in (path.with_name(f"{path.name}.py"), path / "__init__.py"):
                if candidate.is_file():
                    yield candidate.resolve()
