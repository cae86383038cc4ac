"""Where the methods of a ledger come from: the bibliography of a report."""

from __future__ import annotations

from collections.abc import Iterable, Mapping


def sources(specs: Iterable[str], citations: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """Name and citation of each method that has one, by name.

    Args:
        specs: Specs of methods, as rows have them.
        citations: Citation by name. A ledger holds none, so a method that is no longer known has none either.
    """
    names = {spec.partition("[")[0] for spec in specs}
    return tuple((name, citations[name]) for name in sorted(names) if citations.get(name, "").strip())
