"""The units of a study, run one after another: each is kept at once, and a second call runs what is missing."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any, Final

from hessbench.estimand.base import Array
from hessbench.reports.claims.measured import Measured, measured_of
from hessbench.reports.writing.escaping import clean
from hessbench.reports.writing.units import seconds as shown_seconds
from hessbench.studies.kept_units import keep_unit, read_unit, unit_file
from hessbench.studies.scale import StudySetting
from hessbench.studies.unit import Unit as Unit
from hessbench.studies.unit import UnitCosts as UnitCosts
from hessbench.studies.unit import UnitRecord as UnitRecord
from hessbench.studies.unit import costs_of as costs_of

FOLDER: Final = "units"
"""Where a study's folder holds its units."""


def run_units(
    units: Sequence[Unit],
    folder: Path,
    say: Callable[[str], None],
    *,
    study: str = "",
    setting: StudySetting | None = None,
    only: Collection[str] | None = None,
) -> Measured:
    """Measure each unit that is not kept yet, and keep it at once; a second call goes on where the first was ended.

    A file that is torn or somebody else's costs only itself: its unit is measured again.

    Args:
        units: What is to be measured.
        folder: Of the study; units lie in `units` inside it.
        say: Told of each unit how long it took, and how long the rest may take.
        study: Name of the study.
        setting: Scale, device and seed; with the study's name part of what a kept unit is known by.
        only: Names of the units to be measured now; None for all. Others count where they are kept.

    Returns:
        What is kept of all the units, in their order.

    Raises:
        ValueError: If two units have one name, or one takes down no number.
    """
    where = folder / FOLDER
    found = kept_units(units, folder, study=study, setting=setting, say=say)
    missing = [unit for unit in units if unit.name not in found and (only is None or unit.name in only)]
    if found:
        say(f"{len(found)} of {len(units)} units are there already")
    begin = time.perf_counter()
    predicted = 0.0
    for place, unit in enumerate(missing, 1):
        start = time.perf_counter()
        record = UnitRecord()
        unit.measure(record)
        took = time.perf_counter() - start
        if not record.rows:
            raise ValueError(f"the unit {unit.name!r} must take down a number, NaN where there is none")
        key = unit.key(study, setting or StudySetting())
        keep_unit(unit_file(where, unit, key), unit, key, record, took)
        found[unit.name] = record
        predicted += unit.seconds
        elapsed = time.perf_counter() - begin
        rest = sum(it.seconds for it in missing[place:]) * elapsed / predicted
        say(
            f"{clean(unit.name)} ({place} of {len(missing)}): {shown_seconds(took)}, predicted "
            f"{shown_seconds(unit.seconds)}; {shown_seconds(elapsed)} so far, about {shown_seconds(rest)} left"
        )
    return _measured(units, found)


def kept_units(
    units: Sequence[Unit],
    folder: Path,
    *,
    study: str = "",
    setting: StudySetting | None = None,
    say: Callable[[str], None],
) -> dict[str, UnitRecord]:
    """Records of the units that are kept, by name; nothing is measured.

    Args:
        units: Those of the study.
        folder: Of the study.
        study: Name of the study.
        setting: Scale, device and seed.
        say: Told of each file that is not read.

    Raises:
        ValueError: If two units have one name.
    """
    names = [unit.name for unit in units]
    if len(set(names)) < len(names):
        raise ValueError(
            f"units must have names of their own, {next(n for n in names if names.count(n) > 1)!r} is twice"
        )
    where = folder / FOLDER
    found: dict[str, UnitRecord] = {}
    known: set[str] = set()
    for unit in units:
        key = unit.key(study, setting or StudySetting())
        file = unit_file(where, unit, key)
        known |= {file.name, file.with_suffix(".npz").name}
        try:
            record = read_unit(file, key)
        except ValueError as failure:
            say(f"{clean(unit.name)} counts as not measured: {failure}")
            continue
        if record is not None:
            found[unit.name] = record
    entries = where.iterdir() if where.is_dir() else ()
    others = sorted(it.name for it in entries if not it.name.startswith(".") and it.name not in known)
    if others:
        say(f"{len(others)} files of other settings or designs are left alone in {FOLDER}: {clean(others[0])}"
            + (" and others" if len(others) > 1 else ""))  # fmt: skip
    return found


def _measured(units: Sequence[Unit], found: dict[str, UnitRecord]) -> Measured:
    rows: list[dict[str, Any]] = []
    arrays: dict[str, Array] = {}
    for unit in units:
        if unit.name in found:
            record = found[unit.name]
            rows += [{"unit": unit.name, **row} for row in record.rows]
            arrays |= {f"{unit.name}/{name}": array for name, array in record.arrays.items()}
    return measured_of(rows, arrays)
