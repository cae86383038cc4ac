"""The conditions of two ledgers: whether one seed must give the same bits in both, and what is not alike.

Engine, threads, what the CPU is capable of, device and versions decide; device, dtype and threads are part of a cell.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, TypeAlias, cast

from hessbench.ledger.record import Record

Facts: TypeAlias = Mapping[str, Any]
Environments: TypeAlias = Mapping[str, Facts]

_NAMED: Final = {
    "python": "Python",
    "machine": "machine",
    "cpu_capability": "CPU capability",
    "blas": "BLAS",
    "deterministic": "deterministic algorithms",
}
_ON_DEVICE: Final = {"tf32_matmul": "TF32 in matrix products", "tf32_cudnn": "TF32 in convolutions"}
_LIBRARIES: Final = ("torch", "numpy", "scipy")
_DEVICE: Final = ("model", "cuda", "cudnn", "driver")


def are_alike(old: Record, new: Record, before: Environments, after: Environments) -> bool:
    """Whether one seed must give the same bits in both cells.

    Args:
        old: Terminal row of the old ledger.
        new: Terminal row of the new one.
        before: Facts of the old ledger's environments, by their hash.
        after: Those of the new one's.
    """
    if old.engine_name != new.engine_name or old.threads != new.threads:
        return False
    if old.environment and old.environment == new.environment:
        return True
    was, now = before.get(old.environment), after.get(new.environment)
    return was is not None and now is not None and not unlike_facts(was, now)


def unlike_facts(was: Facts, now: Facts) -> list[str]:
    """What differs between two environments of all that can change the bits of a result, one a sentence."""
    found = [_changed(name, was[key], now[key]) for key, name in _NAMED.items() if _differ(was.get(key), now.get(key))]
    if None in (was.get("cpu_capability"), now.get("cpu_capability")) and _differ(was.get("cpu"), now.get("cpu")):
        # Ledgers from before there was the fact: the model stands for it.
        found.append(_changed("CPU", was["cpu"], now["cpu"]))
    old, new = _table(was, "versions"), _table(now, "versions")
    found += [_changed(name, old[name], new[name]) for name in _LIBRARIES if _differ(old.get(name), new.get(name))]
    old, new = _table(was, "device"), _table(now, "device")
    found += [
        _changed(f"device {name}", old[name], new[name]) for name in _DEVICE if _differ(old.get(name), new.get(name))
    ]
    if new.get("type") == "cuda":
        found += [
            _changed(name, was[key], now[key])
            for key, name in _ON_DEVICE.items()
            if _differ(was.get(key), now.get(key))
        ]
    return found


def unlike_conditions(pairs: Iterable[tuple[Record, Record]], before: Environments, after: Environments) -> list[str]:
    """Everything that is not alike between the cells of two ledgers, one a sentence, each with how many it is true of.

    Args:
        pairs: Terminal rows of the cells, old and new.
        before: Facts of the old ledger's environments, by their hash.
        after: Those of the new one's.
    """
    found: dict[str, int] = {}
    total = 0
    for old, new in pairs:
        total += 1
        said: list[str] = []
        if old.environment != new.environment or not old.environment:
            was, now = before.get(old.environment), after.get(new.environment)
            if was is None or now is None:
                said.append("the conditions of a ledger are not known: it holds no row of its environment")
            else:
                said += unlike_facts(was, now)
        if old.engine_name and new.engine_name and old.engine_name != new.engine_name:
            said.append(_changed(f"engine of {old.problem}", old.engine_name, new.engine_name))
        for name, was, now in (
            ("time limit in seconds", old.timeout_s, new.timeout_s),
            ("memory cap in bytes", old.memory_cap_bytes, new.memory_cap_bytes),
        ):
            if was != now:
                said.append(_changed(name, was, now))
        for sentence in said:
            found[sentence] = found.get(sentence, 0) + 1
    return [f"{sentence} ({number} of {total} cells)" for sentence, number in found.items()]


def _differ(was: object, now: object) -> bool:
    """Whether both are known and not the same."""
    return was is not None and now is not None and was != now


def _changed(name: str, was: object, now: object) -> str:
    return f"{name} {'none' if was is None else was}, now {'none' if now is None else now}"


def _table(facts: Facts, name: str) -> Facts:
    found = facts.get(name)
    return cast("Facts", found) if isinstance(found, Mapping) else {}
