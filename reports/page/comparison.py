"""What a report says over all problems and all costs, written as files and laid out for the page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import pandas as pd

from hessbench.ledger.answering import Answered, Ranking, attainments
from hessbench.ledger.record import Record
from hessbench.reports.audit.really_done import at_largest, done_frame, done_lines, done_sheet
from hessbench.reports.audit.wrong_claims import claims_frame, claims_sheet, judged_claims, wrong_claims
from hessbench.reports.costs.ranked import RANKED
from hessbench.reports.fronts.figure import draw_front
from hessbench.reports.fronts.points import Front, fronts
from hessbench.reports.fronts.tables import front_frame, front_rows, front_sheet
from hessbench.reports.page.pictures import FigureFile
from hessbench.reports.profiles.crossing import Crossing, crossings
from hessbench.reports.profiles.figures import MOST_LINES, draw_profiles, draw_reached
from hessbench.reports.profiles.profile import (
    ORDER_AT,
    ProfileRow,
    ReachedRow,
    WithoutMethod,
    leave_one_out,
    profile_rows,
    reached_rows,
)
from hessbench.reports.profiles.tables import (
    left_out_frame,
    left_out_sheet,
    profile_frame,
    profile_sheet,
    reached_frame,
    reached_sheet,
)
from hessbench.reports.winners import winners, winners_frame, winners_sheet
from hessbench.reports.writing.drawing import Picture
from hessbench.reports.writing.escaping import file_stem, short_hash
from hessbench.reports.writing.folders import write_text
from hessbench.reports.writing.palette import Look
from hessbench.reports.writing.sheets import Sheet, choose, to_csv, to_markdown

FOLDER: Final = "comparison"
MOST_ROWS: Final = 200
"""Rows of a table on the page; all are in its files."""
MOST_FIGURES: Final = 60
"""Questions whose fronts are drawn, and estimands whose profiles are."""
_SHOWN: Final[tuple[Ranking, ...]] = ("products", "seconds")
"""Costs whose profiles stand on the page; those of every cost are in the files."""


@dataclass(frozen=True)
class TableShown:
    """A table on the page, cut where it is long, and the name of its files."""

    sheet: Sheet
    file: str
    left_out: int


@dataclass(frozen=True)
class FrontShown:
    """The front of one question: its figure, where there is one, and the points on it."""

    label: str
    figure: FigureFile | None
    sheet: Sheet


@dataclass(frozen=True)
class CrossingShown:
    """One estimand over all problems.

    Attributes:
        anchor: Its id.
        title: Estimand and conditions.
        said: What was compared, and what was left out.
        figures: Profiles and shares reached.
        profiles: Table behind the former.
        reached: Table behind the latter.
        swaps: Orders that turn when a method is left out; None where none does.
        unswapped: What to say then.
    """

    anchor: str
    title: str
    said: tuple[str, ...]
    figures: tuple[FigureFile, ...]
    profiles: Sheet
    reached: Sheet
    swaps: Sheet | None
    unswapped: str


@dataclass(frozen=True)
class ComparisonShown:
    """All of it; what the rows say nothing of is None or empty.

    Attributes:
        crossings: Methods over all problems.
        has_left_out: Whether some of them are enough for one to be left out.
        winners: Who wins under each cost.
        changes: In how many of its rows the winner changes, and how many there are.
        done: Asked, reported, really done.
        wrong: Claims that are not so.
        judged: How many sets of claims were judged.
        fronts: By problem, its hash and estimand.
    """

    crossings: tuple[CrossingShown, ...]
    has_left_out: bool
    winners: TableShown | None
    changes: tuple[int, int]
    done: TableShown | None
    wrong: TableShown | None
    judged: int
    fronts: Mapping[tuple[str, str, str], tuple[FrontShown, ...]]


def write_comparison(
    records: Sequence[Record],
    answered: Mapping[Ranking, Sequence[Answered]],
    looks: Mapping[str, Look],
    folder: Path,
    tolerances: Mapping[str, float],
) -> ComparisonShown:
    """Write every table as Markdown and CSV, and the figures.

    Args:
        records: Rows of a ledger.
        answered: Its answers ranked by each cost.
        looks: Those of the report, by the spec of a method.
        folder: The report, with a folder `figures` in it.
        tolerances: Default tolerances by the name of the method, for claims of convergence.
    """
    (folder / FOLDER).mkdir()
    crossed = [
        _CrossingRows(one, profile_rows(one), reached_rows(one), leave_one_out(one))
        for one in crossings(attainments(records))
    ]
    _write_profiles(crossed, folder)
    won = winners(answered)
    _write("winners", winners_frame(won), winners_sheet(won), folder)
    compared = [row for row in won if row.reached > 1]
    done = done_lines(records)
    largest = at_largest(done)
    _write("asked-reported-done", done_frame(done), done_sheet(done), folder)
    judged = judged_claims(records, tolerances)
    wrong = wrong_claims(judged)
    _write("claims", claims_frame(judged), claims_sheet(judged), folder)
    _write("wrong-claims", claims_frame(wrong), claims_sheet(wrong), folder)
    found = fronts(records)
    rows = front_rows(found)
    _write("fronts", front_frame(found), front_sheet(rows), folder)
    telling = [one for one in crossed if any(row.reached for row in one.reached)]
    return ComparisonShown(
        crossings=tuple(_crossing(one, looks, folder) for one in telling[:MOST_FIGURES]),
        has_left_out=any(len(it.crossing.methods) > 2 for it in crossed),
        winners=_cut(winners_sheet(compared), "winners") if compared else None,
        changes=(sum(row.changes for row in compared), len(compared)),
        done=_cut(done_sheet(largest), "asked-reported-done") if largest else None,
        wrong=_cut(claims_sheet(wrong), "wrong-claims") if wrong else None,
        judged=len(judged),
        fronts=_fronts(found, looks, folder),
    )


@dataclass(frozen=True)
class _CrossingRows:
    """A crossing and its tables, each made once for the files and the page."""

    crossing: Crossing
    profiles: Sequence[ProfileRow]
    reached: Sequence[ReachedRow]
    left_out: Sequence[WithoutMethod]


def _write_profiles(crossed: Sequence[_CrossingRows], folder: Path) -> None:
    profiles = [row for one in crossed for row in one.profiles]
    _write("profiles", profile_frame(profiles), profile_sheet(profiles), folder)
    reached = [row for one in crossed for row in one.reached]
    _write("reached", reached_frame(reached), reached_sheet(reached), folder)
    left = [row for one in crossed for row in one.left_out]
    _write("leave-one-out", left_out_frame(left), left_out_sheet(left), folder)


def _write(name: str, numbers: pd.DataFrame, sheet: Sheet, folder: Path) -> None:
    """Both files of a table; none of one that is empty."""
    if len(numbers):
        write_text(folder / FOLDER / f"{name}.csv", to_csv(numbers))
        write_text(folder / FOLDER / f"{name}.md", to_markdown(sheet))


def _cut(sheet: Sheet, file: str) -> TableShown:
    more = max(0, len(sheet.rows) - MOST_ROWS)
    return TableShown(replace(sheet, rows=sheet.rows[:MOST_ROWS]), f"{FOLDER}/{file}", more)


def _crossing(rows: _CrossingRows, looks: Mapping[str, Look], folder: Path) -> CrossingShown:
    one = rows.crossing
    stem = file_stem("over-all-problems", one.estimand, apart=one.conditions)
    figures: list[FigureFile] = []
    for by in _SHOWN:
        profile, reached = draw_profiles(one, by, looks, stem), draw_reached(one, by, looks, stem)
        alts = (f"Performance profiles by {by}, {one.title}", f"Share of targets reached within {by}, {one.title}")
        if profile is not None:
            figures.append(_keep(profile, folder, f"{stem}-profile-{by}", alts[0], _profile_caption(one)))
        if reached is not None:
            figures.append(_keep(reached, folder, f"{stem}-reached-{by}", alts[1], _reached_caption(one)))
    swaps = left_out_sheet([row for row in rows.left_out if row.swaps])
    return CrossingShown(
        anchor=f"c-{short_hash(one.estimand, one.conditions)}",
        title=one.title,
        said=_compared(one),
        figures=tuple(figures),
        profiles=_without(profile_sheet([row for row in rows.profiles if row.by in _SHOWN]), "estimand"),
        reached=_without(reached_sheet(rows.reached), "estimand"),
        swaps=choose(swaps, ("by", "within", "who", "swapped", "swaps", "levelled")) if swaps.rows else None,
        unswapped=_unswapped(one),
    )


def _without(sheet: Sheet, field: str) -> Sheet:
    return choose(sheet, [column.field for column in sheet.columns if column.field != field])


def _compared(one: Crossing) -> tuple[str, ...]:
    said = [
        f"{len(one.methods)} methods on {len(one.instances):,} instances: the repeats of "
        f"{len(one.problems)} problems, {', '.join(one.problems)}."
    ]
    if one.left_out:
        named = ", ".join(f"{method} ({number})" for method, number in one.left_out.items())
        said.append(f"Not run on all of these and so left out, with the number of problems they were run on: {named}.")
    if all(not one.known(tolerance, "seconds").size for tolerance in one.tolerances):
        said.append("Seconds do not compare here: not timed, by other engines, or while other work ran.")
    return tuple(said)


def _unswapped(one: Crossing) -> str:
    if len(one.methods) < 3:
        return "With two methods there is no pair left to compare when one is left out."
    return f"By no cost the order of two methods at {ORDER_AT:g} times the best turns around."


def _profile_caption(one: Crossing) -> str:
    return (
        "Share of instances on which a method stays within a tolerance at no more than so many times the cost of the "
        "best method there; at 1 the share on which it is the best. Higher is better. From its marker on a curve is "
        "censored: there the tolerance was not reached at any budget that was run; a method without a curve reached "
        f"none.{_hidden(one)}"
    )


def _reached_caption(one: Crossing) -> str:
    return (
        "Share of all pairs of tolerance and instance that a method reaches within a cost. Higher and further left is "
        f"better; from its marker on a curve is censored.{_hidden(one)}"
    )


def _hidden(one: Crossing) -> str:
    more = len(one.methods) - MOST_LINES
    return f" {more} methods that reach least are not drawn: see the files." if more > 0 else ""


def _fronts(
    found: Sequence[Front], looks: Mapping[str, Look], folder: Path
) -> dict[tuple[str, str, str], tuple[FrontShown, ...]]:
    shown: dict[tuple[str, str, str], tuple[FrontShown, ...]] = {}
    for number, front in enumerate(found):
        if len({point.method for point in front.points}) < 2:
            continue
        asked = front.question
        place = (asked.problem, asked.problem_hash, asked.estimand)
        conditions = f"{asked.device} {asked.dtype} {asked.threads}"
        stem = file_stem("front", asked.problem, asked.estimand, apart=f"{asked.problem_hash} {conditions}")
        picture = draw_front(front, looks, stem) if number < MOST_FIGURES else None
        alt = f"Pareto fronts of error against {len(RANKED)} costs, {asked.label}"
        figure = None if picture is None else _keep(picture, folder, stem, alt, _FRONT_CAPTION)
        sheet = _without(front_sheet(front_rows([front])), "question")
        shown[place] = (*shown.get(place, ()), FrontShown(asked.label, figure, sheet))
    return shown


_FRONT_CAPTION: Final = (
    "Medians over the repeats at each budget; all axes are logarithmic, lower left is better. Coloured and joined: no "
    "other point is at least as good in error and cost and better in one. Bars: from the least to the largest repeat. "
    "Open: at the bound of the reference. Grey: what another point beats."
)


def _keep(picture: Picture, folder: Path, stem: str, alt: str, caption: str) -> FigureFile:
    file = f"figures/{stem}.svg"
    (folder / file).write_bytes(picture.svg)
    return FigureFile(file, alt, caption, picture.width, picture.height)
