"""Scoring: errors of stored estimates against references, off every clock and outside of the worker."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

from hessbench.estimand import Arrays, Reference, parse_estimand
from hessbench.ledger import Ledger, LedgerWriter, load_arrays, now
from hessbench.record import Kind, Record
from hessbench.references import ReferenceStore


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
    errors = estimand.errors(arrays, reference, record.dtype)
    error = errors[estimand.primary]
    return dataclasses.replace(
        record,
        error=error if math.isfinite(error) else None,
        errors={name: value if math.isfinite(value) else None for name, value in errors.items()},
        reference_source=reference.source.value,
        reference_bound=estimand.floor(reference, record.dtype),
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
            # Rows are appended, never edited: a later time makes this attempt the one that stands.
            for row in [*again, with_errors_of(terminal, again)]:
                writer.append(dataclasses.replace(row, time=now()))
    finally:
        writer.close()
    return done, left


def with_errors_of(terminal: Record, checkpoints: list[Record]) -> Record:
    """Give the terminal row what its last checkpoint of the cell's own estimand says."""
    own = [row for row in checkpoints if row.estimand == terminal.estimand]
    if not own:
        return terminal
    last = own[-1]
    return dataclasses.replace(
        terminal, error=last.error, errors=last.errors, reference_source=last.reference_source,
        reference_bound=last.reference_bound, said_stderr=last.said_stderr, said_converged=last.said_converged,
        said_matvecs=last.said_matvecs, diagnostics=last.diagnostics,
    )  # fmt: skip


def _again(record: Record, folder: Path, store: ReferenceStore) -> Record | None:
    reference = store.load(record.problem_hash, [record.estimand]).get(record.estimand)
    if not record.arrays or reference is None:
        return None
    try:
        arrays = load_arrays(folder, record.arrays)
    except ValueError:
        return None
    return scored(record, arrays, reference)
