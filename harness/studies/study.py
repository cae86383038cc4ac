"""What a study is: the claims that it judges, and how what they are judged by is measured and shown."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeAlias, TypeVar

from hessbench.reports.claims.claim import PublishedClaim
from hessbench.reports.claims.claims_page import StudyPage, write_claims_study
from hessbench.reports.claims.figure import StudyFigure, StudyTable
from hessbench.reports.claims.measured import Measured
from hessbench.studies.scale import StudySetting
from hessbench.studies.unit import Unit

Say: TypeAlias = Callable[[str], None]
ResultsT = TypeVar("ResultsT")


@dataclass(frozen=True)
class WholeStudy(Generic[ResultsT]):
    """A study that is run in one piece, at one scale and from seeds of its own, and has a page of its own.

    Attributes:
        name: As it is asked for.
        summary: What it does and how long that takes, in a paragraph.
        claims: The published claims that it judges.
        run: Runs all of it and returns what it measured; told how it goes on.
        write: Writes the page of what was measured into a folder, with the command line that made it.
    """

    name: str
    summary: str
    claims: tuple[PublishedClaim[ResultsT], ...]
    run: Callable[[Say], ResultsT]
    write: Callable[[ResultsT, Path, str], Path]


def _no_tables(_: Measured) -> Sequence[StudyTable]:
    return ()


@dataclass(frozen=True)
class Study:
    """A study that is run unit by unit, at any scale and from any seed.

    Attributes:
        name: As it is asked for.
        title: What it is about, in a few words.
        summary: What it does and how long that takes, in a paragraph.
        introduction: Paragraphs of its page: what is run and why.
        claims: The published claims that it judges.
        units: What is measured at a setting, in order.
        figures: Figures of what was measured; those that lack their numbers are left out.
        tables: Tables of what was measured.
        unjudged: What the document says or asks that has no verdict here, each with the reason.
    """

    name: str
    title: str
    summary: str
    introduction: tuple[str, ...]
    claims: tuple[PublishedClaim[Measured], ...]
    units: Callable[[StudySetting], Sequence[Unit]]
    figures: Callable[[Measured], Sequence[StudyFigure]]
    tables: Callable[[Measured], Sequence[StudyTable]] = _no_tables
    unjudged: tuple[str, ...] = ()

    def write(self, measured: Measured, setting: StudySetting, out: Path, command: str) -> Path:
        """Judge the claims and write the page.

        Args:
            measured: What was measured.
            setting: At which scale, where, and from which seed.
            out: Folder to write.
            command: Command line that made it.

        Returns:
            The page.
        """
        page = StudyPage(
            study=self.name,
            title=self.title,
            introduction=self.introduction,
            scale=setting.scale,
            device=setting.device,
            seed=setting.seed,
            command=command,
            unjudged=self.unjudged,
        )
        return write_claims_study(page, self.claims, measured, self.figures(measured), self.tables(measured), out)
