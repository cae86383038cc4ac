"""The verdicts as they stand on a study's page: by the rule, by the rule first committed, and from other seeds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from markupsafe import Markup

from hessbench.reports.claims.claim import JudgedClaim, PublishedClaim, command_of
from hessbench.reports.writing.folders import templates

HEADING: Final = "<h2>Verdicts</h2>"
"""Where the section begins; it ends where the next heading of its rank does."""


@dataclass(frozen=True)
class SeedsAgreeing:
    """How many rows keep their verdict with other seeds.

    Attributes:
        seeds: The other seeds.
        same: Rows that every one of them gives the same verdict.
        rows: Rows that one of them judges.
    """

    seeds: tuple[str, ...]
    same: int
    rows: int


def seeds_agreeing(judged: Sequence[JudgedClaim]) -> SeedsAgreeing:
    """Count the rows that other seeds judge too, and those that keep their verdict."""
    rows = [(it, verdict) for it in judged for verdict in it.verdicts if it.again(verdict)]
    seeds = dict.fromkeys(other.seed for it in judged for other in it.others)
    return SeedsAgreeing(tuple(seeds), sum(not it.flips(verdict) for it, verdict in rows), len(rows))


def verdicts_section(
    study: str,
    scale: str,
    seed: object,
    claims: Sequence[PublishedClaim[Any]],
    judged: Sequence[JudgedClaim],
    unjudged: Sequence[str] = (),
) -> Markup:
    """The section as markup.

    Args:
        study: Name of the study.
        scale: At which it was run.
        seed: From which random numbers.
        claims: Those it judges; one that needs another scale than this is named with its command.
        judged: Those that were judged.
        unjudged: What has no verdict here, each with the reason.
    """
    later = [claim for claim in claims if claim.scale not in ("small", scale)]
    text = (
        templates()
        .get_template("claims_verdicts.html")
        .render(
            heading=Markup(HEADING),
            claims=judged,
            seed=str(seed),
            agreeing=seeds_agreeing(judged),
            changed=any(it.claim.former for it in judged),
            unjudged=unjudged,
            later=[(claim, command_of(study, claim)) for claim in later],
        )
    )
    return Markup(text)
