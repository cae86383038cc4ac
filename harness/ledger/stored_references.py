"""References: built in a process of their own, kept under the problem's hash in the run's folder and in the cache."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, cast, final

import numpy as np

from hessbench.estimand.base import Arrays, Reference, Source
from hessbench.files import cache_folder, write_whole
from hessbench.ledger.kept_arrays import load_arrays

REFERENCE_VERSION: Final = 2
"""Raised when references are computed in another way; what is kept of another version counts as absent."""


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
        folder: A run's folder, or that of the cache; references lie in `references` inside it.
    """

    def __init__(self, folder: str | Path) -> None:
        self._folder = Path(folder)

    def holds(self, problem_hash: str, estimand: str) -> bool:
        """Whether a reference is stored; a damaged file counts as absent."""
        return self._read(problem_hash, estimand) is not None

    def is_damaged(self, problem_hash: str, estimand: str) -> bool:
        """Whether there is a file for a reference that does not hold what was written into it, or another's."""
        file = self._path(problem_hash, estimand)
        if not file.is_file():
            return False
        try:
            return self._checked(problem_hash, estimand) is None
        except ValueError:
            return True

    def save(self, problem_hash: str, estimand: str, reference: Reference) -> None:
        """Keep one reference; it is there whole or not at all.

        Raises:
            OSError: If the disk is full.
        """
        buffer = io.BytesIO()
        told = {f.name: getattr(reference, f.name) for f in dataclasses.fields(reference) if f.name != "arrays"}
        whole = {"estimand": estimand, **told, "version": REFERENCE_VERSION, "problem_hash": problem_hash}
        whole["digest"] = _digest(whole, reference.arrays)
        facts = np.frombuffer(json.dumps(whole).encode(), dtype=np.uint8)
        np.savez(buffer, **cast("dict[str, Any]", {"header": facts, **reference.arrays}))
        write_whole(self._path(problem_hash, estimand), buffer.getvalue())

    def load(self, problem_hash: str, estimands: Iterable[str]) -> dict[str, Reference]:
        """The stored references of a problem, by estimand spec."""
        found: dict[str, Reference] = {}
        for estimand in estimands:
            loaded = self._read(problem_hash, estimand)
            if loaded is not None:
                found[estimand] = loaded
        return found

    def copy(self, source: ReferenceStore, problem_hash: str, estimand: str) -> None:
        """Take over what another store holds of one reference, if anything.

        Raises:
            OSError: If the disk is full.
        """
        file = source._path(problem_hash, estimand)
        if source.holds(problem_hash, estimand):
            write_whole(self._path(problem_hash, estimand), file.read_bytes())

    def _path(self, problem_hash: str, estimand: str) -> Path:
        name = estimand.replace("[", "(").replace("]", ")")
        return self._folder / "references" / problem_hash / f"{name}.npz"

    def _read(self, problem_hash: str, estimand: str) -> Reference | None:
        if not self._path(problem_hash, estimand).is_file():
            return None
        try:
            return self._checked(problem_hash, estimand)
        except ValueError:
            return None

    def _checked(self, problem_hash: str, estimand: str) -> Reference | None:
        """The reference in a file; None where it is of another version.

        Raises:
            ValueError: If the file cannot be read, or does not hold what was written under this name.
        """
        relative = str(self._path(problem_hash, estimand).relative_to(self._folder))
        arrays = load_arrays(self._folder, relative)
        try:
            header = json.loads(arrays.pop("header").astype(np.uint8).tobytes())
            if header["version"] != REFERENCE_VERSION:
                return None
            digest = header.pop("digest")
            named = header["problem_hash"], header["estimand"]
            if digest != _digest(header, arrays) or named != (problem_hash, estimand):
                raise ValueError(f"{relative} does not hold what was written into it")
            return _reference(header, arrays)
        except (KeyError, TypeError, AttributeError, RecursionError) as failure:
            raise ValueError(f"{relative} has no header that fits: {type(failure).__name__}") from None


def _digest(header: dict[str, Any], arrays: Arrays) -> str:
    """SHA-256 over what is known of a reference and the arrays it consists of."""
    told = hashlib.sha256(json.dumps(header, sort_keys=True).encode())
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        told.update(f"\0{name} {array.dtype.str} {array.shape}\0".encode())
        told.update(array.tobytes())
    return told.hexdigest()


def cached_references() -> ReferenceStore:
    """The store of the user's cache, which every run shares."""
    return ReferenceStore(cache_folder("references").parent)


def _reference(header: dict[str, Any], arrays: Arrays) -> Reference:
    return Reference(
        arrays=arrays,
        source=Source(header["source"]),
        norm=header["norm"],
        bound=header["bound"],
        rounding=header["rounding"],
        note=header["note"],
        dim=header.get("dim", 0),
        semidefinite=header.get("semidefinite", False),
    )
