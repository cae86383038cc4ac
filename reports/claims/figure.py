"""What stands on a study's page beside its claims: figures and tables, each with its numbers."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

import pandas as pd

from hessbench.reports.writing.drawing import Picture

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]*")


@dataclass(frozen=True)
class StudyFigure:
    """A figure and the numbers that it is drawn from.

    Attributes:
        name: Of its files, `figures/NAME.svg` and `figures/NAME.csv`.
        title: Its heading.
        picture: The figure.
        frame: What is drawn, a row for each mark or point.
        alt: What it shows, for who does not see it.
        caption: What its marks mean.

    Raises:
        ValueError: If the name is not of small letters, digits and hyphens.
    """

    name: str
    title: str
    picture: Picture
    frame: pd.DataFrame
    alt: str
    caption: str

    def __post_init__(self) -> None:
        _check(self.name)


@dataclass(frozen=True)
class StudyTable:
    """A table that stands on the page and as `NAME.csv` beside it.

    Attributes:
        name: Of its file.
        title: Its heading.
        frame: Cells as they are shown: texts, and numbers that are written with four digits.
        caption: What its columns mean.

    Raises:
        ValueError: If the name is not of small letters, digits and hyphens, or that of another file of the page.
    """

    name: str
    title: str
    frame: pd.DataFrame
    caption: str

    def __post_init__(self) -> None:
        _check(self.name)
        if self.name in ("measured", "verdicts"):
            raise ValueError(f"name must be that of no other file of the page, got {self.name!r}")


def _check(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise ValueError(f"name must be of small letters, digits and hyphens, got {name!r}")
