"""Registries of problems and methods: ordered, no duplicates, selected by name or glob."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from hessbench.specs import Spec, parse, suggest


class Entry(Protocol):
    """What a registry holds."""

    @property
    def name(self) -> str:
        """Registered name."""
        ...

    @property
    def presets(self) -> tuple[str, ...]:
        """Specs a glob stands for."""
        ...

    def spec(self, asked: Spec | str) -> Spec:
        """Canonical spec of one of this entry."""
        ...


E = TypeVar("E", bound=Entry)


@dataclass(frozen=True)
class Selected:
    """A canonical spec and whether a glob chose it."""

    spec: Spec
    by_glob: bool


class Registry(Generic[E]):
    """Entries by name, in the order they were added.

    Args:
        what: "problem" or "method", for messages.
        entries: First entries.
    """

    def __init__(self, what: str, entries: Iterable[E] = ()) -> None:
        self.what = what
        self._entries: dict[str, E] = {}
        for entry in entries:
            self.add(entry)

    def add(self, entry: E) -> None:
        """Add an entry.

        Raises:
            ValueError: If the name is taken.
        """
        if entry.name in self._entries:
            raise ValueError(f"a {self.what} named {entry.name!r} is already registered; choose another name")
        self._entries[entry.name] = entry

    def __iter__(self) -> Iterator[E]:
        return iter(self._entries.values())

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    def __getitem__(self, name: str) -> E:
        """The entry of that name.

        Raises:
            ValueError: If there is none; the message names the nearest.
        """
        if name not in self._entries:
            near = suggest(name, self._entries)
            raise ValueError(f"unknown {self.what} {name!r}{near}; `hessbench list` shows what is registered")
        return self._entries[name]

    def entry_of(self, spec: Spec | str) -> E:
        """The entry a spec names.

        Raises:
            ValueError: If there is none.
        """
        return self[spec.name if isinstance(spec, Spec) else spec.partition("[")[0]]

    def select(self, pattern: str) -> list[Selected]:
        """Find what a pattern names: a spec, a sweep, or a glob over registered names and presets.

        Args:
            pattern: Such as `lanczos[reorth=full]`, `digits-mlp[step=[0,10]]` or `hutch*`. A glob stands for the
                presets of every name it matches (for the plain name where an entry has none) and for every preset it
                matches itself.

        Raises:
            ValueError: If nothing matches or a parameter is not accepted.
        """
        if "*" not in pattern and "?" not in pattern:
            return [Selected(self[spec.name].spec(spec), by_glob=False) for spec in _unique(parse(pattern))]
        found: list[Spec] = []
        for entry in self:
            offered = entry.presets or (entry.name,)
            whole = matches_glob(entry.name, pattern)
            found += [entry.spec(text) for text in offered if whole or matches_glob(text, pattern)]
        if not found:
            raise ValueError(f"no {self.what} matches {pattern!r}; `hessbench list` shows what is registered")
        return [Selected(spec, by_glob=True) for spec in _unique(found)]

    def matches(self, spec: Spec, pattern: str) -> bool:
        """Whether a pattern of the command line means a spec: a name means all its settings, a spec only itself.

        Args:
            spec: A canonical spec.
            pattern: A name, a spec or sweep, or a glob over names and whole specs.

        Raises:
            ValueError: If it is no glob, and its name or a parameter is not accepted.
        """
        if "*" in pattern or "?" in pattern:
            return matches_glob(spec.name, pattern) or matches_glob(str(spec), pattern)
        return self[pattern].name == spec.name if "[" not in pattern else spec in (c.spec for c in self.select(pattern))


def matches_glob(text: str, pattern: str) -> bool:
    """Whether a glob matches; a bracket stands for itself, not for a set of characters."""
    return fnmatch.fnmatchcase(text.replace("[", "<"), pattern.replace("[", "<"))


T = TypeVar("T")


def _unique(items: Iterable[T]) -> list[T]:
    return list(dict.fromkeys(items))
