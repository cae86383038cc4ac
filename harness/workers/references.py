"""The job that makes references: what is asked for, and with it what comes of the same work."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

import torch

from hessbench.cells.execute import classify
from hessbench.estimand import Density, Diagonal, Estimand, Reference, Source, TopEigenvalues, parse_estimand
from hessbench.estimand.from_dense import DENSE_LIMIT
from hessbench.estimand.from_density import WHOLE, from_density
from hessbench.estimand.spectral import SpectralQuantity
from hessbench.estimand.work import has_own_work, heard
from hessbench.ledger.stored_references import ReferenceStore, cached_references
from hessbench.problem import Problem
from hessbench.redact import redact
from hessbench.workers.messages import (
    BuiltReference,
    Message,
    NoReference,
    ProblemHash,
    ReferenceJob,
    ReferenceProgress,
)

_EVERY_S: Final = 0.5
_LONGEST: Final = 10**6
"""Longest diagonal that is kept beside what was asked for."""


def said_of_references(job: ReferenceJob, problem: Problem, emit: Callable[[Message], None]) -> Iterator[Message]:
    """Hash the problem's content, then make every reference asked for that no store holds under that hash.

    Where all eigenvalues were computed for one, those of the other estimands are kept too, for they cost nothing more.

    Args:
        job: What is asked for.
        problem: Of what problem.
        emit: Told at once how far a reference is.

    Raises:
        ValueError: If an estimand is not accepted.
    """
    torch.set_num_threads(job.threads)
    problem_hash = problem.hash
    # A hash of a few products tells one run's problems apart, but is no ground for an answer from another day.
    of_content = problem.fingerprint is not None
    yield ProblemHash(problem_hash, of_content)
    stores = [ReferenceStore(job.folder), *([cached_references()] if of_content else [])]
    kept = _Kept(problem, problem_hash, stores)
    for text in job.estimands:
        yield from kept.missing(text, emit)
    for text in dict.fromkeys([*(job.beside if kept.rest_is_cheap(job.estimands) else ()), *kept.siblings]):
        if not has_own_work(problem.finder(type(parse_estimand(text))), parse_estimand(text)):
            yield from kept.missing(text, emit)


@dataclass(frozen=True)
class _Kept:
    """What stores hold of a problem, and what was made since.

    Attributes:
        problem: The problem.
        problem_hash: Hash of its content.
        stores: Where references lie.
        made: Those made since, by estimand spec.
    """

    problem: Problem
    problem_hash: str
    stores: list[ReferenceStore]
    made: dict[str, Reference] = field(default_factory=dict[str, Reference])

    def rest_is_cheap(self, asked: Iterable[str]) -> bool:
        """Whether what takes no work of its own comes for next to nothing: with what was made, or of a small matrix."""
        if self.made or self.problem.dim <= DENSE_LIMIT:
            return True
        known = [reference for store in self.stores for reference in store.load(self.problem_hash, asked).values()]
        return any(reference.source is Source.ANALYTIC for reference in known)

    @property
    def siblings(self) -> Iterator[str]:
        """What all eigenvalues answer without a parameter, where they were computed just now."""
        if not any(reference.source in WHOLE for reference in self.made.values()):
            return
        for kind in list(self.problem.references):
            estimand = kind.default()
            if estimand is not None and (kind is not Diagonal or self.problem.dim <= _LONGEST):
                yield estimand.spec

    def missing(self, text: str, emit: Callable[[Message], None]) -> Iterator[BuiltReference | NoReference]:
        """The reference of an estimand where there is none yet: from what is kept, or made now."""
        if text in self.made or any(store.holds(self.problem_hash, text) for store in self.stores):
            return
        estimand = parse_estimand(text)
        find = self.problem.finder(type(estimand))
        if find is None:
            return
        try:
            reference = self._from_spectrum(estimand)
            if reference is None:
                with heard(_Teller(text, emit).hear):
                    reference = find(estimand)
            built = _checked(text, reference)
        except Exception as failure:  # noqa: BLE001 -- one reference that fails must not cost the others
            yield NoReference(text, classify(failure)[1])
            return
        self.made[text] = reference
        yield built

    def _from_spectrum(self, estimand: Estimand) -> Reference | None:
        """The reference read from a kept density, so that nothing is decomposed a second time."""
        if not isinstance(estimand, TopEigenvalues | SpectralQuantity):
            return None
        density = Density().spec
        loaded: list[Mapping[str, Reference]] = [self.made]
        loaded += [store.load(self.problem_hash, [density]) for store in self.stores]
        found = next((kept[density] for kept in loaded if density in kept), None)
        return None if found is None else from_density(found, estimand, self.problem.dim)


def _checked(text: str, reference: Reference) -> BuiltReference:
    """A reference as a message.

    Raises:
        ValueError: If a number of it is not finite, or negative.
    """
    numbers = {name: float(getattr(reference, name)) for name in ("norm", "bound", "rounding")}
    for name, number in numbers.items():
        if not 0 <= number < math.inf:
            raise ValueError(f"{name} of a reference must be finite and at least 0, got {number}")
    return BuiltReference(
        text, reference.source, **numbers, note=redact(reference.note), semidefinite=reference.semidefinite,
        arrays=reference.arrays,
    )  # fmt: skip


class _Teller:
    """Tells how far a reference is, at its beginning and twice a second, and never less than before."""

    def __init__(self, estimand: str, emit: Callable[[Message], None]) -> None:
        self._estimand, self._emit = estimand, emit
        self._told, self._last = 0.0, time.monotonic()
        emit(ReferenceProgress(estimand, 0.0))

    def hear(self, done: float) -> None:
        if done > self._told and time.monotonic() - self._last > _EVERY_S:
            self._told, self._last = done, time.monotonic()
            self._emit(ReferenceProgress(self._estimand, done))
