"""What a job that makes references says."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from hessbench.estimand import Arrays, Reference, Source, parse_estimand
from hessbench.ledger.typed_fields import APART
from hessbench.workers.price_messages import refuse_negative


@dataclass(frozen=True)
class ProblemHash:
    """The hash of a problem's content; `of_content` where it is one of the content itself, not of a few products."""

    hash: str
    of_content: bool


@dataclass(frozen=True)
class BuiltReference:
    """A reference that was built."""

    estimand: str
    source: Source
    norm: float
    bound: float
    rounding: float
    note: str
    arrays: Arrays = field(default_factory=dict[str, Any], compare=False, metadata=APART)
    semidefinite: bool = False

    def __post_init__(self) -> None:
        parse_estimand(self.estimand)
        refuse_negative(norm=self.norm, bound=self.bound, rounding=self.rounding)

    @property
    def reference(self) -> Reference:
        """The reference itself."""
        return Reference(
            self.arrays, self.source, self.norm, self.bound, self.rounding, self.note, semidefinite=self.semidefinite
        )


@dataclass(frozen=True)
class ReferenceProgress:
    """How far the reference of an estimand is, as a part of the whole; 0 where it begins."""

    estimand: str
    done: float

    def __post_init__(self) -> None:
        parse_estimand(self.estimand)
        refuse_negative(part=self.done)


@dataclass(frozen=True)
class NoReference:
    """Why a reference could not be built."""

    estimand: str
    reason: str

    def __post_init__(self) -> None:
        parse_estimand(self.estimand)
