"""The conditions of a run as a table: facts as rows, environments as columns."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from hessbench.ledger.record import Record
from hessbench.reports.writing import units


def environment_table(environments: Mapping[str, Mapping[str, Any]], terminals: Sequence[Record]) -> dict[str, Any]:
    """Facts as rows, environments as columns, nested facts written out by dotted names."""
    used = Counter(row.environment for row in terminals)
    flat = {name: _flatten(facts) for name, facts in sorted(environments.items())}
    names = list(dict.fromkeys(fact for facts in flat.values() for fact in facts))
    return {
        "heads": [(name[:12], used[name]) for name in flat],
        "rows": [(fact, [facts.get(fact, units.DASH) for facts in flat.values()]) for fact in names],
        "commands": sorted({str(facts["command"]) for facts in flat.values() if "command" in facts}),
    }


def _flatten(facts: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    flat: dict[str, str] = {}
    for name, value in facts.items():
        if isinstance(value, Mapping) and value:
            flat |= _flatten(value, f"{prefix}{name}.")  # pyright: ignore[reportUnknownArgumentType]
        else:
            flat[f"{prefix}{name}"] = value if isinstance(value, str) else json.dumps(value)
    return flat
