"""Verdicts of studies that were run, read from their folders into one table, and the claims that nobody judged yet."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, cast

import pandas as pd

from hessbench.reports.claims.claim import FLIPS, ClaimOutcome, PublishedClaim, command_of
from hessbench.reports.writing.escaping import clean

NOT_RUN: Final = "not run"
_TITLE: Final = re.compile(r"<title>([a-z0-9-]+)-study\b")
_BEGINNING: Final = 2000


@dataclass(frozen=True)
class GatheredVerdict:
    """A row of the table.

    Attributes:
        study: Name of the study.
        claim: The claim in a few words.
        sentence: The document's own words.
        document: Its number.
        place: Where in it the sentence stands.
        subject: Where it was looked at; empty where there is one place only.
        verdict: In words; `not run` where no folder judges the claim.
        seen: What was measured.
        uncertainty: Of what was measured.
        scale: How much of the study was run.
        seeds: From which random numbers, the first one first; empty where a study has its own.
        command: Command line that measures it.
        seeds_agree: How many of the further seeds gave the same verdict, and how many there were.
        former: The verdict of the first seed by the rule first committed, where that was another one.
        former_seen: What it was given for.
        changed: Why the rule was changed.
    """

    study: str
    claim: str
    sentence: str
    document: str
    place: str
    subject: str
    verdict: str
    seen: str
    uncertainty: str
    scale: str
    seeds: str
    command: str
    seeds_agree: tuple[int, int] = (0, 0)
    former: str = ""
    former_seen: str = ""
    changed: str = ""

    @property
    def outcome(self) -> str:
        """The verdict without what qualifies it."""
        return next((it for it in ClaimOutcome if self.verdict.startswith(it)), self.verdict)

    @property
    def told(self) -> str:
        """The verdict, and that by the rule first committed where the rule was changed."""
        return f"{self.verdict} (by the rule first committed: {self.former})" if self.former else self.verdict

    @property
    def run(self) -> str:
        """Scale and seeds in words."""
        if self.verdict == NOT_RUN:
            return ""
        if not self.seeds:
            return f"{self.scale}, its own seeds"
        return f"{self.scale}, seed{'s' * (',' in self.seeds)} {self.seeds}"

    @property
    def measured(self) -> str:
        """What was measured with its uncertainty, in words."""
        return f"{self.seen} ({self.uncertainty})" if self.uncertainty else self.seen


def gather(
    folders: Sequence[Path],
    known: Mapping[str, Sequence[PublishedClaim[Any]]],
    say: Callable[[str], None],
) -> tuple[GatheredVerdict, ...]:
    """Every verdict of the folders, and a row for each known claim that none of them judges.

    Where runs of one scale have several seeds the first one stands, and a verdict that another seed does not give is
    undecided.

    Args:
        folders: Of studies, or of several studies each.
        known: The claims of each study that ships, by its name.
        say: Told of what cannot be read, which is left out.

    Returns:
        The rows, study by study in the order of `known`, then the others.

    Raises:
        ValueError: If a folder holds no study.
    """
    rows: list[GatheredVerdict] = []
    for folder in (inner for outer in folders for inner in study_folders(outer)):
        try:
            rows += read_verdicts(folder, known)
        except ValueError as failure:
            say(f"left out: {failure}")
    merged = _merged(rows, say)
    judged = {(row.study, row.claim) for row in merged}
    missing = [
        _not_run(study, claim)
        for study, claims in known.items()
        for claim in claims
        if (study, claim.title) not in judged
    ]
    order = {study: place for place, study in enumerate(known)}
    titles = {(study, claim.title): place for study, claims in known.items() for place, claim in enumerate(claims)}
    everything = [*merged, *missing]
    return tuple(sorted(
        everything, key=lambda row: (order.get(row.study, len(order)), titles.get((row.study, row.claim), len(titles))),
    ))  # fmt: skip


def study_folders(folder: Path) -> tuple[Path, ...]:
    """The folder, where it is that of a study, else those in it that are and judge claims.

    Raises:
        ValueError: If there is none.
    """
    if study_of(folder):
        return (folder,)
    inner = sorted(folder.iterdir()) if folder.is_dir() else []
    found = tuple(it for it in inner if study_of(it) and (it / "verdicts.csv").exists())
    if not found:
        raise ValueError(f"folder must be that of a study, or hold such folders, {clean(folder.name)} does not")
    return found


def study_of(folder: Path) -> str:
    """Name of the study whose page a folder holds; empty where it holds none."""
    try:
        beginning = (folder / "index.html").read_text(encoding="utf-8", errors="replace")[:_BEGINNING]
    except OSError:
        return ""
    named = _TITLE.search(beginning)
    return named[1] if named else ""


def read_verdicts(folder: Path, known: Mapping[str, Sequence[PublishedClaim[Any]]]) -> Iterator[GatheredVerdict]:
    """Verdicts of one folder, those of its own seed first, then those of others that were put beside.

    Raises:
        ValueError: If its verdicts are not there, or torn.
    """
    study = study_of(folder)
    files = [folder / "verdicts.csv", *sorted(folder.glob("verdicts-seed-*.csv"))]
    return iter([row for file in files for row in read_table(file, study, known.get(study, ()))])


def read_table(file: Path, study: str, known: Sequence[PublishedClaim[Any]]) -> list[GatheredVerdict]:
    """Verdicts of one table; what an older one does not say of a claim is taken from those that are known.

    Raises:
        ValueError: If it is not there, or torn.
    """
    where = f"{clean(file.parent.name)}/{clean(file.name)}"
    try:
        text = file.read_text(encoding="utf-8")
        frame = pd.read_csv(io.StringIO(text), dtype=str, keep_default_na=False)
    except FileNotFoundError as failure:
        raise ValueError(f"{where} is not there: the study was not finished") from failure
    except (OSError, ValueError) as failure:  # a torn table and a foreign encoding are ValueErrors
        raise ValueError(f"{where} is torn or no table of verdicts") from failure
    if not text.endswith("\n") or not {"claim", "verdict", "seen"} <= set(frame.columns):
        raise ValueError(f"{where} is torn or no table of verdicts")
    claims = {claim.title: claim for claim in known}
    found = [_row(study, cast("dict[str, str]", row), claims) for row in frame.to_dict("records")]
    if any(it is None for it in found):
        raise ValueError(f"{where} is torn or no table of verdicts")
    return cast("list[GatheredVerdict]", found)


def _row(study: str, row: Mapping[str, str], claims: Mapping[str, PublishedClaim[Any]]) -> GatheredVerdict | None:
    said = {name: _unescaped(value) for name, value in row.items()}
    claim = claims.get(said.get("claim", ""))
    words = {
        "document": claim.seed if claim else "", "place": claim.place if claim else "",
        "sentence": claim.sentence if claim else "", "subject": said.get("basis", ""), "uncertainty": "",
        "command": command_of(study, claim) if claim else f"hessbench study {study} --out DIR", "scale": "small",
        "seed": "",
    } | {name: value for name, value in said.items() if value}  # fmt: skip
    complete = all(words.get(name) for name in ("claim", "document", "place", "sentence", "verdict", "seen"))
    if not complete or not any(words["verdict"].startswith(it) for it in ClaimOutcome):
        return None
    return GatheredVerdict(
        study, words["claim"], words["sentence"], words["document"], words["place"], words["subject"],
        words["verdict"], words["seen"], words["uncertainty"], words["scale"], words["seed"], words["command"],
        former=words.get("former_verdict", ""), former_seen=words.get("former_seen", ""),
        changed=words.get("changed", ""),
    )  # fmt: skip


def _unescaped(text: str) -> str:
    """A cell as it was before it was made safe for a spreadsheet."""
    return text[1:] if text[:1] == "'" and text[1:2] in tuple("=+-@") else text


def _not_run(study: str, claim: PublishedClaim[Any]) -> GatheredVerdict:
    return GatheredVerdict(
        study, claim.title, claim.sentence, claim.seed, claim.place, "", NOT_RUN, "", "", claim.scale, "",
        command_of(study, claim),
    )  # fmt: skip


def _merged(rows: Sequence[GatheredVerdict], say: Callable[[str], None]) -> list[GatheredVerdict]:
    """One row for each claim, subject and scale: that of the first seed, which the others may unsettle."""
    groups: dict[tuple[str, ...], list[GatheredVerdict]] = {}
    for row in rows:
        group = groups.setdefault((row.study, row.scale, row.claim, row.subject), [])
        if any(row.seeds == before.seeds for before in group):
            seed = row.seeds or "of its own"
            say(f"{row.study} is there twice at scale {row.scale} and seed {seed}: the first counts")
            continue
        group.append(row)
    return [_settled(group) for group in groups.values()]


def _settled(group: Sequence[GatheredVerdict]) -> GatheredVerdict:
    first, *others = group
    if not others:
        return first
    agree = sum(row.outcome == first.outcome for row in others)
    seeds = ", ".join(row.seeds for row in group)
    if agree == len(others):
        return replace(first, seeds=seeds, seeds_agree=(agree, len(others)))
    each = "; ".join(f"seed {row.seeds}: {row.verdict}, {row.measured}" for row in group)
    return replace(first, verdict=FLIPS, seen=each, uncertainty="", seeds=seeds, seeds_agree=(agree, len(others)))
