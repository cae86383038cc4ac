"""Every answer of a ledger with what may be put together, and what may not.

Rows whose problem hash, method hash, library version or schema differ are never put together: they are told apart by
a short hash in the name. A failed cell that has no hash, because it never got that far, is counted with the one known
variant where there is only one.
"""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from hessbench.ledger.record import Kind, Record, Status


@dataclass(frozen=True, order=True)
class Key:
    """What rows must share to be put together; `source` is the estimand the run was made for."""

    problem: str
    problem_hash: str
    estimand: str
    method: str
    method_hash: str
    library_version: str
    device: str
    dtype: str
    threads: int
    source: str
    schema: int


@dataclass(frozen=True)
class Answer:
    """One estimand of one cell at one budget: the row that holds its error, and the terminal row of the cell."""

    key: Key
    row: Record
    terminal: Record

    @property
    def error(self) -> float | None:
        """Primary error."""
        return self.row.error

    @property
    def build_s(self) -> float | None:
        """Seconds to build the operator."""
        return self.terminal.build_s if self.row.build_s is None else self.row.build_s

    @property
    def wall_s(self) -> float | None:
        """Seconds of the whole run."""
        return self.row.wall_s if self.terminal.wall_s is None else self.terminal.wall_s

    @property
    def seconds(self) -> float | None:
        """Seconds to this answer, build included; None where either was not measured."""
        if self.row.wall_s is None or self.build_s is None:
            return None
        return self.build_s + self.row.wall_s


def answers(records: Sequence[Record], passes: Sequence[str] = ("time",)) -> tuple[Answer, ...]:
    """Every estimand of every cell at every budget, skipped cells left out.

    A cell that ended without a row for an estimand that other cells of its kind answer (it failed before) gives an
    answer without an error, so that failures are counted wherever they belong.

    Args:
        records: Rows of a ledger.
        passes: Passes to take.

    Returns:
        Answers in the order of their keys, repeats and budgets.
    """
    kept = [row for row in records if row.pass_ in passes]
    terminals = {row.cell: row for row in kept if row.kind is Kind.TERMINAL and row.status is not Status.SKIPPED}
    adopt = _adopter(terminals.values())
    also: dict[tuple[str, str, str], set[str]] = defaultdict(set)
    rows: dict[tuple[str, str, int], Record] = {}
    for row in kept:
        if row.kind is Kind.CHECKPOINT and row.cell in terminals:
            run = terminals[row.cell]
            also[run.problem, run.method, run.estimand].add(row.estimand)
            rows[row.cell, row.estimand, row.budget] = row
    for run in terminals.values():
        for estimand in {run.estimand, *also[run.problem, run.method, run.estimand]}:
            place = (run.cell, estimand, run.budget)
            if estimand == run.estimand:
                rows[place] = _scored(rows[place], run) if place in rows else run
            elif place not in rows:
                rows[place] = dataclasses.replace(
                    run, estimand=estimand, error=None, errors={}, reference_bound=None, reference_source=""
                )
    found = [Answer(adopt(_key(row, terminals[cell])), row, terminals[cell]) for (cell, _, _), row in rows.items()]
    return tuple(sorted(found, key=lambda it: (it.key, it.row.repeat, it.row.budget, it.row.cell)))


def by_key(found: Iterable[Answer]) -> dict[Key, list[Answer]]:
    """Answers by their key, keys ascending."""
    groups: dict[Key, list[Answer]] = defaultdict(list)
    for answer in found:
        groups[answer.key].append(answer)
    return dict(sorted(groups.items()))


def timed_or_all(records: Sequence[Record]) -> dict[Key, list[Answer]]:
    """Answers of the time pass; of the memory pass only where the time pass has none of that key."""
    timed = by_key(answers(records))
    other = by_key(answers(records, ("memory",)))
    return dict(sorted((other | timed).items()))


def run_key(key: Key) -> Key:
    """The key of the run an answer comes from."""
    return dataclasses.replace(key, estimand=key.source)


def memory_cells(records: Sequence[Record]) -> dict[Key, list[Record]]:
    """Terminal rows of the memory pass, by the key of their run, at the budgets they were given."""
    cells: dict[Key, list[Record]] = defaultdict(list)
    for answer in answers(records, ("memory",)):
        if answer.key.estimand == answer.key.source and answer.row.budget == answer.terminal.budget:
            cells[answer.key].append(answer.terminal)
    return cells


def telling_conditions(keys: Iterable[Key]) -> Callable[[Key], str]:
    """What must be added to a label: device, dtype and threads where they differ among some keys."""
    known = tuple(keys)
    names = [name for name in ("device", "dtype", "threads") if len({getattr(key, name) for key in known}) > 1]

    def text(key: Key) -> str:
        values = [f"{key.threads} threads" if name == "threads" else str(getattr(key, name)) for name in names]
        return f", {', '.join(values)}" if values else ""

    return text


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


def _scored(checkpoint: Record, run: Record) -> Record:
    """The checkpoint at the largest budget, with the score of the terminal row where it has none."""
    if checkpoint.error is not None or run.error is None:
        return checkpoint
    return dataclasses.replace(
        checkpoint,
        error=run.error,
        errors=run.errors,
        reference_bound=run.reference_bound,
        reference_source=run.reference_source,
    )


def _key(row: Record, run: Record) -> Key:
    return Key(
        row.problem,
        row.problem_hash or run.problem_hash,
        row.estimand,
        row.method,
        row.method_hash or run.method_hash,
        row.library_version or run.library_version,
        row.device,
        row.dtype,
        row.threads,
        run.estimand,
        row.schema,
    )


def _adopter(terminals: Iterable[Record]) -> Callable[[Key], Key]:
    """Fill in a hash that a failed cell lacks, where only one is known."""
    problems: dict[str, set[str]] = defaultdict(set)
    methods: dict[str, set[tuple[str, str]]] = defaultdict(set)
    for row in terminals:
        if row.problem_hash:
            problems[row.problem].add(row.problem_hash)
        if row.method_hash:
            methods[row.method].add((row.method_hash, row.library_version))

    def adopt(key: Key) -> Key:
        if not key.problem_hash and len(problems[key.problem]) == 1:
            key = dataclasses.replace(key, problem_hash=min(problems[key.problem]))
        if not key.method_hash and len(methods[key.method]) == 1:
            method_hash, version = min(methods[key.method])
            key = dataclasses.replace(key, method_hash=method_hash, library_version=version)
        return key

    return adopt
