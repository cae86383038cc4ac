"""What every page is made with: a folder that is nobody else's, templates that escape, and text as it is written."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from hessbench.reports.escaping import clean

GENERATOR: Final = '<meta name="generator" content="hessbench">'
"""What every page holds near its beginning."""

_BEGINNING: Final = 2000


def check_folder(out: Path | str, kind: str, mark: str = GENERATOR) -> Path:
    """The folder of a page, where a page may be written; nothing is made.

    Args:
        out: The folder: new, empty, or that of an earlier page of the kind.
        kind: How the message calls such a page.
        mark: What its `index.html` holds near its beginning.

    Raises:
        ValueError: If `out` is a file, or a folder that holds something else.
    """
    folder = Path(out)
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"out must be a folder, {clean(folder.name)} is a file")
    if folder.is_dir() and any(folder.iterdir()):
        page = folder / "index.html"
        if not page.is_file() or mark not in page.read_text(encoding="utf-8", errors="replace")[:_BEGINNING]:
            raise ValueError(f"out must be new, empty or an earlier {kind}; {clean(folder.name)} holds something else")
    return folder


def templates() -> Environment:
    """The templates of pages: every value is escaped, its control characters left out, and a missing one refused."""
    return Environment(
        loader=PackageLoader("hessbench.reports"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_shown,
    )


def write_text(file: Path, text: str) -> None:
    """Write a text file, the same bytes on every system."""
    file.write_text(text, encoding="utf-8", errors="replace", newline="")


def _shown(value: object) -> object:
    return clean(value) if isinstance(value, str) and not isinstance(value, Markup) else value
