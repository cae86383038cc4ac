"""The page of a study that judges claims: design, a verdict on each claim, figures and tables with their numbers."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from hessbench.reports.claims.claim import (
    NOT_LOOKED_AT,
    JudgedClaim,
    PublishedClaim,
    claims_frame,
    command_of,
    judge_all,
)
from hessbench.reports.claims.figure import StudyFigure, StudyTable
from hessbench.reports.claims.measured import Measured
from hessbench.reports.claims.study_page import PageFigure, keep_figure, write_study_page
from hessbench.reports.claims.verdicts_section import verdicts_section
from hessbench.reports.writing.folders import write_text
from hessbench.reports.writing.sheets import to_csv
from hessbench.reports.writing.units import DASH


@dataclass(frozen=True)
class StudyPage:
    """What a page says of its study, beside what was measured.

    Attributes:
        study: Name of the study.
        title: What it is about, in a few words.
        introduction: Paragraphs: what was run and why.
        scale: How much of it was run.
        device: Where.
        seed: From which random numbers.
        command: Command line that made it.
        unjudged: What the document says or asks that has no verdict here, each with the reason.
    """

    study: str
    title: str
    introduction: tuple[str, ...]
    scale: str
    device: str
    seed: int
    command: str
    unjudged: tuple[str, ...] = ()


@dataclass(frozen=True)
class PageTable:
    """A table as it stands on the page."""

    title: str
    file: str
    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numbers: tuple[bool, ...]


def write_claims_study(
    page: StudyPage,
    claims: Sequence[PublishedClaim[Measured]],
    measured: Measured,
    figures: Sequence[StudyFigure],
    tables: Sequence[StudyTable],
    out: Path | str,
) -> Path:
    """Judge every claim and write the page, its figures and all numbers; the same results give the same bytes.

    Args:
        page: What the study is.
        claims: Those it judges; one that needs another scale than this is named with its command.
        measured: What was measured; every verdict is computed from it.
        figures: To be shown, in their order.
        tables: To be shown, in their order.
        out: Folder to write.

    Returns:
        The page, `index.html` in `out`.

    Raises:
        ValueError: If `out` is a file, or a folder that holds something other than this study.
    """
    judged = judge_all([claim for claim in claims if claim.scale in ("small", page.scale)], measured)
    frames = {"measured": measured.rows, "verdicts": verdicts_frame(page, judged)}
    frames |= {table.name: table.frame for table in tables}
    digest = hashlib.sha256(to_csv(measured.rows).encode()).hexdigest()
    return write_study_page(
        page.study,
        out,
        "claims_study.html",
        page.command,
        frames,
        lambda folder: {
            "page": page,
            "verdicts": verdicts_section(page.study, page.scale, page.seed, claims, judged, page.unjudged),
            "units": measured.units,
            "numbers": len(measured.rows),
            "digest": digest,
            "figures": [_figure(it, folder) for it in figures],
            "tables": [_page_table(it) for it in tables],
        },
    )


def verdicts_frame(page: StudyPage, judged: Sequence[JudgedClaim]) -> pd.DataFrame:
    """A row for each verdict, with that by the rule first committed, the run, and the command that measures it."""
    before = [it.before(verdict) for it in judged for verdict in it.verdicts]
    rules = [it.claim.former for it in judged for _ in it.verdicts]
    pairs = list(zip(rules, before, strict=True))
    return claims_frame(judged).assign(
        uncertainty=[verdict.uncertainty for it in judged for verdict in it.verdicts],
        former_verdict=[(it.text if it else NOT_LOOKED_AT) if rule else "" for rule, it in pairs],
        former_seen=[it.detail if it else "" for it in before],
        former_rule=[rule.rule if rule else "" for rule in rules],
        changed=[rule.reason if rule else "" for rule in rules],
        study=page.study,
        scale=page.scale,
        seed=page.seed,
        device=page.device,
        command=[command_of(page.study, it.claim) for it in judged for _ in it.verdicts],
    )


def _figure(figure: StudyFigure, folder: Path) -> tuple[PageFigure, str]:
    numbers = f"figures/{figure.name}.csv"
    write_text(folder / numbers, to_csv(figure.frame))
    shown = keep_figure(
        figure.picture, folder, f"figures/{figure.name}.svg", title=figure.title, alt=figure.alt, caption=figure.caption
    )
    return shown, numbers


def _page_table(table: StudyTable) -> PageTable:
    return PageTable(
        title=table.title,
        file=f"{table.name}.csv",
        caption=table.caption,
        columns=tuple(map(str, table.frame.columns)),
        rows=tuple(tuple(_cell(cell) for cell in row) for row in table.frame.itertuples(index=False, name=None)),
        numbers=tuple(bool(pd.api.types.is_numeric_dtype(kind)) for kind in table.frame.dtypes),
    )


def _cell(value: object) -> str:
    if isinstance(value, float):
        return DASH if value != value else f"{value:,.4g}" if abs(value) < 1e4 else f"{value:.3e}"
    return f"{value:,}" if isinstance(value, int) else str(value)
