"""Names to show for what rows share: short hashes where there are variants, conditions, columns of what was asked."""

from __future__ import annotations

from hessbench.ledger.grouping import Key
from hessbench.ledger.grouping import namer as namer
from hessbench.reports.writing import units


def where(key: Key) -> str:
    """Device, dtype and threads."""
    return units.conditions(key.device, key.dtype, key.threads)


def asked(key: Key) -> dict[str, str | int]:
    """What was asked of a run, as columns."""
    return {
        "estimand": key.estimand,
        "method": key.method,
        "method_hash": key.method_hash,
        "library_version": key.library_version,
        "run_estimand": key.source,
        "device": key.device,
        "dtype": key.dtype,
        "threads": key.threads,
    }
