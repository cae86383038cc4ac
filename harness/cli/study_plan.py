"""What a study would run and for how long, and how that is split into calls; nothing is run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from hessbench.reports.writing.units import seconds
from hessbench.studies.calls import CALL_SECONDS, split_calls
from hessbench.studies.scale import StudySetting
from hessbench.studies.study import Study
from hessbench.studies.units import kept_units


def plan_lines(study: Study, setting: StudySetting, folder: Path | None, say: Callable[[str], None]) -> list[str]:
    """A line for each unit with its predicted time, then the total, and the calls where there are several.

    Args:
        study: Whose units.
        setting: Scale, device and seed.
        folder: Of the study, whose kept units are named; None for none.
        say: Told of each file in it that is not read.
    """
    units = study.units(setting)
    kept = kept_units(units, folder, study=study.name, setting=setting, say=say) if folder else {}
    calls = split_calls(units)
    lines: list[str] = []
    for place, call in enumerate(calls, 1):
        if len(calls) > 1:
            lines.append(f"call {place}/{len(calls)}: {seconds(sum(it.seconds for it in call))}")
        for unit in call:
            lines.append(f"  {unit.name}: {'kept' if unit.name in kept else seconds(unit.seconds)}")
    left = sum(unit.seconds for unit in units if unit.name not in kept)
    lines.append(
        f"{len(units)} units, {len(kept)} kept: about {seconds(left)} left at scale {setting.scale} on {setting.device}"
    )
    if len(calls) > 1:
        lines.append(
            f"{len(calls)} calls of at most {CALL_SECONDS / 60:g} minutes: --call 1/{len(calls)} to --call "
            f"{len(calls)}/{len(calls)}, each of which resumes; without --call all are run one after another"
        )
    long = [unit.name for unit in units if unit.seconds > CALL_SECONDS]
    if long:
        lines.append(f"longer than a call by itself: {', '.join(long)}")
    return lines
