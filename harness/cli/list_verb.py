"""`hessbench list`."""

from __future__ import annotations

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from hessbench.catalog import load_catalog
from hessbench.estimand import ESTIMANDS, Estimand
from hessbench.estimand.base import defaults_of
from hessbench.running.suite import Suite, built_in_suites
from hessbench.specs import Required, Value, format_value

SECTIONS = ("problems", "methods", "estimands", "suites")


@click.command("list", epilog="Example: hessbench list methods --plugin my_estimator.py")
@click.argument("section", type=click.Choice(SECTIONS), required=False)
@click.option("--plugin", "plugins", multiple=True, metavar="FILE", help="Python file with METHODS or PROBLEMS.")
def command(section: str | None, plugins: tuple[str, ...]) -> None:
    """Show what is registered: problems, methods, estimands and suites, with their parameters and defaults."""
    catalog = load_catalog(plugins)
    rows: dict[str, list[tuple[str, str, str]]] = {
        "problems": [(p.name, _parameters(p.defaults), p.summary) for p in catalog.problems],
        "methods": [
            (
                m.name,
                _parameters(m.defaults),
                f"{', '.join(kind.key for kind in m.estimands)}. {m.summary or _first(m.run)}",
            )
            for m in catalog.methods
        ],
        "estimands": [
            (key, _parameters(defaults_of(kind)), f"{_first(kind)} {_errors(kind)}") for key, kind in ESTIMANDS.items()
        ],
        "suites": [(name, f"version {Suite.load(name).version}", _crosses(name)) for name in built_in_suites()],
    }
    console = Console(width=None if Console().is_terminal else 160)
    for name in SECTIONS if section is None else (section,):
        table = Table(title=name, title_justify="left", box=None, pad_edge=False)
        for head in ("name", "parameters", "what it is"):
            table.add_column(head, overflow="fold")
        for row in rows[name]:
            table.add_row(*map(Text, row))
        console.print(table)
        console.print()


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
