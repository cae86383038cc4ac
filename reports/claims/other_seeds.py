"""The verdicts of other seeds on a page that is there: read from their folders, shown beside the first ones."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hessbench.reports.claims.claim import ClaimOutcome, ClaimVerdict, JudgedClaim, PublishedClaim, SeedVerdict
from hessbench.reports.claims.gathered import GatheredVerdict, read_table, study_of
from hessbench.reports.claims.verdicts_section import HEADING, SeedsAgreeing, seeds_agreeing, verdicts_section
from hessbench.reports.writing.escaping import clean
from hessbench.reports.writing.folders import write_text


def show_other_seeds(
    folder: Path, others: Sequence[Path], claims: Sequence[PublishedClaim[Any]], unjudged: Sequence[str] = ()
) -> SeedsAgreeing:
    """Write the verdicts of a study's page anew, with those of runs from other seeds beside; nothing is measured.

    The tables of the other seeds are copied beside the page as `verdicts-seed-N.csv`, where `gather` finds them. What
    else the page shows stays as it is.

    Args:
        folder: Of the page.
        others: Folders of the same study at the same scale, each from another seed.
        claims: Of the study.
        unjudged: What has no verdict in the study, each with the reason.

    Returns:
        How many rows keep their verdict.

    Raises:
        ValueError: If a folder holds no finished page of the study, or one of another scale, or a seed is there twice.
    """
    study = study_of(folder)
    rows = _rows(folder, study, claims)
    tables = {other: _rows(other, study, claims) for other in others}
    first = rows[0]
    seeds = [first.seeds]
    for other, table in tables.items():
        if table[0].scale != first.scale or table[0].seeds in seeds:
            raise ValueError(
                f"beside must be runs of {study} at scale {first.scale} from other seeds than {', '.join(seeds)}, got "
                f"{clean(other.name)} of scale {table[0].scale} and seed {table[0].seeds}"
            )
        seeds.append(table[0].seeds)
    again = [row for table in tables.values() for row in table]
    judged = [_judged(claim, rows, again) for claim in claims if any(row.claim == claim.title for row in rows)]
    section = str(verdicts_section(study, first.scale, first.seeds, claims, judged, unjudged))
    page = (folder / "index.html").read_text(encoding="utf-8")
    head, found, rest = page.partition(HEADING)
    if not found:
        raise ValueError(f"folder must hold a page with verdicts, {clean(folder.name)} does not")
    _, next_heading, rest = rest.partition("<h2>")
    for other, table in tables.items():
        write_text(folder / f"verdicts-seed-{table[0].seeds}.csv", (other / "verdicts.csv").read_text(encoding="utf-8"))
    write_text(folder / "index.html", f"{head}{section}\n{next_heading}{rest}")
    return seeds_agreeing(judged)


def _rows(folder: Path, study: str, claims: Sequence[PublishedClaim[Any]]) -> list[GatheredVerdict]:
    """Rows of the table of a folder's own seed.

    Raises:
        ValueError: If there are none, or they are of another study.
    """
    if not study or study_of(folder) != study:
        raise ValueError(f"folder must hold a page of the study {study or 'asked for'}, {clean(folder.name)} does not")
    rows = read_table(folder / "verdicts.csv", study, claims)
    if not rows:
        raise ValueError(f"{clean(folder.name)}/verdicts.csv holds no verdict")
    return rows


def _judged(
    claim: PublishedClaim[Any], rows: Sequence[GatheredVerdict], again: Sequence[GatheredVerdict]
) -> JudgedClaim:
    mine = [row for row in rows if row.claim == claim.title]
    return JudgedClaim(
        claim,
        tuple(_verdict(row.subject, row.verdict, row.seen, row.uncertainty) for row in mine),
        tuple(_verdict(row.subject, row.former, row.former_seen, "") for row in mine if row.former_seen),
        tuple(
            SeedVerdict(row.seeds, _verdict(row.subject, row.verdict, row.seen, row.uncertainty))
            for row in again
            if row.claim == claim.title
        ),
    )


def _verdict(subject: str, told: str, seen: str, uncertainty: str) -> ClaimVerdict:
    outcome = next(it for it in ClaimOutcome if told.startswith(it))
    return ClaimVerdict(outcome, seen, subject, told.removeprefix(outcome).strip(), uncertainty)
