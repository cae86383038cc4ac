"""Names to show for what rows share: short hashes where there are variants, conditions, columns of what was asked."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable

from hessbench.ledger.grouping import Key
from hessbench.reports.writing import units


def namer(keys: Iterable[Key]) -> Callable[[Key], tuple[str, str]]:
    """A function that names the problem and the method of a key, with a short hash where there are variants."""
    problems: dict[str, set[str]] = defaultdict(set)
    methods: dict[str, set[str]] = defaultdict(set)
    versions: dict[str, set[str]] = defaultdict(set)
    sources: dict[str, set[str]] = defaultdict(set)
    for key in keys:
        sources[key.source.partition("[")[0]].add(key.source)
        problems[key.problem].add(key.problem_hash)
        methods[key.method].add(key.method_hash)
        versions[key.method].add(key.library_version)

    def name(key: Key) -> tuple[str, str]:
        problem, method = key.problem, key.method
        if len(problems[problem]) > 1:
            problem += f" #{key.problem_hash[:6] or 'no hash'}"
        if len(versions[method]) > 1:
            method += f" {key.library_version or 'no version'}"
        if len(methods[key.method]) > 1:
            method += f" #{key.method_hash[:6] or 'no hash'}"
        if key.source != key.estimand:
            short = key.source.partition("[")[0]
            method += f" (from its {short if len(sources[short]) == 1 else key.source} run)"
        return problem, method

    return name


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
