"""What every study's page is made of: its folder, its figures, the table of its claims."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from hessbench.reports.writing.drawing import Picture
from hessbench.reports.writing.escaping import clean
from hessbench.reports.writing.folders import claim_page_folder, page_folder, templates, write_text
from hessbench.reports.writing.sheets import to_csv


@dataclass(frozen=True)
class PageFigure:
    """A figure on the page."""

    title: str
    file: str
    alt: str
    caption: str
    width: int
    height: int


def claim_folder(study: str, out: Path | str) -> Path:
    """Make the folder of a study, where it may be written; what an earlier study left in it stays until then.

    Raises:
        ValueError: If `out` is a file, or a folder that holds something other than this study.
    """
    return claim_page_folder(out, f"{study} study", _mark(study))


@contextmanager
def study_folder(study: str, out: Path | str) -> Generator[Path, None, None]:
    """An empty folder to write a study into, with a place for its figures; they take their places when all are there.

    Raises:
        ValueError: As `claim_folder`.
    """
    own = ("figures/*.svg", "figures/*.csv", "verdicts-seed-*.csv")
    with page_folder(out, f"{study} study", _mark(study), own=own) as folder:
        (folder / "figures").mkdir()
        yield folder


def write_study_page(
    study: str,
    out: Path | str,
    template: str,
    command: str,
    frames: Mapping[str, pd.DataFrame],
    content: Callable[[Path], Mapping[str, object]],
) -> Path:
    """Write a study's page with the CSV beside it; the same content gives the same bytes.

    Args:
        study: Name of the study.
        out: Folder to write.
        template: Of the page.
        command: Command line that made it.
        frames: Tables by the names of their files, without suffix.
        content: Draws the figures into the folder it is handed, and says what else the template shows.

    Returns:
        The page, `index.html` in `out`.

    Raises:
        ValueError: As `claim_folder`.
    """
    with study_folder(study, out) as folder:
        for name, frame in frames.items():
            write_text(folder / f"{name}.csv", to_csv(frame))
        page = templates().get_template(template).render(command=clean(command), **content(folder))
        write_text(folder / "index.html", page)
    return Path(out) / "index.html"


def keep_figure(drawn: Picture, folder: Path, file: str, *, title: str, alt: str, caption: str) -> PageFigure:
    """Write a figure, and say how it stands on the page.

    Args:
        drawn: The figure.
        folder: Of the page.
        file: Its name in the folder.
        title: Its heading.
        alt: What it shows, for who does not see it.
        caption: What its marks mean.
    """
    (folder / file).write_bytes(drawn.svg)
    return PageFigure(title, file, alt, caption, drawn.width, drawn.height)


def short(value: float, digits: int = 5) -> float:
    """A few significant digits, enough for a figure and short in a file."""
    return float(f"{value:.{digits}g}")


def _mark(study: str) -> str:
    """The beginning of the title of a study's page, by which its folder is known again."""
    return f"<title>{study}-study"
