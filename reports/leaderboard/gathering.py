"""From published ledgers, and runs of one's own, to one set of rows: no cell twice, and where each can be replayed."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from hessbench.ledger.published import PublishedLedger, version_of
from hessbench.ledger.reading import Ledger
from hessbench.ledger.record import Kind, Record
from hessbench.reports.leaderboard.time_unit import in_gradients
from hessbench.reports.writing.escaping import clean


@dataclass(frozen=True)
class OwnRun:
    """A run of one's own, of one method over the problems of a published suite.

    Attributes:
        method: Spec of the method.
        folder: Folder of the run, as a command line names it.
        plugins: Plugin files that replaying it needs.
        ledger: Its rows.
    """

    method: str
    folder: str
    plugins: tuple[str, ...]
    ledger: Ledger


@dataclass(frozen=True)
class Gathered:
    """Rows of several ledgers with seconds in gradients, each cell once.

    Attributes:
        records: The rows.
        ledgers: The published ledgers they are from.
        own: Specs of the methods of one's own, as rows name them.
        own_methods: The same as they were run.
        commands: What replays a cell, by its id in the rows.
        superseded: Published ledgers of which a later version of the suite is there.
    """

    records: tuple[Record, ...]
    ledgers: tuple[PublishedLedger, ...]
    own: frozenset[str] = frozenset()
    commands: Mapping[str, str] = field(default_factory=dict[str, str])
    superseded: tuple[PublishedLedger, ...] = ()


def gather_rows(published: Sequence[PublishedLedger], own: Sequence[OwnRun], say: Callable[[str], None]) -> Gathered:
    """Put the rows together.

    Of several versions of a suite the latest counts, of two ledgers of one version the first. A cell that several
    suites hold is taken from the first of them. A method of one's own that bears the name of a published one is shown
    under that name and "this run". What it did on a problem whose content is not the published one is left out.

    Args:
        published: Ledgers, in the order in which they are shown.
        own: Runs of one's own.
        say: Told of what is left out.
    """
    current, superseded = _current(published, say)
    rows: dict[str, list[Record]] = {}
    commands: dict[str, str] = {}
    for ledger in current:
        for cell, group in _by_cell(in_gradients(ledger.ledger)).items():
            if cell not in rows:
                rows[cell] = group
                commands[cell] = _replay(str(ledger.folder), cell, ())
    taken = {row.method for group in rows.values() for row in group}
    contents: dict[str, set[str]] = {}
    for group in rows.values():
        contents.setdefault(group[-1].problem, set()).add(group[-1].problem_hash)
    others: dict[str, None] = {}
    names: set[str] = set()
    for run in own:
        name = f"{run.method} (this run)" if run.method in taken else run.method
        for cell, group in _by_cell(in_gradients(run.ledger)).items():
            if group[-1].method != run.method:
                continue
            problem, content = group[-1].problem, group[-1].problem_hash
            if content and content not in contents.get(problem, {content}):
                others[problem] = None
                continue
            # Ids of cells leave out who ran them: one of another run must not take the place of a published one.
            here = f"own-{cell}"
            rows[here] = [replace(row, cell=here, method=name) for row in group]
            commands[here] = _replay(run.folder, cell, run.plugins)
        names.add(name)
    for problem in others:
        say(f"{clean(problem)} has another content here than in the published rows, such as weights or data: what the "
            "method did on it is not shown")  # fmt: skip
    records = tuple(row for group in rows.values() for row in group)
    return Gathered(records, tuple(current), frozenset(names), commands, tuple(superseded))


def _current(
    published: Sequence[PublishedLedger], say: Callable[[str], None]
) -> tuple[list[PublishedLedger], list[PublishedLedger]]:
    """The latest version of every suite, and the others."""
    latest: dict[str, PublishedLedger] = {}
    superseded: list[PublishedLedger] = []
    for ledger in published:
        label = ledger.description.suite
        name, version = version_of(label)
        known = latest.setdefault(name, ledger)
        if known is ledger:
            continue
        there = version_of(known.description.suite)[1]
        if version == there:
            say(f"{label} is published twice, in {clean(known.folder.name)} and {clean(ledger.folder.name)}: "
                "the first counts")  # fmt: skip
            continue
        superseded.append(known if version > there else ledger)
        latest[name] = ledger if version > there else known
    return list(latest.values()), superseded


def _by_cell(records: Sequence[Record]) -> dict[str, list[Record]]:
    """The rows of each cell, the terminal row last."""
    found: dict[str, list[Record]] = {}
    for row in records:
        found.setdefault(row.cell, []).append(row)
    return {cell: sorted(group, key=lambda row: row.kind is Kind.TERMINAL) for cell, group in found.items()}


def _replay(folder: str, cell: str, plugins: Sequence[str]) -> str:
    return " ".join(map(shlex.quote, ["hessbench", "replay", folder, cell, *(f"--plugin={it}" for it in plugins)]))
