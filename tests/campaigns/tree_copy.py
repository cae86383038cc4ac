"""A copy of the tree that can be changed and tested, while the original is only read."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Copy:
    """A clone of the tree, with what is changed here laid over it, and a folder of links that makes it `hessbench`."""

    folder: Path

    @property
    def tree(self) -> Path:
        return self.folder / "tree"

    @property
    def environment(self) -> dict[str, str]:
        """Where tests find the package, and a cache of the copy's own."""
        path = [str(self.folder / "link"), *filter(None, [os.environ.get("PYTHONPATH")])]
        cache = str(self.folder / "cache")
        return {**os.environ, "PYTHONPATH": os.pathsep.join(path), "HESSBENCH_CACHE": cache, "COLUMNS": "1000"}


def copied(folder: Path) -> Copy:
    """Copy the tree; the original is only read."""
    copy = Copy(folder)
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(copy.tree)], check=True)
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    for name in filter(None, listed.stdout.split("\0")):
        there = copy.tree / name
        if (ROOT / name).is_file():
            there.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, there)
        else:
            there.unlink(missing_ok=True)
    package = folder / "link" / "hessbench"
    package.mkdir(parents=True)
    for entry in (copy.tree / "harness").iterdir():
        (package / entry.name).symlink_to(entry)
    for name in ("problems", "methods", "reports"):
        (package / name).symlink_to(copy.tree / name)
    told = subprocess.run(
        [sys.executable, "-c", "import hessbench; print(hessbench.__file__)"],
        cwd=copy.tree, env=copy.environment, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    if not told.startswith(str(package)):
        raise RuntimeError("hessbench is imported from elsewhere than the copy")
    return copy
