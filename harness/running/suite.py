"""Suites: TOML files that cross problems, methods, budgets and repeats."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from numbers import Integral
from pathlib import Path
from typing import Any, Final, cast

from hessbench.specs import check_name, suggest

MOST_BUDGETS: Final = 1000
MOST_MATVECS: Final = 10**15
MOST_REPEATS: Final = 10_000
MOST_THREADS: Final = 1024

_SUITE_KEYS: Final = {"name", "version", "device", "dtype", "threads", "cross"}
_CROSS_KEYS: Final = {"estimand", "problems", "methods", "num_matvecs", "repeats", "memory"}


@dataclass(frozen=True)
class Cross:
    """One crossing: every problem with every method, at every budget, for every repeat.

    Attributes:
        estimand: Estimand spec.
        problems: Specs, sweeps or globs.
        methods: Specs, sweeps or globs.
        num_matvecs: Budgets; "n" stands for the dimension.
        repeats: Number of repeats.
        memory: Whether the memory pass runs as well.
        first_repeat: Number of the first repeat, from which seeds follow: another one begins where others have ended.
    """

    estimand: str
    problems: tuple[str, ...]
    methods: tuple[str, ...]
    num_matvecs: tuple[int | str, ...]
    repeats: int = 1
    memory: bool = True
    first_repeat: int = 0

    def __post_init__(self) -> None:
        if not self.num_matvecs:
            raise ValueError("num_matvecs needs at least one budget")
        if len(self.num_matvecs) > MOST_BUDGETS:
            raise ValueError(f"num_matvecs takes at most {MOST_BUDGETS} budgets, got {len(self.num_matvecs)}")
        for budget in self.num_matvecs:
            check_budget(budget)
        repeats = cast("object", self.repeats)
        if not isinstance(repeats, int) or isinstance(repeats, bool) or not 1 <= repeats <= MOST_REPEATS:
            raise ValueError(f"repeats must be an integer from 1 to {MOST_REPEATS}, got {str(repeats)[:40]!r}")


@dataclass(frozen=True)
class Selection:
    """Part of a suite, and methods in addition.

    Attributes:
        methods: Names, specs or globs; only the suite's methods that match one of them are kept, all where empty. A
            name stands for every setting of that method.
        problems: The same for problems.
        add: Methods, as in a suite; each joins every crossing whose estimand it answers, kept by `methods` or not.
    """

    methods: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    add: tuple[str, ...] = ()


@dataclass(frozen=True)
class Suite:
    """A named, versioned list of crossings; frozen once published.

    `selection` is what a command line takes of it and adds; a cell is the same whatever was selected.
    """

    name: str
    version: int
    crosses: tuple[Cross, ...]
    device: str = "cpu"
    dtype: str = "float32"
    threads: int = 1
    selection: Selection = field(default_factory=Selection)

    @property
    def label(self) -> str:
        """Name and version, as the ledger writes them."""
        return f"{self.name}-{self.version}"

    @classmethod
    def load(cls, source: str | Path) -> Suite:
        """Read a suite that ships with the package, by name, or a TOML file.

        Raises:
            ValueError: If there is no such suite or file, or it is not a suite.
        """
        text = str(source)
        if text.endswith(".toml"):
            path = Path(text)
            if not path.is_file():
                raise ValueError(
                    f"suite file {path.name} does not exist; a path to a TOML file or one of "
                    f"{', '.join(built_in_suites())} is accepted"
                )
            try:
                return cls.parse(path.read_text(encoding="utf-8"), path.name)
            except UnicodeDecodeError:
                raise ValueError(f"{path.name} is not valid TOML: text in UTF-8 is accepted") from None
        known = built_in_suites()
        if text not in known:
            raise ValueError(
                f"unknown suite {text!r}{suggest(text, known)}; accepted: {', '.join(known)} or a path ending in .toml"
            )
        return cls.parse(shipped_text(text), f"{text}.toml")

    @classmethod
    def parse(cls, text: str, source: str = "suite") -> Suite:
        """Read the text of a suite.

        Raises:
            ValueError: If it is not TOML, or a key is unknown, missing or of another type.
        """
        try:
            table = tomllib.loads(text)
        except RecursionError:
            raise ValueError(f"{source} is not valid TOML: it is nested too deep") from None
        except ValueError as failure:
            raise ValueError(f"{source} is not valid TOML: {failure}") from None
        _check_keys(table, _SUITE_KEYS, {"name", "version", "cross"}, source)
        name = _typed(table, "name", str, source)
        check_name(name, "suite")
        crosses = _typed(table, "cross", list, source)
        if not crosses:
            raise ValueError(f"{source}: at least one [[cross]] is needed")
        suite = cls(
            name=name,
            version=_positive(table, "version", source),
            crosses=tuple(_cross(entry, f"{source}, cross {number}") for number, entry in enumerate(crosses, 1)),
            device=_typed(table, "device", str, source, "cpu"),
            dtype=_typed(table, "dtype", str, source, "float32"),
            threads=_positive(table, "threads", source, 1),
        )
        check_threads(suite.threads)
        check_dtype(suite.dtype)
        check_device(suite.device)
        return suite


def built_in_suites() -> list[str]:
    """Names of the suites that ship with the package."""
    names = (entry.name for entry in (files("hessbench") / "suites").iterdir())
    return sorted(name.removesuffix(".toml") for name in names if name.endswith(".toml"))


def shipped_text(name: str) -> str:
    """The TOML of a suite that ships with the package."""
    return (files("hessbench") / "suites" / f"{name}.toml").read_text(encoding="utf-8")


def check_budget(value: object) -> None:
    """Refuse a budget that is no number of products.

    Raises:
        ValueError: If it is neither an integer of at least 1 nor "n".
    """
    whole = isinstance(value, Integral) and value is not True and value is not False and int(value) >= 1
    if not whole and value != "n":
        raise ValueError(f'num_matvecs takes integers of at least 1, or "n" for the dimension, got {value!r}')
    if whole and int(cast("int", value)) > MOST_MATVECS:
        raise ValueError(f"num_matvecs takes integers up to {MOST_MATVECS}, got one of {len(str(value))} digits")


def check_threads(threads: int) -> None:
    """Refuse a number of threads that no machine has.

    Raises:
        ValueError: If it is not between 1 and 1024.
    """
    if threads < 1:
        raise ValueError(f"threads must be at least 1, got {threads}")
    if threads > MOST_THREADS:
        raise ValueError(f"threads must be at most {MOST_THREADS}, got {str(threads)[:40]}")


def check_dtype(dtype: str) -> None:
    """Refuse a dtype cells cannot have.

    Raises:
        ValueError: If it is not float32 or float64.
    """
    if dtype not in ("float32", "float64"):
        raise ValueError(f"dtype must be float32 or float64, got {dtype!r}")


def check_device(device: str) -> None:
    """Refuse a device cells cannot run on.

    Raises:
        ValueError: If it is not cpu, cuda or cuda:N.
    """
    kind, colon, index = device.partition(":")
    if kind not in ("cpu", "cuda") or (colon and not (kind == "cuda" and index.isdigit())):
        raise ValueError(f"device takes cpu, cuda or cuda:N, got {device!r}")


def _cross(entry: object, source: str) -> Cross:
    if not isinstance(entry, Mapping):
        raise ValueError(f"{source}: a table is accepted, as in [[cross]]")
    table = cast("Mapping[str, Any]", entry)
    _check_keys(table, _CROSS_KEYS, {"estimand", "problems", "methods", "num_matvecs"}, source)
    estimand, problems, methods = (
        _typed(table, "estimand", str, source),
        _texts(table, "problems", source),
        _texts(table, "methods", source),
    )
    budgets = tuple(_typed(table, "num_matvecs", list, source))
    repeats = _positive(table, "repeats", source, 1)
    memory = _typed(table, "memory", bool, source, True)
    try:
        return Cross(estimand, problems, methods, budgets, repeats, memory)
    except ValueError as failure:
        raise ValueError(f"{source}: {failure}") from None


def _check_keys(table: Mapping[str, Any], accepted: set[str], needed: set[str], source: str) -> None:
    for key in table:
        if key not in accepted:
            raise ValueError(
                f"{source}: unknown key {key!r}{suggest(key, accepted)}; accepted: {', '.join(sorted(accepted))}"
            )
    for key in sorted(needed):
        if key not in table:
            raise ValueError(f"{source}: the key {key!r} is missing")


def _typed(table: Mapping[str, Any], key: str, kind: type, source: str, default: Any = None) -> Any:
    value = table.get(key, default)
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        names = {str: "a text", int: "an integer", list: "a list", bool: "true or false"}
        raise ValueError(f"{source}: {key} takes {names[kind]}, got {value!r}")
    return value


def _positive(table: Mapping[str, Any], key: str, source: str, default: int | None = None) -> int:
    value = cast("int", _typed(table, key, int, source, default))
    if value < 1:
        raise ValueError(f"{source}: {key} must be at least 1, got {value}")
    return value


def _texts(table: Mapping[str, Any], key: str, source: str) -> tuple[str, ...]:
    values = cast("list[Any]", _typed(table, key, list, source))
    if not values or not all(isinstance(value, str) for value in values):
        raise ValueError(f"{source}: {key} takes a list of at least one text, got {values!r}")
    return tuple(values)
