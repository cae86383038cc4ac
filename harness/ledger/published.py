"""Ledgers that are kept with the package's source: compressed rows, and a description that is checked on reading."""

from __future__ import annotations

import hashlib
import json
import re
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from hessbench.ledger.compressed import PART_LIMIT, SUFFIX, packed, unpacked
from hessbench.ledger.reading import Ledger
from hessbench.ledger.record import SCHEMA, Kind, finite_or_null
from hessbench.ledger.typed_fields import built, plain

DESCRIPTION: Final = "ledger.json"
SUITE_FILE: Final = "suite.toml"
PUBLISHED_SCHEMA: Final = 1

_PART: Final = re.compile(r"rows-[0-9]{1,4}-[0-9a-f]{12}\.jsonl\.xz")


@dataclass(frozen=True)
class PublishedPart:
    """A compressed file of rows: its name, how many rows it holds, and the SHA-256 of them, not compressed."""

    file: str
    rows: int
    sha256: str


@dataclass(frozen=True)
class LedgerDescription:
    """What `ledger.json` says.

    Attributes:
        suite: Name and version of the suite.
        suite_sha256: Hash of what the suite crosses.
        parts: Files of rows.
        cells: Cells that ended, skipped ones included.
        skipped: Cells that could not run where this was made.
        device: Where the cells ran.
        dtype: In what dtype.
        threads: With how many threads.
        sealed: Cells that ran sealed.
        versions: Of Python and of every library, of the methods' own too.
        commands: Command lines that made the rows.
        measured: When the first and the last row was written.
        schema: Of this description.
    """

    suite: str
    suite_sha256: str
    parts: tuple[PublishedPart, ...]
    cells: int
    skipped: int
    device: str
    dtype: str
    threads: int
    sealed: int
    versions: Mapping[str, str]
    commands: tuple[str, ...]
    measured: tuple[str, ...]
    schema: int = PUBLISHED_SCHEMA


@dataclass(frozen=True, repr=False)
class PublishedLedger:
    """A published ledger as it was read.

    Attributes:
        folder: Where it lies, as it was named.
        description: What it says of itself.
        suite_text: The suite's TOML.
        ledger: Its rows.
    """

    folder: Path
    description: LedgerDescription
    suite_text: str
    ledger: Ledger = field(default_factory=lambda: Ledger(()))


def published_folders(place: Path) -> list[Path]:
    """The folder itself where it holds a description, else those below it that do, two folders deep, by name."""
    if (place / DESCRIPTION).exists():
        return [place]
    found = {file.parent for pattern in (f"*/{DESCRIPTION}", f"*/*/{DESCRIPTION}") for file in place.glob(pattern)}
    return sorted(found)


def read_all(folders: Iterable[Path], say: Callable[[str], None]) -> list[PublishedLedger]:
    """Every ledger that can be read; of the others one sentence each.

    Args:
        folders: Of published ledgers.
        say: Told of what is left out.
    """
    found: list[PublishedLedger] = []
    for folder in folders:
        try:
            found.append(read_published(folder))
        except ValueError as failure:
            say(f"left out: {failure}")
    return found


def read_published(folder: str | Path) -> PublishedLedger:
    """Read a published ledger, every byte of its rows compared with what the description says.

    Raises:
        ValueError: If a file is missing, empty, torn, changed, too large, or not of this ledger.
    """
    base = Path(folder)
    named = f"the published ledger {base.name}"
    description = _description(base, named)
    files = {part.file: part for part in description.parts}
    there = {file.name for file in base.glob(f"*{SUFFIX}")}
    foreign = sorted((there - files.keys()) | {file.name for file in base.glob("*.jsonl")})
    if foreign:
        raise ValueError(f"{named} holds {foreign[0]}, which its {DESCRIPTION} does not name")
    if not files or (base / "ledger").exists():
        raise ValueError(f"{named} must hold files rows-*{SUFFIX} that its {DESCRIPTION} names, and no run's ledger")
    for name, part in files.items():
        if not _PART.fullmatch(name) or name not in there:
            raise ValueError(f"{named} lacks {name!r}, which its {DESCRIPTION} names")
        if (base / name).stat().st_size >= PART_LIMIT:
            raise ValueError(f"{named}: {name} is not below {PART_LIMIT:,} bytes")
        try:
            rows = unpacked_rows(base / name)
        except ValueError as failure:
            raise ValueError(f"{named}: {failure}") from None
        if hashlib.sha256(rows).hexdigest() != part.sha256:
            raise ValueError(f"{named}: the rows of {name} are not those that its {DESCRIPTION} was written for")
    try:
        ledger = Ledger.read(base)
        text = (base / SUITE_FILE).read_text(encoding="utf-8")
    except (OSError, ValueError) as failure:
        said = str(failure) if isinstance(failure, ValueError) else f"{SUITE_FILE} is not there"
        raise ValueError(f"{named} cannot be read: {said}") from None
    if ledger.torn or len(ledger.terminals) != description.cells:
        raise ValueError(f"{named} has {len(ledger.terminals)} cells and {ledger.torn} lines that are no row, where "
                         f"its {DESCRIPTION} says {description.cells} cells")  # fmt: skip
    name, version = version_of(description.suite)
    found = {row.suite: version_of(row.suite) for row in ledger.records}
    strange = {suite for suite, (own, number) in found.items() if own != name or number > version}
    if strange:
        raise ValueError(f"{named} holds rows of the suite {min(strange) or 'without a name'}")
    return PublishedLedger(base, description, text, ledger)


