"""The empty folder in which a method runs: no relative path leads from there to the references of a run.

The server empties it before every job and removes it when it ends; the supervisor does so for a server that was killed.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path


def folder_of(mark: str) -> Path:
    """Where the cells of the server with this mark stand."""
    return Path(tempfile.gettempdir()) / mark


def renew(folder: Path) -> None:
    """Make the folder anew, without what the cell before left in it."""
    remove(folder)
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
    except OSError:  # a full disk costs no cell: `enter` then finds no folder
        return


def remove(folder: Path) -> None:
    """Remove the folder with all that cells left in it."""
    shutil.rmtree(folder, ignore_errors=True)


def enter(folder: Path) -> None:
    """Make the folder the working folder of this process, in which nothing tells any more where it stood before."""
    # A notebook imports from where it stands, and its functions may import when they are called.
    sys.path[:] = [str(Path(entry).absolute()) for entry in sys.path]
    for name in ("PWD", "OLDPWD"):
        os.environ.pop(name, None)
    try:
        os.chdir(folder)
    except OSError:
        os.chdir("/")
