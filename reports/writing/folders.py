"""What every page is made with: a folder that is nobody else's, templates that escape, and text as it is written."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from hessbench.reports.writing.escaping import clean

GENERATOR: Final = '<meta name="generator" content="hessbench">'
"""What every page holds near its beginning."""

_BEGINNING: Final = 2000
_PARTIAL: Final = ".partial-"
_UNFINISHED: Final = (
    "<!doctype html>\n{mark}\n<title>unfinished</title>\n<p>This page was not finished: make it again.</p>\n"
)


def check_folder(out: Path | str, kind: str, mark: str = GENERATOR) -> Path:
    """The folder of a page, where a page may be written; nothing is made.

    Args:
        out: The folder: new, empty, or that of an earlier page of the kind.
        kind: How the message calls such a page.
        mark: What its `index.html` holds near its beginning.

    Raises:
        ValueError: If `out` is a file, a link to nowhere, or a folder that holds something else.
    """
    folder = Path(out)
    if folder.is_symlink() and not folder.exists():
        raise ValueError(f"out must be a folder, {clean(folder.name)} is a link to nowhere")
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"out must be a folder, {clean(folder.name)} is a file")
    if folder.is_dir() and any(not entry.name.startswith(_PARTIAL) for entry in folder.iterdir()):
        page = folder / "index.html"
        if not page.is_file() or mark not in page.read_text(encoding="utf-8", errors="replace")[:_BEGINNING]:
            raise ValueError(f"out must be new, empty or an earlier {kind}; {clean(folder.name)} holds something else")
    return folder


def claim_page_folder(out: Path | str, kind: str, mark: str = GENERATOR) -> Path:
    """Make the folder of a page that is written later; from now on it is known as such, whatever else comes into it.

    Args:
        out: The folder; as for `check_folder`.
        kind: How the message calls such a page.
        mark: What its `index.html` holds near its beginning.

    Raises:
        ValueError: As `check_folder`.
    """
    folder = check_folder(out, kind, mark)
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "index.html").exists():
        # Never there in part: a folder with the beginning of it would be somebody else's.
        claim = folder / f"{_PARTIAL}claim-{os.getpid()}"
        write_text(claim, _UNFINISHED.format(mark=mark))
        claim.replace(folder / "index.html")
    return folder


@contextmanager
def page_folder(
    out: Path | str, kind: str, mark: str = GENERATOR, *, own: Sequence[str] = ()
) -> Generator[Path, None, None]:
    """An empty folder to write a page into, whose files take their places in `out` when all are there.

    Whatever ends the writing, `out` is a page's folder from the beginning and an earlier page in it stays whole; who
    writes a page into the same folder at the same time waits. Files of others in the folder stay.

    Args:
        out: The folder; as for `check_folder`.
        kind: How the message calls such a page.
        mark: What its `index.html` holds near its beginning.
        own: Patterns of files that an earlier page may have left and that go where this one does not have them.

    Raises:
        ValueError: As `check_folder`.
        OSError: If it cannot be written.
    """
    folder = check_folder(out, kind, mark)
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        claim_page_folder(out, kind, mark)
        for left in folder.glob(f"{_PARTIAL}*"):
            shutil.rmtree(left, ignore_errors=True)
        partial = Path(tempfile.mkdtemp(prefix=_PARTIAL, dir=folder))
        try:
            yield partial
            _take_places(partial, folder, own)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    finally:
        os.close(descriptor)


def _take_places(partial: Path, folder: Path, own: Sequence[str]) -> None:
    """Move every file of a written page to its place, the page itself last."""
    written = sorted(
        (file.relative_to(partial) for file in partial.rglob("*") if file.is_file()),
        key=lambda name: (name == Path("index.html"), name),
    )
    for pattern in own:
        for file in folder.glob(pattern):
            if file.relative_to(folder) not in written:
                file.unlink()
    for name in written:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (partial / name).replace(folder / name)


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
