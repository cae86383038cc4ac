"""What a claim is: a sentence of a document, what is measured, the rule fixed before the run, and the verdict."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, Generic, TypeVar

import pandas as pd

DOCUMENTS: Final = ("000", "001", "002", "003", "004")
"""The documents that claims are taken from, by number."""

SCALES: Final = ("small", "medium")
"""How much of a study may be run, by what it needs."""

_COLUMNS: Final = (
    "claim", "document", "place", "sentence", "subject", "verdict", "seen", "measure", "rule",
)  # fmt: skip
ResultsT = TypeVar("ResultsT")


class ClaimOutcome(StrEnum):
    """What can become of a claim."""

    BORNE_OUT = "borne out"
    REFUTED = "refuted"
    UNDECIDED = "undecided"
    THEOREM = "a theorem"
    NOT_TESTABLE = "not testable here"


FLIPS: Final = f"{ClaimOutcome.UNDECIDED} (flips)"
"""Verdict where another seed gives another one."""

NOT_LOOKED_AT: Final = "not looked at"
"""What the rule first committed says of a subject that was added."""


@dataclass(frozen=True)
class ClaimVerdict:
    """What became of a claim in one place where it was looked at.

    Attributes:
        outcome: The verdict.
        detail: What was seen, with its numbers.
        subject: Where it was looked at, such as a basis or an error; empty where there is one place only.
        qualifier: What the verdict holds of, where not of the whole claim, such as `in the mean only`.
        uncertainty: Of what was seen, such as an interval over the units; empty where it is part of `detail`.
    """

    outcome: ClaimOutcome
    detail: str
    subject: str = ""
    qualifier: str = ""
    uncertainty: str = ""

    @property
    def text(self) -> str:
        """The verdict in words."""
        return f"{self.outcome} {self.qualifier}".rstrip()


@dataclass(frozen=True)
class FormerRule(Generic[ResultsT]):
    """The rule that a claim was first committed with, where it was changed after numbers had been seen.

    Attributes:
        rule: In words, as they were.
        judge: The rule as it was, as a function; its verdicts have the subjects that those of the new rule have.
        reason: What was seen, and why the rule was changed.
    """

    rule: str
    judge: Callable[[ResultsT], tuple[ClaimVerdict, ...]]
    reason: str

    def __post_init__(self) -> None:
        for name in ("rule", "reason"):
            if not getattr(self, name).strip():
                raise ValueError(f"{name} of a former rule must not be empty")


@dataclass(frozen=True)
class PublishedClaim(Generic[ResultsT]):
    """A published claim and how it is judged.

    Attributes:
        title: The claim in a few words.
        sentence: The document's own words.
        seed: Number of the document.
        place: Where in the document the sentence stands.
        measure: What is measured.
        rule: What decides, written before the run.
        judge: The rule as a function of what a study measured; a verdict for each subject.
        command: Command line that measures it; empty for the one that runs its study at `scale`.
        scale: Smallest scale of the study at which it is judged; at a smaller one it is only named.
        former: The rule first committed, where that was another one; its verdicts are told beside those of the rule.
    """

    title: str
    sentence: str
    seed: str
    place: str
    measure: str
    rule: str
    judge: Callable[[ResultsT], tuple[ClaimVerdict, ...]]
    command: str = ""
    scale: str = "small"
    former: FormerRule[ResultsT] | None = None

    def __post_init__(self) -> None:
        if self.seed not in DOCUMENTS:
            raise ValueError(f"seed must be one of {', '.join(DOCUMENTS)}, got {self.seed!r}")
        if self.scale not in SCALES:
            raise ValueError(f"scale must be one of {', '.join(SCALES)}, got {self.scale!r}")
        for name in ("title", "sentence", "place", "measure", "rule"):
            if not getattr(self, name).strip():
                raise ValueError(f"{name} of a claim must not be empty")


@dataclass(frozen=True)
class SeedVerdict:
    """The verdict that a run from other random numbers gave."""

    seed: str
    verdict: ClaimVerdict


@dataclass(frozen=True)
class JudgedClaim:
    """A claim with its verdicts, one for each subject.

    Attributes:
        claim: The claim.
        verdicts: By its rule.
        former: By the rule first committed, where that was another one.
        others: Of runs from other seeds.
    """

    claim: PublishedClaim[Any]
    verdicts: tuple[ClaimVerdict, ...]
    former: tuple[ClaimVerdict, ...] = ()
    others: tuple[SeedVerdict, ...] = ()

    def before(self, verdict: ClaimVerdict) -> ClaimVerdict | None:
        """What the rule first committed says of the same subject; None where it did not look at it."""
        return next((it for it in self.former if it.subject == verdict.subject), None)

    def again(self, verdict: ClaimVerdict) -> tuple[SeedVerdict, ...]:
        """What other seeds say of the same subject."""
        return tuple(it for it in self.others if it.verdict.subject == verdict.subject)

    def flips(self, verdict: ClaimVerdict) -> bool:
        """Whether another seed gives another verdict."""
        return any(it.verdict.outcome != verdict.outcome for it in self.again(verdict))


def judge_all(claims: Sequence[PublishedClaim[ResultsT]], results: ResultsT) -> tuple[JudgedClaim, ...]:
    """Judge every claim on what a study measured, by the rule first committed too where that was another one."""
    return tuple(
        JudgedClaim(claim, claim.judge(results), claim.former.judge(results) if claim.former else ())
        for claim in claims
    )


def command_of(study: str, claim: PublishedClaim[Any]) -> str:
    """Command line that measures what a claim is judged by."""
    scale = "" if claim.scale == "small" else f" --scale {claim.scale}"
    return claim.command or f"hessbench study {study}{scale} --out DIR"


def claims_frame(judged: Sequence[JudgedClaim]) -> pd.DataFrame:
    """A row for each verdict."""
    rows = [
        {
            "claim": it.claim.title, "document": it.claim.seed, "place": it.claim.place, "sentence": it.claim.sentence,
            "subject": verdict.subject, "verdict": verdict.text, "seen": verdict.detail,
            "measure": it.claim.measure, "rule": it.claim.rule,
        }
        for it in judged for verdict in it.verdicts
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=list(_COLUMNS))
