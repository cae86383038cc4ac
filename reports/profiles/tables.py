"""The profiles, the shares reached and the orders that change as tables: to read, and as numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeAlias

import pandas as pd

from hessbench.reports.costs.ranked import RANKED
from hessbench.reports.profiles.crossing import Crossing
from hessbench.reports.profiles.profile import TAUS, ProfileRow, ReachedRow, WithoutMethod
from hessbench.reports.writing import units
from hessbench.reports.writing.sheets import Column, Sheet, Shown, lay_out

AnyRow: TypeAlias = ProfileRow | ReachedRow | WithoutMethod


def profile_sheet(rows: Sequence[ProfileRow]) -> Sheet:
    """The profiles to read."""
    return lay_out(_PROFILE, rows, _unknown)


def reached_sheet(rows: Sequence[ReachedRow]) -> Sheet:
    """The shares reached within a cost to read."""
    return lay_out(_REACHED, rows, _nothing)


def left_out_sheet(rows: Sequence[WithoutMethod]) -> Sheet:
    """The orders that change to read."""
    return lay_out(_LEFT_OUT, rows, _nothing)


def profile_frame(rows: Sequence[ProfileRow]) -> pd.DataFrame:
    """The profiles as numbers, one row per cost, tolerance and method."""
    return pd.DataFrame(
        [
            {
                **_shared(row.crossing),
                "by": row.by,
                "tolerance": row.tolerance,
                **_method(row.crossing, row.place),
                **{f"share_within_{tau:g}": share for tau, share in zip(TAUS, row.shares, strict=True)},
                "share_reached": row.reached,
                "instances": row.instances,
                "instances_left_out": row.unknown,
            }
            for row in rows
        ]
    )


def reached_frame(rows: Sequence[ReachedRow]) -> pd.DataFrame:
    """The shares reached as numbers, one row per cost and method; a cost that is never enough is empty."""
    return pd.DataFrame(
        [
            {
                **_shared(row.crossing),
                "by": row.by,
                **_method(row.crossing, row.place),
                "share_reached": row.reached,
                **{
                    f"cost_of_{share}": None if math.isinf(cost) else cost
                    for share, cost in zip(("quarter", "half", "three_quarters"), row.quartiles, strict=True)
                },
                "targets": row.targets,
            }
            for row in rows
        ]
    )


def left_out_frame(rows: Sequence[WithoutMethod]) -> pd.DataFrame:
    """The orders that change as a table, one row per cost, tolerance and method left out."""
    return pd.DataFrame(
        [
            {
                **_shared(row.crossing),
                "by": row.by,
                "tolerance": row.tolerance,
                "left_out": row.method,
                "pairs": row.pairs,
                "swapped": len(row.swaps),
                "levelled": len(row.levels),
                "swaps": "; ".join(f"{ahead} | {then}" for ahead, then in row.swaps),
                "levels": "; ".join(f"{one} | {other}" for one, other in row.levels),
            }
            for row in rows
        ]
    )


def _shared(crossing: Crossing) -> dict[str, Any]:
    key = crossing.keys[0]
    return {
        "estimand": crossing.estimand,
        "device": key.device,
        "dtype": key.dtype,
        "threads": key.threads,
        "problems": len(crossing.problems),
        "methods": len(crossing.methods),
    }


def _method(crossing: Crossing, place: int) -> dict[str, Any]:
    key = crossing.keys[place]
    return {
        "method": key.method,
        "method_hash": key.method_hash,
        "library_version": key.library_version,
        "run_estimand": key.source,
    }


def _estimand(row: AnyRow) -> Shown:
    return Shown(row.crossing.estimand, f"{len(row.crossing.problems)} problems, {row.crossing.conditions}")


def _cost(row: AnyRow) -> Shown:
    return Shown(RANKED[row.by].head)


def _within(row: ProfileRow | WithoutMethod) -> Shown:
    return Shown(units.share(row.tolerance), sort=row.tolerance)


def _share(value: float, of: int) -> Shown:
    return Shown(f"{100 * value:.0f} %", f"{round(value * of):,} of {of:,}", sort=value)


def _first(place: int, tau: float) -> Column[ProfileRow]:
    head = "Best" if tau == 1 else f"Within {tau:g} times"
    return Column(
        f"tau{tau:g}", head, "" if tau == 1 else "the best", lambda row: _share(row.shares[place], row.instances)
    )


def _quartile(place: int, head: str) -> Column[ReachedRow]:
    def show(row: ReachedRow) -> Shown:
        cost = row.quartiles[place]
        return Shown("never") if math.isinf(cost) else Shown(RANKED[row.by].write(cost), sort=cost)

    return Column(f"quartile{place}", head, "of targets within", show)


def _pairs(pairs: Sequence[tuple[str, str]], between: str) -> Shown:
    return Shown("; ".join(f"{one} {between} {other}" for one, other in pairs) or units.DASH)


def _unknown(row: ProfileRow) -> Mapping[str, str]:
    if not row.unknown:
        return {}
    said = f"{row.unknown} of {len(row.crossing.instances)} left out: not judged, or the cost of a method is not known"
    return {"instances": said}


def _nothing(_row: object) -> Mapping[str, str]:
    return {}


_PROFILE: Final[tuple[Column[ProfileRow], ...]] = (
    Column("estimand", "Estimand", "", _estimand, is_number=False),
    Column("by", "Cost", "", _cost, is_number=False),
    Column("within", "Within", "of the truth", _within),
    Column("who", "Method", "", lambda row: Shown(row.method), is_number=False),
    *(_first(place, tau) for place, tau in enumerate(TAUS)),
    Column("reached", "Reached", "at any cost", lambda row: _share(row.reached, row.instances)),
    Column(
        "instances", "Instances", "repeats", lambda row: Shown(units.count(row.instances), sort=float(row.instances))
    ),
)

_REACHED: Final[tuple[Column[ReachedRow], ...]] = (
    Column("estimand", "Estimand", "", _estimand, is_number=False),
    Column("by", "Cost", "", _cost, is_number=False),
    Column("who", "Method", "", lambda row: Shown(row.method), is_number=False),
    Column("reached", "Reached", "of all targets", lambda row: _share(row.reached, row.targets)),
    _quartile(0, "A quarter"),
    _quartile(1, "Half"),
    _quartile(2, "Three quarters"),
)

_LEFT_OUT: Final[tuple[Column[WithoutMethod], ...]] = (
    Column("estimand", "Estimand", "", _estimand, is_number=False),
    Column("by", "Cost", "", _cost, is_number=False),
    Column("within", "Within", "of the truth", _within),
    Column("who", "Left out", "", lambda row: Shown(row.method), is_number=False),
    Column(
        "swapped",
        "Orders turned",
        "pairs",
        lambda row: Shown(str(len(row.swaps)), f"of {row.pairs:,}", sort=float(len(row.swaps))),
    ),
    Column("swaps", "Ahead before, behind without it", "", lambda row: _pairs(row.swaps, "before"), is_number=False),
    Column(
        "levelled",
        "Level",
        "before or without it, not both",
        lambda row: Shown(str(len(row.levels)), f"of {row.pairs:,}", sort=float(len(row.levels))),
    ),
    Column(
        "levels", "Level before or without it, not both", "", lambda row: _pairs(row.levels, "and"), is_number=False
    ),
)
