"""A method of a plugin as its own process describes it, and a stand-in for it where the plugin is never imported.

Code of a plugin runs as soon as it is imported; beside the operator, or the ledger, it could change either.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias, cast

from hessbench.code_text import fixed, function_of, stable
from hessbench.estimand import ESTIMANDS
from hessbench.footprint import Footprint
from hessbench.method import Method
from hessbench.sealing import values
from hessbench.source_files import source_files
from hessbench.specs import REQUIRED, keyword_choices, keyword_defaults

Ask: TypeAlias = Callable[..., Any]
"""Asks for what a method computes of itself: its name, which function, and its arguments."""

_TEXTS: Final = ("name", "works_by", "citation", "version", "library", "summary")
_LISTS: Final = ("requires", "presets")
_KEYS: Final[dict[Any, str]] = {kind: key for key, kind in ESTIMANDS.items()}
_FUNCTIONS: Final = ("refuses", "block_widths", "footprint")


def described(method: Method) -> dict[str, Any]:
    """What a method declares, as JSON values.

    Raises:
        TypeError: If a default is of a type that no spec can name.
    """
    defaults = keyword_defaults(method.run).items()
    return {
        **{name: getattr(method, name) for name in _TEXTS},
        **{name: list(getattr(method, name)) for name in _LISTS},
        "estimands": [_KEYS[kind] for kind in method.estimands],
        "also_takes": {_KEYS[kind]: trait for kind, trait in method.also_takes.items()},
        "is_anytime": method.is_anytime,
        "parameters": [[name, [] if value is REQUIRED else [values.written(value, [])]] for name, value in defaults],
        "choices": {name: list(words) for name, words in keyword_choices(method.run).items()},
        "least": method.min_matvecs if isinstance(method.min_matvecs, int) else None,
        "functions": [name for name in _FUNCTIONS if getattr(method, name) is not None],
        "file": inspect.getsourcefile(function_of(method.run)) or "",
        "fixed": "".join(f"\0{name}={stable(value)}" for name, value in fixed(method.run)),
    }


def answered(method: Method, what: str, arguments: tuple[Any, ...], settings: Mapping[str, Any]) -> Any:
    """What a method computes of itself, as a value that travels.

    Args:
        method: It.
        what: Which of its functions.
        arguments: What that is handed by position; an estimand by its key.
        settings: What it is handed by keyword.
    """
    if what == "refuses":
        arguments = (ESTIMANDS[arguments[0]],)
    found = getattr(method, what)(*arguments, **settings)
    if isinstance(found, Footprint):
        return found.vectors, found.passes
    return found


def stand_in(said: Any, ask: Ask, files: Sequence[Path]) -> Method:
    """A method with all that the described one declares, which cannot be run.

    Args:
        said: From `described`, whoever sent it.
        ask: Asks for what the method computes of itself.
        files: The file that lists it, and those beside it that it imports.

    Raises:
        ValueError: If it is no description of a method.
    """
    try:
        return _stand_in(cast("dict[str, Any]", said), ask, files)
    except (TypeError, KeyError, AttributeError, OverflowError) as failure:
        raise ValueError(f"plugin {files[0].name} describes a method oddly: {type(failure).__name__}") from failure


def _stand_in(said: dict[str, Any], ask: Ask, files: Sequence[Path]) -> Method:
    name = str(said["name"])

    def asked(what: str) -> Callable[..., Any]:
        def function(*arguments: Any, **settings: Any) -> Any:
            plain = tuple(_KEYS.get(value, value) for value in arguments)
            return ask(name, what, plain, settings)

        return function

    def footprint(*arguments: Any, **settings: Any) -> Footprint:
        vectors, passes = ask(name, "footprint", arguments, settings)
        return Footprint(float(vectors), float(passes))

    has = {what: asked(what) for what in _FUNCTIONS if what in said["functions"]}
    if "footprint" in has:
        has["footprint"] = footprint
    least = said["least"]
    declared: dict[str, Any] = {
        **{text: str(said[text]) for text in _TEXTS},
        **{listed: tuple(map(str, said[listed])) for listed in _LISTS},
        **has,
    }
    return Method(
        run=_run(said, files),
        estimands=tuple(ESTIMANDS[key] for key in said["estimands"]),
        also_takes={ESTIMANDS[key]: str(trait) for key, trait in said["also_takes"].items()},
        min_matvecs=least if type(least) is int else asked("min_matvecs"),
        **declared,
    )


def _run(said: dict[str, Any], files: Sequence[Path]) -> Callable[..., Any]:
    """A function with the keywords of the described one, and its source, which is read here."""

    def once(*_: object, **__: object) -> Any:
        raise RuntimeError("this method runs sealed, in a process of its own")

    def anytime(*_: object, **__: object) -> Any:
        once()
        yield

    run: Any = anytime if said["is_anytime"] is True else once
    kind = inspect.Parameter.KEYWORD_ONLY
    parameters = [inspect.Parameter("op", inspect.Parameter.POSITIONAL_ONLY)]
    for name, default in said["parameters"]:
        value = values.read(default[0], []) if default else inspect.Parameter.empty
        parameters.append(inspect.Parameter(str(name), kind, default=value))
    run.__signature__ = inspect.Signature(parameters)
    run.__annotations__ = {
        str(name): Literal[tuple(map(str, words))]  # pyright: ignore[reportInvalidTypeForm]
        for name, words in said["choices"].items()
        if words
    }
    told = Path(str(said["file"]))
    # A function from a file beside the plugin is made of what that one imports.
    sources = source_files(told) if told in files[1:] else files
    text = b"\0".join(path.read_bytes() for path in sources)
    run.source_text = text + str(said["fixed"]).encode()
    return run
