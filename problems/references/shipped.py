"""References that ship with the package: small JSON files, used only where the problem's hash is theirs."""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import numpy as np

from hessbench.estimand import Estimand, Reference, Source, TopEigenvalues, parse_estimand
from hessbench.estimand.work import has_own_work
from hessbench.files import write_whole
from hessbench.problem import Problem

SCHEMA: Final = 1
MAX_BYTES: Final = 100_000
FOLDER: Final = Path(__file__).parent
"""Where the files of the package lie."""


def with_shipped(problem: Problem, folder: Path = FOLDER) -> Problem:
    """The same problem, whose references come from its file where there is one that fits.

    A file fits if it holds the problem's hash, which is taken when a reference is asked for, and answers the estimand:
    20 stored eigenvalues answer for the first 10 of the same order. A file of another hash is passed over in silence, a
    damaged one with a warning; the reference is then computed as without it.

    Args:
        problem: A problem with references.
        folder: Where files are looked for.
    """
    if not (folder / file_name(problem.name)).is_file():
        return problem
    shelf = Shelf(problem, folder / file_name(problem.name))
    kinds = list(dict.fromkeys([*problem.references, *shelf.kinds]))
    return replace(problem, references={kind: Shipped(shelf, problem.references.get(kind)) for kind in kinds})


def without_shipped(problem: Problem) -> Problem:
    """The same problem with the references it computes, whatever ships."""
    computed: dict[type[Estimand], Callable[[Any], Reference]] = {}
    for kind, find in problem.references.items():
        inner = find.computed if isinstance(find, Shipped) else find
        if inner is not None:
            computed[kind] = inner
    return replace(problem, references=computed)


def write_shipped(problem: Problem, estimands: Iterable[Estimand], command: str, folder: Path = FOLDER) -> Path:
    """Compute references and write the problem's file; what ships already is not read.

    Args:
        problem: The problem.
        estimands: What to answer.
        command: The command that makes the file, kept in it.
        folder: Where to write.

    Returns:
        The file.

    Raises:
        ValueError: If the problem has no such reference, or the file would pass 100 kB.
    """
    path = folder / file_name(problem.name)
    write_whole(path, shipped_bytes(problem, estimands, command))
    return path


def shipped_bytes(problem: Problem, estimands: Iterable[Estimand], command: str) -> bytes:
    """The content of a problem's file; see `write_shipped`.

    Raises:
        ValueError: If the problem has no such reference, or the file would pass 100 kB.
    """
    references = without_shipped(problem).references
    answers: dict[str, Any] = {}
    for estimand in estimands:
        if type(estimand) not in references:
            raise ValueError(f"problem {problem.name} has no reference of {estimand.key}")
        answers[estimand.spec] = _plain(references[type(estimand)](estimand))
    content = {
        "schema": SCHEMA,
        "problem": problem.name,
        "problem_hash": problem.hash,
        "hessbench": version("hessbench"),
        "torch": version("torch"),
        "command": command,
        "digest": _digest(answers),
        "references": answers,
    }
    data = (json.dumps(content, indent=1, allow_nan=False) + "\n").encode()
    if len(data) > MAX_BYTES:
        raise ValueError(f"references of {problem.name} take {len(data)} bytes, {MAX_BYTES} at most are shipped")
    return data


def file_name(spec: str) -> str:
    """Name of a problem's file: its spec in round brackets."""
    return f"{spec.replace('[', '(').replace(']', ')')}.json"


@dataclass(frozen=True)
class Shelf:
    """The file of one problem, read when it is first asked.

    Attributes:
        problem: Whose hash must be that of the file.
        path: The file.
    """

    problem: Problem
    path: Path

    @cached_property
    def kinds(self) -> list[type[Estimand]]:
        """What it answers, as far as it can be read."""
        return list(dict.fromkeys(type(estimand) for estimand, _ in self._answers))

    def find(self, estimand: Estimand) -> Reference | None:
        """The stored answer, cut to what is asked; None where there is none."""
        for stored, kept in self._answers if self.fits else []:
            # The files leave out what the problem says.
            reference = replace(kept, dim=self.problem.dim)
            if isinstance(estimand, TopEigenvalues) and isinstance(stored, TopEigenvalues):
                if stored.which == estimand.which and stored.k >= estimand.k:
                    first = reference.arrays["eigenvalues"][: estimand.k]
                    return replace(reference, arrays={"eigenvalues": first})
            elif type(stored) is type(estimand):
                return reference
        return None

    @cached_property
    def fits(self) -> bool:
        """Whether the file can be read and is of this problem."""
        return self._content is not None and self._content["problem_hash"] == self.problem.hash

    @cached_property
    def _answers(self) -> list[tuple[Estimand, Reference]]:
        references = self._content["references"] if self._content is not None else {}
        return [(parse_estimand(text), _reference(header)) for text, header in references.items()]

    @cached_property
    def _content(self) -> dict[str, Any] | None:
        """The file's content; None, with a warning, where it is damaged."""
        try:
            content = _checked(json.loads(self.path.read_bytes()))
        except (OSError, ValueError, KeyError, TypeError) as failure:
            warnings.warn(
                f"shipped references {self.path.name} are damaged ({type(failure).__name__}: {failure}): "
                "they are computed instead",
                RuntimeWarning,
                stacklevel=2,
            )
            return None
        return content


@dataclass(frozen=True)
class Shipped:
    """A reference from the shelf where it holds one, else computed."""

    shelf: Shelf
    computed: Callable[[Any], Reference] | None

    def __call__(self, estimand: Estimand) -> Reference:
        """Answer an estimand.

        Raises:
            ValueError: If the shelf does not answer it and nothing computes it.
        """
        found = self.shelf.find(estimand)
        if found is not None:
            return found
        if self.computed is None:
            raise ValueError(f"no reference of {estimand.spec} ships for {self.shelf.problem.name} as it is here")
        return self.computed(estimand)

    def has_own_work(self, estimand: Estimand) -> bool:
        """Whether it must be computed, by work that answers no other estimand: the others lie on the shelf, if any."""
        return self.shelf.find(estimand) is None and (self.shelf.fits or has_own_work(self.computed, estimand))


def _plain(reference: Reference) -> dict[str, Any]:
    return {
        "source": str(reference.source),
        "norm": float(reference.norm),
        "bound": float(reference.bound),
        "rounding": float(reference.rounding),
        "note": reference.note,
        "semidefinite": reference.semidefinite,
        "arrays": {name: array.tolist() for name, array in reference.arrays.items()},
    }


def _reference(header: dict[str, Any]) -> Reference:
    return Reference(
        arrays={name: np.asarray(values, dtype=np.float64) for name, values in header["arrays"].items()},
        source=Source(header["source"]),
        norm=header["norm"],
        bound=header["bound"],
        rounding=header["rounding"],
        note=header["note"],
        semidefinite=header.get("semidefinite", False),
    )


def _checked(content: dict[str, Any]) -> dict[str, Any]:
    """The content of a file, where it is what was written.

    Raises:
        ValueError: If its schema is another, or its digest is not that of its references.
        KeyError: If a part is not there.
    """
    if content["schema"] != SCHEMA:
        raise ValueError(f"schema {content['schema']!r} where {SCHEMA} is read")
    if content["digest"] != _digest(content["references"]):
        raise ValueError("its digest is not that of its references")
    _ = content["problem_hash"]
    return content


def _digest(references: Any) -> str:
    """SHA-256 of the answers, numbers written by `repr`."""
    return hashlib.sha256(json.dumps(references, sort_keys=True).encode()).hexdigest()
