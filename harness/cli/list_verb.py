"""`hessbench list`."""

from __future__ import annotations

import click

from hessbench.catalog import load_catalog
from hessbench.estimand import ESTIMANDS, Estimand
from hessbench.estimand.base import defaults_of
from hessbench.reports.writing.terminal import print_table, table_console
from hessbench.running.suite import Suite, built_in_suites
from hessbench.specs import Required, Value, format_value, suggest

SECTIONS = ("problems", "methods", "estimands", "suites")


@click.command("list", epilog="Example: hessbench list methods --estimand trace")
@click.argument("section", type=click.Choice(SECTIONS), required=False)
@click.option("--plugin", "plugins", multiple=True, metavar="FILE", help="Python file with METHODS or PROBLEMS.")
@click.option("--estimand", metavar="ESTIMAND", help="Only methods that answer it, as in trace.")
def command(section: str | None, plugins: tuple[str, ...], estimand: str | None) -> None:
    """Show what is registered: problems, methods, estimands and suites, with their parameters and defaults."""
    catalog = load_catalog(plugins)
    if estimand is not None and section not in (None, "methods"):
        raise ValueError(f"--estimand is accepted with methods, got {section}")
    section = section if estimand is None else "methods"
    kind = None if estimand is None else _kind(estimand)
    rows: dict[str, list[tuple[str, str, str]]] = {
        "problems": [(p.name, _parameters(p.defaults), p.summary) for p in catalog.problems],
        "methods": [
            (
                m.name,
                _parameters(m.defaults),
                f"{', '.join(kind.key for kind in m.estimands)}. {m.summary or _first(m.run)}",
            )
            for m in catalog.methods
            if kind is None or m.answers(kind)
        ],
        "estimands": [
            (key, _parameters(defaults_of(kind)), f"{_first(kind)} {_errors(kind)}") for key, kind in ESTIMANDS.items()
        ],
        "suites": [(name, f"version {Suite.load(name).version}", _crosses(name)) for name in built_in_suites()],
    }
    console = table_console()
    for name in SECTIONS if section is None else (section,):
        console.print(name, style="italic")
        print_table(console, ("name", "parameters", "what it is"), rows[name])
        console.print()


def _kind(text: str) -> type[Estimand]:
    """The kind of estimand that a spec or a bare name means.

    Raises:
        ValueError: If there is none.
    """
    name = text.partition("[")[0]
    if name not in ESTIMANDS:
        raise ValueError(f"unknown estimand {name!r}{suggest(name, ESTIMANDS)}; accepted: {', '.join(ESTIMANDS)}")
    return ESTIMANDS[name]


def _parameters(defaults: dict[str, Value | Required]) -> str:
    return ", ".join(
        f"{key} (required)" if isinstance(value, Required) else f"{key}={format_value(value)}"
        for key, value in defaults.items()
    )


def _errors(kind: type[Estimand]) -> str:
    """What its errors are: the one that ranks, and of a trace the one that is shown where it is not near zero."""
    shown = [kind.primary, *(["relative"] if "relative" in kind.definitions else [])]
    return " ".join(f"Error {name}: {kind.definitions[name].sentence}" for name in shown)


def _first(thing: object) -> str:
    return (thing.__doc__ or "").strip().splitlines()[0] if thing.__doc__ else ""


def _crosses(name: str) -> str:
    suite = Suite.load(name)
    return "; ".join(dict.fromkeys(cross.estimand for cross in suite.crosses))
