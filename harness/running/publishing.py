"""A finished run of a frozen suite as a published ledger, and a published ledger held against the suite it names."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias, TypeVar

from hessbench.catalog import Catalog
from hessbench.ledger.compressed import PART_LIMIT
from hessbench.ledger.environment import library_version
from hessbench.ledger.published import LedgerDescription, PublishedLedger, version_of, versions_of, write_published
from hessbench.ledger.reading import Ledger
from hessbench.ledger.record import Kind, Record, Status
from hessbench.redact import redact
from hessbench.running.frozen import FROZEN, check_frozen, shipped_suite
from hessbench.running.plan import Conditions, PlannedCell, plan
from hessbench.running.suite import Suite

T = TypeVar("T")

_Version: TypeAlias = tuple[str, str]
"""Hash of a method, and the version of its library."""


@dataclass(frozen=True)
class Publication:
    """What was written: the folder, its description, and how many cells of the run are none of the suite's."""

    folder: Path
    description: LedgerDescription
    left_out: int


def publish(
    run: str | Path,
    out: str | Path,
    catalog: Catalog,
    *,
    frozen: Mapping[str, str] = FROZEN,
    limit: int = PART_LIMIT,
) -> Publication:
    """Write a finished run of a frozen suite as a published ledger.

    Cells of the run that are none of the suite's, as of a method that was added, are left out, and rows that were
    superseded by those of a later version. Rows that were run for an earlier version of the suite stand where this one
    crosses their cells too.

    Args:
        run: Folder of the run.
        out: Where the ledger's folder is made, named by suite and version.
        catalog: Where names are looked up.
        frozen: Hash by suite and version.
        limit: Bytes below which every file stays.

    Raises:
        ValueError: If the run is not finished, is stale, or not of one frozen suite under one set of conditions; or
            its folder is taken.
        OSError: If it cannot be written.
    """
    ledger = Ledger.read(run)
    labels = {row.suite for row in ledger.records}
    _only({version_of(label)[0] for label in labels}, "suite", str(Path(run).name))
    label = max(labels, key=version_of)
    suite, text = shipped_suite(label)
    digest = check_frozen(suite, frozen)
    device, dtype, threads = _only(
        {(row.device, row.dtype, row.threads) for row in ledger.records}, "set of conditions", str(Path(run).name)
    )
    planned = plan(suite, catalog, Conditions(device, dtype, threads))
    versions = {entry.cell.id: _version_of(entry) for entry in planned}
    _check_finished(planned, ledger, versions)
    kept = replace(ledger, records=tuple(row for row in ledger.records if _stands(row, versions)))
    used = {row.environment for row in kept.records}
    kept = replace(kept, environments={name: facts for name, facts in kept.environments.items() if name in used})
    times = sorted(row.time for row in kept.records)
    description = LedgerDescription(
        suite=label,
        suite_sha256=digest,
        parts=(),
        cells=0,
        skipped=sum(row.status is Status.SKIPPED for row in kept.terminals.values()),
        device=device,
        dtype=dtype,
        threads=threads,
        sealed=sum(row.sealed is True for row in kept.records if row.kind is Kind.TERMINAL),
        versions=versions_of(kept.environments.values(), sorted({row.library_version for row in kept.records})),
        commands=tuple(dict.fromkeys(redact(str(facts.get("command", ""))) for facts in kept.environments.values())),
        measured=(times[0], times[-1]) if times else (),
    )
    folder = Path(out) / label
    written = write_published(kept, folder, text, description, limit)
    return Publication(folder, written, len(ledger.terminals) - written.cells)


def _version_of(planned: PlannedCell) -> _Version:
    method = planned.bound.method
    return method.hash, library_version(method.library)


def _stands(row: Record, versions: Mapping[str, _Version]) -> bool:
    """Whether a row is of a cell of the suite, and of the versions that are here; a skipped one made nothing."""
    if row.cell not in versions:
        return False
    return row.status is Status.SKIPPED or (row.method_hash, row.library_version) == versions[row.cell]


def suite_of(published: PublishedLedger, frozen: Mapping[str, str] = FROZEN) -> Suite:
    """The suite of a published ledger, which is that of the frozen version it names.

    Raises:
        ValueError: If the suite is another, or its version is not frozen.
    """
    named = f"the published ledger {published.folder.name}"
    try:
        suite = Suite.parse(published.suite_text, "suite.toml")
        digest = check_frozen(suite, frozen)
    except ValueError as failure:
        raise ValueError(f"{named}: {failure}") from None
    if suite.label != published.description.suite or digest != published.description.suite_sha256:
        raise ValueError(f"{named} says it is of {published.description.suite}, and its suite is {suite.label}")
    return suite


def _check_finished(planned: Sequence[PlannedCell], ledger: Ledger, versions: Mapping[str, _Version]) -> None:
    """Refuse a run that lacks cells of its suite, or holds rows of other versions of what they run.

    Raises:
        ValueError: Saying how many cells lack, or the first that is stale.
    """
    terminals = ledger.terminals
    lacking = [entry for entry in planned if entry.cell.id not in terminals]
    absent = Counter(entry.skip_reason for entry in lacking if entry.skip_reason)
    if absent:
        reason, number = absent.most_common(1)[0]
        raise ValueError(f"{number} cells of the suite cannot run here, and the run holds others in their place "
                         f"({reason}): publish where the suite was run")  # fmt: skip
    if lacking:
        first = lacking[0].cell
        raise ValueError(
            f"the run is not finished: {len(lacking)} of {len(planned)} cells are not there, {first.method} on "
            f"{first.problem} among them; `hessbench run` on its folder completes it"
        )
    for entry in planned:
        row = terminals[entry.cell.id]
        if not _stands(row, versions):
            raise ValueError(f"cell {row.cell} of {row.method} was run by another version of it: run the suite again")


def _only(values: set[T], what: str, run: str) -> T:
    if len(values) != 1:
        shown = ", ".join(sorted(map(str, values))) or "none"
        raise ValueError(f"{run} must hold rows of one {what}, it has {shown}: run the suite into a folder of its own")
    return next(iter(values))
