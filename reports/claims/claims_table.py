"""The table of all claims, as text for a terminal, Markdown, CSV and a page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from itertools import groupby
from typing import Final

import pandas as pd

from hessbench.reports.claims.claim import FLIPS
from hessbench.reports.claims.gathered import GatheredVerdict
from hessbench.reports.writing.escaping import clean, markdown
from hessbench.reports.writing.folders import templates
from hessbench.reports.writing.sheets import to_csv

HEADS: Final = ("Document", "Claim", "Command", "Where", "Verdict", "Measured", "Run")


def table_cells(row: GatheredVerdict) -> tuple[str, ...]:
    """A text for each of `HEADS`."""
    place = f"{row.document}, {row.place}"
    return (place, row.claim, row.command, row.subject, row.told, row.measured, row.run)


def summary(rows: Sequence[GatheredVerdict]) -> str:
    """How many rows have each verdict, and how many keep theirs with another seed, in a sentence or two."""
    counts = Counter(FLIPS if row.verdict == FLIPS else row.outcome for row in rows)
    said = f"{len(rows)} rows: {', '.join(f'{number} {verdict}' for verdict, number in counts.most_common())}."
    again = [row for row in rows if row.seeds_agree[1]]
    if again:
        same = sum(row.verdict != FLIPS for row in again)
        said += f" With another seed {same} of {len(again)} rows have the same verdict."
    return said


def as_csv(rows: Sequence[GatheredVerdict], _: str) -> str:
    """A line for each row, with every word of it."""
    names = (
        "document", "place", "claim", "sentence", "study", "subject", "verdict", "seen", "uncertainty", "scale",
        "seeds", "command", "former", "former_seen", "changed",
    )  # fmt: skip
    return to_csv(pd.DataFrame([[getattr(row, name) for name in names] for row in rows], columns=list(names)))


def as_markdown(rows: Sequence[GatheredVerdict], command: str) -> str:
    """A table in GitHub's Markdown, with a sentence below it."""
    lines = [
        "| Document | Claim | Where | Verdict | Measured | Run | Command |",
        "| :--- | :--- | :--- | :--- | :--- | :--- | :--- |",
        *(
            f"| {markdown(f'{row.document}, {row.place}')} | {markdown(row.claim)}: “{markdown(row.sentence)}” | "
            f"{markdown(row.subject)} | {markdown(row.told)} | {markdown(row.measured)} | {markdown(row.run)} | "
            f"{markdown(row.command)} |"
            for row in rows
        ),
    ]
    return "\n".join([*lines, "", f"{markdown(summary(rows))} Made by {markdown(command)}.", ""])


def as_page(rows: Sequence[GatheredVerdict], command: str) -> str:
    """A page of its own, on which the verdicts of a claim stand together."""
    claims = [list(found) for _, found in groupby(rows, lambda row: (row.study, row.claim, row.command))]
    template = templates().get_template("claims_table.html")
    return template.render(claims=claims, summary=summary(rows), command=clean(command))


TABLE_FORMATS: Final[Mapping[str, Callable[[Sequence[GatheredVerdict], str], str]]] = {
    "markdown": as_markdown,
    "csv": as_csv,
    "html": as_page,
}
"""How the table is written into a file, by the name of the format: of the rows, and the command that gathers them."""
