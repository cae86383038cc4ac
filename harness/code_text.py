"""What a function does, as a text that is the same in every process: its source, or its code where it has none."""

from __future__ import annotations

import functools
import inspect
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

from hessbench.source_files import source_files
from hessbench.specs import keyword_defaults


def fixed(run: Callable[..., Any]) -> list[tuple[str, Any]]:
    """Arguments fixed by partials, outermost last."""
    found: list[tuple[str, Any]] = []
    while isinstance(run, functools.partial):
        numbered = ((str(position), value) for position, value in enumerate(run.args))
        found = [*numbered, *sorted(run.keywords.items()), *found]
        run = run.func
    return found


def code_text(function: Callable[..., Any]) -> str:
    """What a function without a source file does: byte code, names, constants and defaults, not where it was typed."""
    code: types.CodeType = function.__code__
    defaults = [(name, stable(value)) for name, value in keyword_defaults(function).items()]
    return f"{_instructions(code)} {defaults}"


def _instructions(code: types.CodeType) -> str:
    constants = [_instructions(c) if isinstance(c, types.CodeType) else stable(c) for c in code.co_consts]
    return f"{code.co_code!r} {code.co_names} {code.co_freevars} {constants}"


def stable(value: object) -> str:
    """A text that is the same in every process: no address, and no order that depends on a hash seed."""
    if isinstance(value, tuple | list):
        return str([stable(inner) for inner in cast("tuple[object, ...]", value)])
    if isinstance(value, frozenset | set):
        return str(sorted(stable(inner) for inner in cast("set[object]", value)))
    if value is None or isinstance(value, bool | int | float | complex | str | bytes):
        return repr(value)
    return str(getattr(value, "__qualname__", type(value).__qualname__))


def function_of(run: Callable[..., Any]) -> Callable[..., Any]:
    """The function behind partials, decorators and objects that can be called."""
    while True:
        inner = run.func if isinstance(run, functools.partial) else inspect.unwrap(run)
        if inner is run:
            break
        run = inner
    return run if inspect.isroutine(run) else type(run).__call__


def source_of(run: Callable[..., Any]) -> bytes:
    """What a callable does: its source file and the files beside it that it imports, and what partials fix."""
    text = getattr(run, "source_text", None)
    if isinstance(text, bytes):  # of a function that stands for one of another process
        return text
    function = function_of(run)
    file = inspect.getsourcefile(function)
    if file and Path(file).is_file():
        source = b"\0".join(path.read_bytes() for path in source_files(Path(file)))
    else:
        source = code_text(function).encode()
    # A partial is told from its function by what it fixes.
    return source + "".join(f"\0{name}={stable(value)}" for name, value in fixed(run)).encode()
