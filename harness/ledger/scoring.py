"""Scoring: errors of stored estimates against references, off every clock and outside of the worker."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from pathlib import Path

from hessbench.estimand import Arrays, Reference, parse_estimand
from hessbench.ledger.attempts import Attempt
from hessbench.ledger.kept_arrays import load_arrays
from hessbench.ledger.reading import Ledger, LedgerTail
from hessbench.ledger.record import Kind, Record
from hessbench.ledger.stored_references import ReferenceStore
from hessbench.ledger.writing import LedgerWriter, now


def scored(record: Record, arrays: Arrays, reference: Reference | None) -> Record:
    """Add the errors of an estimate to its row.

    Args:
        record: Row whose `estimand` and `dtype` say how to score.
        arrays: The estimate.
        reference: The truth, or None where there is none.

    Returns:
        The row with `error`, `errors` and the reference's source and bound; errors are null without a reference or
        where the estimate is not finite.
    """
    if reference is None:
        return record
    estimand = parse_estimand(record.estimand)
    # What was kept before references told the dimension is scored by that of the row.
    reference = dataclasses.replace(reference, dim=reference.dim or record.dim)
    errors = estimand.errors(arrays, reference, record.dtype)
    error = errors[estimand.primary]
    return dataclasses.replace(
        record,
        error=error if math.isfinite(error) else None,
        errors={name: value if math.isfinite(value) else None for name, value in errors.items()},
        reference_source=reference.source.value,
        reference_bound=estimand.floor(reference, record.dtype),
        notes={name: says for name, says in record.notes.items() if name != "error"},
    )


def rescore(folder: str | Path) -> tuple[int, int]:
    """Score every kept estimate of a run again and append the rows that result.

    Nothing is run: the estimates come from `arrays/`, the truth from `references/`.

    Returns:
        Number of rows scored again, and number that could not be for want of arrays or a reference.

    Raises:
        ValueError: If the folder holds no ledger.
        OSError: If it cannot be written.
    """
    ledger = Ledger.read(folder)
    tail = LedgerTail(folder)
    tail.refresh()
    store = ReferenceStore(folder)
    writer = LedgerWriter(folder)
    done = left = 0
    try:
        for cell, terminal in ledger.terminals.items():
            rows = [row for row in ledger.records if row.cell == cell and row.kind is Kind.CHECKPOINT]
            fresh = [_again(row, Path(folder), store) for row in rows]
            done += sum(row is not None for row in fresh)
            left += sum(row is None for row in fresh)
            again = [new or old for new, old in zip(fresh, rows, strict=True)]
            if again == rows:
                continue
            append_attempt(writer, Attempt(terminal, tuple(again)), tail.next_attempt(cell))
    finally:
        writer.close()
    return done, left


def append_attempt(writer: LedgerWriter, attempt: Attempt, number: int) -> None:
    """Append the rows of an attempt again, under a number that makes them stand; rows are never edited.

    Raises:
        OSError: If the disk is full.
    """
    rows = list(attempt.checkpoints)
    for row in [*rows, with_errors_of(attempt.terminal, rows)]:
        writer.append(dataclasses.replace(row, time=now(), attempt=number))


def scored_since(attempt: Attempt, folder: Path, references: Mapping[str, Reference]) -> Attempt:
    """An attempt whose rows without an error are scored, where a reference and their arrays are there by now."""
    fresh: list[Record] = []
    for row in attempt.checkpoints:
        reference = references.get(row.estimand)
        again = None if row.error is not None or reference is None else _with_arrays(row, folder, reference)
        fresh.append(again or row)
    return dataclasses.replace(attempt, checkpoints=tuple(fresh))


def with_errors_of(terminal: Record, checkpoints: list[Record]) -> Record:
    """Give the terminal row what its last checkpoint of the cell's own estimand says."""
    own = [row for row in checkpoints if row.estimand == terminal.estimand]
    if not own:
        return terminal
    last = own[-1]
    notes = {name: says for name, says in terminal.notes.items() if name != "error" or not last.reference_source}
    return dataclasses.replace(
        terminal, error=last.error, errors=last.errors, reference_source=last.reference_source,
        reference_bound=last.reference_bound, said_stderr=last.said_stderr, said_converged=last.said_converged,
        said_matvecs=last.said_matvecs, diagnostics=last.diagnostics, notes=notes,
    )  # fmt: skip


def _again(record: Record, folder: Path, store: ReferenceStore) -> Record | None:
    reference = store.load(record.problem_hash, [record.estimand]).get(record.estimand)
    return None if reference is None else _with_arrays(record, folder, reference)


def _with_arrays(record: Record, folder: Path, reference: Reference) -> Record | None:
    """The row scored from the arrays kept for it; None where there are none."""
    if not record.arrays:
        return None
    try:
        arrays = load_arrays(folder, record.arrays)
    except ValueError:
        return None
    return scored(record, arrays, reference)
