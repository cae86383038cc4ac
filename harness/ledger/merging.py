"""Several runs in one folder: their files put together, nothing read apart."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from hessbench.files import write_whole
from hessbench.ledger.compressed import SUFFIX
from hessbench.ledger.reading import Ledger, LedgerTail, is_json


def merge(sources: Sequence[str | Path], out: str | Path) -> int:
    """Put the files of several run folders into one; nothing in the sources changes.

    Returns:
        Number of ledger files in `out`. A file that has grown since it was merged before takes the place of its
        beginning; references and arrays that are there already stay.

    Raises:
        ValueError: If a source holds no ledger or one of another schema, or `out` holds another ledger file of the
            same name.
    """
    for source in sources:
        Ledger.read(source)
    target = Path(out)
    for source in map(Path, sources):
        if source.resolve() == target.resolve():
            continue
        for name in ("ledger", "arrays", "references"):
            here = source if name == "ledger" and not (source / name).is_dir() else source / name
            for file in _files(here, *(("*.jsonl", f"*{SUFFIX}") if name == "ledger" else ("*",))):
                _take_over(file, target / name / file.relative_to(here), grows=name == "ledger")
    return len(LedgerTail(target).files())


def _take_over(file: Path, destination: Path, *, grows: bool) -> None:
    data = file.read_bytes()
    if destination.exists():
        held = destination.read_bytes()
        if not grows or held.startswith(data):
            return
        # What follows a whole row begins a row of its own.
        if not data.startswith(held) or (
            data[len(held) : len(held) + 1] != b"\n" and is_json(held.rpartition(b"\n")[2])
        ):
            raise ValueError(
                f"out holds another ledger file named {file.name}, which does not begin as the one to be merged does: "
                "merge into a new folder"
            )
    write_whole(destination, data)


def _files(folder: Path, *patterns: str) -> Iterator[Path]:
    if folder.is_dir():
        found = (path for pattern in patterns for path in folder.rglob(pattern))
        yield from sorted(path for path in found if path.is_file() and not path.name.startswith("."))
