"""The tolerance behind a claim of convergence: what the method was given, as far as a row tells."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from hessbench.ledger.record import Record
from hessbench.specs import parse_one

NAMES: Final = ("tol", "tolerance", "epsilon")
"""What methods call the tolerance by which they say that they have converged."""
_IN_TEXT: Final = re.compile(r"\b(?:tol|tolerance|epsilon)=([0-9.]+(?:[eE][-+]?[0-9]+)?)")


def claimed_tolerance(row: Record, defaults: Mapping[str, float]) -> float | None:
    """The tolerance that a method was given: in its spec, in what its library was asked for, or by default.

    Args:
        row: A row of a run.
        defaults: Tolerances by the name of the method, for those that a spec leaves out.
    """
    try:
        spec = parse_one(row.method)
    except ValueError:
        return None
    own = default_tolerance(spec.as_dict)
    if own is not None:
        return own
    found = _IN_TEXT.search(str(row.diagnostics.get("asked", "")))
    return defaults.get(spec.name) if found is None else float(found[1])


def default_tolerance(parameters: Mapping[str, object]) -> float | None:
    """The tolerance among the parameters of a method; None where it has none."""
    for value in (parameters.get(name) for name in NAMES):
        if isinstance(value, int | float) and not isinstance(value, bool):
            return float(value)
    return None
