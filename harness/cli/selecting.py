"""Options that take a part of a suite, and add a method to it; shared by `plan` and `run`."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeVar

import click

from hessbench.running.suite import Selection, Suite

F = TypeVar("F", bound=Callable[..., Any])


def selection_options(function: F) -> F:
    """Add --method, --problem and --add; the function takes `selection`."""

    @functools.wraps(function)
    def taking(
        *args: Any, methods: tuple[str, ...], problems: tuple[str, ...], add: tuple[str, ...], **more: Any
    ) -> Any:
        return function(*args, selection=Selection(methods, problems, add), **more)

    command: Any = taking
    for option in reversed(
        (
            click.option(
                "--method", "methods", multiple=True, metavar="GLOB", help="Only methods that match, as in 'hutch*'."
            ),
            click.option("--problem", "problems", multiple=True, metavar="GLOB", help="Only problems that match."),
            click.option(
                "--add", multiple=True, metavar="METHOD", help="Put a method into every cross of its estimand."
            ),
        )
    ):
        command = option(command)
    return command


def selected_suite(source: str, selection: Selection) -> Suite:
    """Read a suite and take what is selected of it.

    Raises:
        ValueError: If there is no such suite.
    """
    return replace(Suite.load(source), selection=selection)
