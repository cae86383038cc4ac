"""The truth about a problem, for scoring: from the run's folder, from the cache, or built now in its own process."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from hessbench.estimand.base import Source
from hessbench.ledger.record import Status
from hessbench.ledger.stored_references import ReferenceStore, Truth, cached_references
from hessbench.running.rows import verdict
from hessbench.workers.messages import (
    BuiltReference,
    Cause,
    Message,
    NoReference,
    ProblemHash,
    ReferenceJob,
    ReferenceProgress,
)
from hessbench.workers.pool import Pool

_TIMEOUT_S: Final = 3600.0


@dataclass(frozen=True)
class ReferenceLimits:
    """What building references may take.

    Attributes:
        each_s: Seconds for each reference, those of one problem together.
        memory_cap_bytes: Memory above the server's.
    """

    each_s: float | None = None
    memory_cap_bytes: int | None = None


class Listener(Protocol):
    """Told how references go on."""

    def phase(self, text: str) -> None:
        """Something has begun, or could not be kept."""
        ...

    def reference(self, what: str, done: float, elapsed_s: float) -> None:
        """A reference is at work: which, the part done, and the seconds since it began."""
        ...


class _Watch:
    """Tells a listener of the reference at work, from what its job has said so far."""

    def __init__(self, spec: str, listener: Listener) -> None:
        self._spec, self._listener = spec, listener
        self._at = ""
        self._began = time.monotonic()

    def __call__(self, said: Sequence[Message]) -> None:
        at = next((message for message in reversed(said) if isinstance(message, ReferenceProgress)), None)
        if at is None:
            return
        if at.estimand != self._at:
            self._at, self._began = at.estimand, time.monotonic()
        self._listener.reference(f"{at.estimand} of {self._spec}", at.done, time.monotonic() - self._began)


def find_truth(
    pool: Pool,
    folder: Path,
    spec: str,
    estimands: list[str],
    threads: int,
    listener: Listener,
    limits: ReferenceLimits | None = None,
    beside: Sequence[str] = (),
    *,
    kept_only: bool = False,
) -> Truth:
    """Hash a problem's content, and have the references that neither the folder nor the cache holds built.

    Nothing is spent on what nobody asked for.

    Args:
        pool: Where the job runs.
        folder: The run's folder; every reference found ends up in it, so that it can be scored again by itself.
        spec: The problem.
        estimands: What is to be known of it.
        threads: Threads of the job.
        listener: Told how far a reference is, and what could not be kept.
        limits: Time for each reference, and memory; an hour for all of them, and the machine's, by default.
        beside: What its methods answer beside that; taken where it is kept, or comes with the work for the rest.
        kept_only: Make none; the folder's and the cache's are taken.

    Returns:
        The references, and the reasons of those that are missing.

    Raises:
        OSError: If the folder cannot be written.
    """
    limits = limits or ReferenceLimits()
    job = ReferenceJob(
        problem=spec,
        estimands=() if kept_only else tuple(estimands),
        folder=str(folder),
        threads=threads,
        timeout_s=_TIMEOUT_S if limits.each_s is None else limits.each_s * len(estimands),
        memory_cap_bytes=limits.memory_cap_bytes,
        beside=() if kept_only else tuple(beside),
    )
    say, watch = listener.phase, _Watch(spec, listener)
    outcome = pool.perform(job, watch=watch)
    if outcome.end is None and outcome.ended.cause in (Cause.NONE, Cause.SERVER):
        say(f"the reference of {spec} was interrupted ({verdict(outcome)[1]}): once more")
        outcome = pool.perform(job, watch=watch)
    missing: dict[str, str] = {}
    if outcome.end is None or outcome.end.status is not Status.OK:
        missing = dict.fromkeys(estimands, f"no reference: {verdict(outcome)[1]}")
    hashed = outcome.of_type(ProblemHash)
    if not hashed:
        return Truth(missing=missing)
    problem_hash = hashed[0].hash
    wanted = [*estimands, *beside]
    store = ReferenceStore(folder)
    made = outcome.of_type(BuiltReference)
    for found in made:
        if store.is_damaged(problem_hash, found.estimand):
            say(f"the kept reference {found.estimand} of {spec} was damaged: it was built again")
        store.save(problem_hash, found.estimand, found.reference)
    if hashed[0].of_content:
        _share(store, made, problem_hash, wanted, say)
    references = store.load(problem_hash, wanted)
    for found in made:
        references.setdefault(found.estimand, found.reference)
    if kept_only:
        missing |= dict.fromkeys(estimands, "no reference is kept, and none was to be made")
    missing |= {none.estimand: none.reason for none in outcome.of_type(NoReference)}
    return Truth(problem_hash, references, {name: why for name, why in missing.items() if name not in references})


def _share(
    store: ReferenceStore,
    made: list[BuiltReference],
    problem_hash: str,
    estimands: list[str],
    say: Callable[[str], None],
) -> None:
    """Give the cache what was costly to make, and take from it what another run made.

    Args:
        store: That of the run's folder.
        made: References built now.
        problem_hash: Of what problem.
        estimands: What is to be known of it.
        say: Told what could not be kept.
    """
    cache = cached_references()
    try:
        for found in made:
            if found.source is not Source.ANALYTIC:
                cache.save(problem_hash, found.estimand, found.reference)
    except OSError as failure:
        say(f"references are not kept in the cache: {failure.strerror or failure}")
    for estimand in estimands:
        if not store.holds(problem_hash, estimand):
            store.copy(cache, problem_hash, estimand)