def version_of(label: str) -> tuple[str, int]:
    """Name and version of a suite's label, as peers-quick-2; version 0 where it has none.

    A cell is what it is under every version that crosses it, so that rows of an earlier one stay.
    """
    name, _, version = label.rpartition("-")
    return (name, int(version)) if version.isdecimal() else (label, 0)


def unpacked_rows(file: Path) -> bytes:
    """The rows of a part; an empty file is told from a torn one.

    Raises:
        ValueError: If it is empty, or as `unpacked`.
    """
    if not file.stat().st_size:
        raise ValueError(f"{file.name} is empty")
    return unpacked(file)


def write_published(
    ledger: Ledger, out: Path, suite_text: str, description: LedgerDescription, limit: int = PART_LIMIT
) -> LedgerDescription:
    """Write rows, suite and description into a folder that is there whole or not at all.

    Arrays of estimates are left out: replaying a cell makes them again.

    Args:
        ledger: What is published, one attempt a cell.
        out: The folder; it must not exist, or be empty.
        suite_text: The suite's TOML.
        description: What is said of it; its parts and cells are filled in here.
        limit: Bytes below which every file stays.

    Returns:
        The description as it was written.

    Raises:
        ValueError: If the folder is taken, or a file would be too large.
        OSError: If it cannot be written.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ValueError(f"out must be a new folder, {out.name} is there already: a published ledger never changes")
    parts = packed(list(_groups(ledger)), limit)
    hashes = [hashlib.sha256(rows).hexdigest() for rows, _ in parts]
    names = [f"rows-{number}-{digest[:12]}{SUFFIX}" for number, digest in enumerate(hashes, 1)]
    whole = replace(
        description,
        cells=len(ledger.terminals),
        parts=tuple(
            PublishedPart(name, rows.count(b"\n"), digest)
            for name, digest, (rows, _) in zip(names, hashes, parts, strict=True)
        ),
    )
    files = {
        DESCRIPTION: (json.dumps(plain(whole), indent=1, sort_keys=True) + "\n").encode(),
        SUITE_FILE: suite_text.encode(),
        **{name: part for name, (_, part) in zip(names, parts, strict=True)},
    }
    large = next((name for name, data in files.items() if len(data) >= limit), None)
    if large is not None:
        raise ValueError(f"{large} would take {len(files[large]):,} bytes: files below {limit:,} bytes are published")
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{out.name}-", dir=out.parent) as partial:
        made = Path(partial) / "whole"
        made.mkdir()
        for name, data in files.items():
            (made / name).write_bytes(data)
        made.replace(out)
    return whole


def _groups(ledger: Ledger) -> Iterable[str]:
    """Rows as text; those of a cell, which end with its terminal row, in one."""
    for environment, facts in ledger.environments.items():
        yield _line({"schema": SCHEMA, "kind": Kind.ENVIRONMENT, "environment": environment, "facts": facts})
    for price in ledger.prices:
        yield _line(price)
    rows: list[str] = []
    for record in ledger.records:
        rows.append(replace(record, arrays="").to_line())
        if record.kind is Kind.TERMINAL:
            yield "\n".join(rows)
            rows = []


def _line(row: Mapping[str, Any]) -> str:
    return json.dumps(finite_or_null(row), ensure_ascii=True, separators=(",", ":"))


def _description(base: Path, named: str) -> LedgerDescription:
    try:
        text = (base / DESCRIPTION).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        raise ValueError(f"{named} has no {DESCRIPTION} that can be read") from None
    try:
        said: Any = json.loads(text)
    except (ValueError, RecursionError):
        raise ValueError(f"{named}: its {DESCRIPTION} is {'torn or no JSON' if text.strip() else 'empty'}") from None
    if not isinstance(said, dict) or said.get("schema") != PUBLISHED_SCHEMA:
        raise ValueError(f"{named}: its {DESCRIPTION} is not of schema {PUBLISHED_SCHEMA}")
    try:
        return built(LedgerDescription, said)
    except (ValueError, TypeError) as failure:
        raise ValueError(f"{named}: its {DESCRIPTION} {failure}") from None


def versions_of(facts: Iterable[Mapping[str, Any]], libraries: Sequence[str]) -> dict[str, str]:
    """Versions that environments name, and those of the methods' libraries; several of one with a slash between.

    Args:
        facts: Facts of the environments of a ledger.
        libraries: Such as "scipy 1.17.1", of its rows.
    """
    found: dict[str, set[str]] = {}
    for environment in facts:
        found.setdefault("python", set()).add(str(environment.get("python", "unknown")))
        for name, version in dict(environment.get("versions") or {}).items():
            found.setdefault(str(name), set()).add(str(version))
    for library in libraries:
        name, _, version = library.partition(" ")
        if name:
            found.setdefault(name, set()).add(version)
    return {name: " / ".join(sorted(versions)) for name, versions in sorted(found.items())}
