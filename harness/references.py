"""References of a run: built in a process of their own, kept in the run's folder under the problem's hash."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast, final

import numpy as np

from hessbench.estimand import Arrays, Reference, Source
from hessbench.files import write_whole
from hessbench.ledger import load_arrays


@dataclass(frozen=True)
class Truth:
    """What is known about one problem.

    Attributes:
        problem_hash: Hash of the content actually used; empty where it could not be had.
        references: By estimand spec.
        missing: Why there is no reference, by estimand spec.
    """

    problem_hash: str = ""
    references: dict[str, Reference] = field(default_factory=dict[str, Reference])
    missing: dict[str, str] = field(default_factory=dict[str, str])


@final
class ReferenceStore:
    """References on disk, by problem hash and estimand.

    Args:
        folder: A run's folder.
    """

    def __init__(self, folder: str | Path) -> None:
        self._folder = Path(folder)

    def stored(self) -> dict[str, list[str]]:
        """Estimands that are stored, by problem hash; a damaged file counts as absent."""
        found: dict[str, list[str]] = {}
        for file in sorted((self._folder / "references").glob("*/*.npz")):
            loaded = self._read(file)
            if loaded is not None:
                found.setdefault(file.parent.name, []).append(loaded[0])
        return found

    def save(self, problem_hash: str, header: dict[str, Any], arrays: Arrays) -> None:
        """Keep one reference; it is there whole or not at all.

        Raises:
            OSError: If the disk is full.
        """
        buffer = io.BytesIO()
        facts = np.frombuffer(json.dumps(header).encode(), dtype=np.uint8)
        np.savez(buffer, **cast("dict[str, Any]", {"header": facts, **arrays}))
        write_whole(self._path(problem_hash, header["estimand"]), buffer.getvalue())

    def load(self, problem_hash: str, estimands: Iterable[str]) -> dict[str, Reference]:
        """The stored references of a problem, by estimand spec."""
        found: dict[str, Reference] = {}
        for estimand in estimands:
            loaded = self._read(self._path(problem_hash, estimand))
            if loaded is not None:
                found[estimand] = loaded[1]
        return found

    def _path(self, problem_hash: str, estimand: str) -> Path:
        name = estimand.replace("[", "(").replace("]", ")")
        return self._folder / "references" / problem_hash / f"{name}.npz"

    def _read(self, file: Path) -> tuple[str, Reference] | None:
        if not file.is_file():
            return None
        try:
            arrays = load_arrays(self._folder, str(file.relative_to(self._folder)))
            header = json.loads(arrays.pop("header").astype(np.uint8).tobytes())
            return header["estimand"], reference_from(header, arrays)
        except (ValueError, KeyError):
            return None


def reference_from(header: dict[str, Any], arrays: Arrays) -> Reference:
    """Rebuild a reference from its header and arrays."""
    return Reference(
        arrays=arrays,
        source=Source(header["source"]),
        norm=header["norm"],
        bound=header["bound"],
        rounding=header["rounding"],
        note=header["note"],
    )
