"""Options that take a part: of a suite, and add a method to it (`plan`, `run`); of a ledger (`answer`, `export`)."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

import click

from hessbench.registry import matches_glob
from hessbench.running.suite import Selection, Suite
from hessbench.specs import suggest

if TYPE_CHECKING:
    from hessbench.ledger.reading import Ledger
    from hessbench.ledger.record import Record

F = TypeVar("F", bound=Callable[..., Any])

_METHOD = click.option(
    "--method", "methods", multiple=True, metavar="GLOB", help="Only methods that match, as in 'hutch*'."
)
_PROBLEM = click.option("--problem", "problems", multiple=True, metavar="GLOB", help="Only problems that match.")
_ADD = click.option("--add", multiple=True, metavar="METHOD", help="Put a method into every cross of its estimand.")
_ESTIMAND = click.option(
    "--estimand", "estimands", multiple=True, metavar="SPEC", help="Only this estimand: trace, top-eigenvalues[k=10]."
)


@dataclass(frozen=True)
class Part:
    """What of a ledger is asked for: names, specs or globs; everything where a field is empty.

    A name stands for every setting of a method, a problem or an estimand.
    """

    methods: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    estimands: tuple[str, ...] = ()

    def of(self, ledger: Ledger) -> Ledger:
        """The ledger with the cells of the methods and problems asked for, whatever they were asked.

        A cell answers more than it was made for, so estimands are chosen among answers: see `asks`.

        Raises:
            ValueError: If a pattern matches nothing of the ledger, or what matches is nowhere together.
        """
        rows = ledger.records
        _check("method", self.methods, (row.method for row in rows))
        _check("problem", self.problems, (row.problem for row in rows))
        _check("estimand", self.estimands, (row.estimand for row in rows))
        kept = tuple(row for row in rows if _is_any(row.method, self.methods) and _is_any(row.problem, self.problems))
        if rows and not any(self.asks(row.estimand) for row in kept):
            asked = ", ".join((*self.methods, *self.problems, *self.estimands))
            raise ValueError(f"nothing of this ledger is left: no row has all of {asked}")
        return replace(ledger, records=kept)

    def asks(self, estimand: str) -> bool:
        """Whether an estimand is asked for."""
        return _is_any(estimand, self.estimands)

    def rows(self, ledger: Ledger) -> tuple[Record, ...]:
        """The rows with the methods, problems and estimands asked for.

        Raises:
            ValueError: As `of`.
        """
        return tuple(row for row in self.of(ledger).records if self.asks(row.estimand))


def part_options(function: F) -> F:
    """Add --problem, --method and --estimand; the function takes `part`."""

    @functools.wraps(function)
    def taking(
        *args: Any, methods: tuple[str, ...], problems: tuple[str, ...], estimands: tuple[str, ...], **more: Any
    ) -> Any:
        return function(*args, part=Part(methods, problems, estimands), **more)

    return _with(taking, (_PROBLEM, _METHOD, _ESTIMAND))


def selection_options(function: F) -> F:
    """Add --method, --problem and --add; the function takes `selection`."""

    @functools.wraps(function)
    def taking(
        *args: Any, methods: tuple[str, ...], problems: tuple[str, ...], add: tuple[str, ...], **more: Any
    ) -> Any:
        return function(*args, selection=Selection(methods, problems, add), **more)

    return _with(taking, (_METHOD, _PROBLEM, _ADD))


def selected_suite(source: str, selection: Selection) -> Suite:
    """Read a suite and take what is selected of it.

    Raises:
        ValueError: If there is no such suite.
    """
    return replace(Suite.load(source), selection=selection)


def _with(command: Any, options: Sequence[Callable[[Any], Any]]) -> Any:
    for option in reversed(options):
        command = option(command)
    return command


def _check(what: str, patterns: Sequence[str], texts: Iterable[str]) -> None:
    known = sorted(set(texts))
    for pattern in patterns if known else ():
        if not any(_is_any(text, (pattern,)) for text in known):
            near = suggest(pattern, known)
            raise ValueError(f"{what}: {pattern!r} matches none{near}; in this ledger: {', '.join(known)}")


def _is_any(text: str, patterns: Sequence[str]) -> bool:
    """Whether a spec is one of the patterns, or its name, or matches one; also where there is none."""
    name = text.partition("[")[0]
    return not patterns or any(
        pattern in (text, name) or matches_glob(text, pattern) or matches_glob(name, pattern) for pattern in patterns
    )
