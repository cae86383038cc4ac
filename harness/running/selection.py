"""What a command line takes of a suite, and the methods that it adds: which cells are planned, never what they are."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from hessbench.catalog import Catalog, load_plugin
from hessbench.estimand import parse_estimand
from hessbench.registry import E, Registry, Selected
from hessbench.running.suite import Cross, Selection, Suite
from hessbench.specs import Spec, suggest


def chosen_problems(cross: Cross, selection: Selection, catalog: Catalog) -> list[Selected]:
    """Problems of a crossing that are selected."""
    return _kept(catalog.problems, cross.problems, selection.problems)


def chosen_methods(cross: Cross, selection: Selection, catalog: Catalog) -> list[Selected]:
    """Methods of a crossing that are selected, and then those that are added, as if a glob had chosen them.

    So an added method is left out where it does not answer the estimand, and its cells that cannot run are skipped with
    their reason.
    """
    own = _kept(catalog.methods, cross.methods, selection.methods)
    taken = {chosen.spec for chosen in own}
    return [
        *own,
        *(Selected(spec, by_glob=True) for spec in _specs(catalog.methods, selection.add) if spec not in taken),
    ]


def check_selection(suite: Suite, catalog: Catalog) -> None:
    """Refuse a selection that takes nothing of its suite, or adds to none of the crossings.

    Raises:
        ValueError: If a pattern matches nothing of the suite, what matches is in no crossing together, or an added
            method answers no estimand of the suite.
    """
    selection, crosses = suite.selection, suite.crosses
    added = [text for pattern in selection.add for text in map(str, _specs(catalog.methods, [pattern]))]
    methods = [*(cross.methods for cross in crosses), added]
    _check_patterns("method", selection.methods, methods, catalog.methods, suite.name)
    _check_patterns("problem", selection.problems, [cross.problems for cross in crosses], catalog.problems, suite.name)
    asked = {type(parse_estimand(cross.estimand)): None for cross in crosses}
    for text in selection.add:
        entries = [catalog.methods.entry_of(spec) for spec in _specs(catalog.methods, [text])]
        if not any(entry.answers(kind) for entry in entries for kind in asked):
            answered = dict.fromkeys(kind for entry in entries for kind in entry.estimands)
            has, wanted = (", ".join(kind.key for kind in kinds) for kinds in (answered, asked))
            raise ValueError(
                f"{text} cannot be added to the suite {suite.name}: it answers {has}; the suite asks for {wanted}"
            )
    for cross in crosses:
        if chosen_problems(cross, selection, catalog) and chosen_methods(cross, selection, catalog):
            return
    raise ValueError(
        f"nothing of the suite {suite.name} is left: no cross has a method among {', '.join(selection.methods)} "
        f"and a problem among {', '.join(selection.problems)}"
    )


def left_out(suite: Suite, catalog: Catalog, plugins: Iterable[str]) -> list[str]:
    """Sentences on what plugin files define and a suite, with what is added to it, does not run.

    Args:
        suite: What will be run.
        catalog: Where the names are looked up, with the plugins.
        plugins: The plugin files.
    """
    whole = Selection(add=suite.selection.add)
    methods = {chosen.spec.name for cross in suite.crosses for chosen in chosen_methods(cross, whole, catalog)}
    problems = {spec.name for cross in suite.crosses for spec in _specs(catalog.problems, cross.problems)}
    asked = dict.fromkeys(type(parse_estimand(cross.estimand)) for cross in suite.crosses)
    said: list[str] = []
    for module in map(load_plugin, plugins):
        for method in getattr(module, "METHODS", []):
            answered = ", ".join(kind.key for kind in asked if method.answers(kind))
            remedy = (
                f"--add {method.name} puts it into every cross of {answered}"
                if answered
                else f"none asks for {', '.join(kind.key for kind in method.estimands)}; name it in a suite of your own"
            )
            if method.name not in methods:
                said.append(f"{method.name} is in no cross of {suite.name}: {remedy}")
        said += [
            f"{problem.name} is in no cross of {suite.name}: name it in a suite of your own"
            for problem in getattr(module, "PROBLEMS", [])
            if problem.name not in problems
        ]
    return said


def _check_patterns(
    what: str, patterns: Sequence[str], named: Iterable[Sequence[str]], registry: Registry[E], suite: str
) -> None:
    """Refuse a pattern that matches nothing of a suite.

    Args:
        what: "method" or "problem", for the message.
        patterns: Those asked for.
        named: Specs, sweeps and globs of each crossing.
        registry: Where they are looked up.
        suite: Name of the suite.

    Raises:
        ValueError: If there is one.
    """
    there = _specs(registry, (text for texts in named for text in texts)) if patterns else []
    for pattern in patterns:
        if not any(registry.matches(spec, pattern) for spec in there):
            names = list(dict.fromkeys(spec.name for spec in there))
            near = suggest(pattern, names)
            raise ValueError(f"no {what} of the suite {suite} matches {pattern!r}{near}; it has: {', '.join(names)}")


def _specs(registry: Registry[E], texts: Iterable[str]) -> list[Spec]:
    """What specs, sweeps and globs stand for, each once."""
    return list(dict.fromkeys(chosen.spec for text in texts for chosen in registry.select(text)))


def _kept(registry: Registry[E], texts: Iterable[str], patterns: Sequence[str]) -> list[Selected]:
    """What texts of a suite name, less what none of the patterns matches."""
    named = [chosen for text in texts for chosen in registry.select(text)]
    if not patterns:
        return named
    return [chosen for chosen in named if any(registry.matches(chosen.spec, pattern) for pattern in patterns)]
