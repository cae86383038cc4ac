"""Finished runs of a cell, and which of several stands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hessbench.ledger.record import Record, Status


@dataclass(frozen=True)
class Attempt:
    """One finished run of a cell: its terminal row and the checkpoint rows before it."""

    terminal: Record
    checkpoints: tuple[Record, ...] = ()


def best_attempt(attempts: Sequence[Attempt]) -> Attempt:
    """The attempt that stands: of the latest hashes, `ok` before anything else, then the latest.

    Attempts follow their number; the time decides only between rows of one number, as of two folders that were merged.
    A skipped row knows no hashes and never replaces a run.
    """
    ran = [attempt for attempt in attempts if attempt.terminal.status is not Status.SKIPPED] or list(attempts)
    latest = max(ran, key=_order).terminal
    current = [attempt for attempt in ran if _hashes(attempt.terminal) == _hashes(latest)]
    return max(current, key=lambda attempt: (attempt.terminal.status is Status.OK, *_order(attempt)))


def _order(attempt: Attempt) -> tuple[int, str]:
    return attempt.terminal.attempt, attempt.terminal.time


def _hashes(record: Record) -> tuple[str, str, str]:
    return record.problem_hash, record.method_hash, record.library_version
