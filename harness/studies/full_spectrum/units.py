"""What is measured at either scale, unit by unit, with its price."""

from __future__ import annotations

from functools import partial
from typing import Final

from hessbench.reports.full_spectrum.groups import BY_SIZE, FASHION, MAIN, MNIST, RUNS, SHALLOW, SMOOTH, TrainedGroup
from hessbench.studies.full_spectrum.costs import measure_costs
from hessbench.studies.full_spectrum.exact import measure_ggn, measure_network
from hessbench.studies.full_spectrum.larger import measure_convolutional, measure_perceptron, measure_training
from hessbench.studies.full_spectrum.lines import measure_controls
from hessbench.studies.full_spectrum.networks import RATES, steps_of
from hessbench.studies.scale import Scale, StudySetting
from hessbench.studies.units import Unit

_VERSION: Final = "1"
"""Changed where what is measured changes although the functions below do not."""

LARGE_GROUP: Final = TrainedGroup("mnist", "128-128", per_class=10)
_LARGE_RUNS: Final = 2
_CNN: Final = "cnn-3c3d"


def units_of(setting: StudySetting) -> tuple[Unit, ...]:
    """The units of a setting, in order."""
    runs = setting.runs(RUNS)
    first = runs[0]
    units: list[Unit] = []
    for group in (*MAIN, *SHALLOW, *SMOOTH):
        whole = group in MAIN
        for run in runs:
            measure = partial(measure_network, group=group, run=run, first=first, whole=whole)
            units.append(_unit(f"{group.name} run={run}", measure, 24 if whole else 12))
    for group in BY_SIZE[:-1]:
        for run in runs:
            measure = partial(measure_ggn, group=group, run=run, first=first)
            units.append(_unit(f"{group.name} run={run}", measure, 6))
    for run in runs:
        units.append(_unit(f"controls run={run}", partial(measure_controls, run=run), 2))
    for run in runs[:_LARGE_RUNS]:
        measure = partial(measure_perceptron, group=LARGE_GROUP, run=run, first=first)
        units.append(_unit(f"{LARGE_GROUP.name} run={run}", measure, 45))
    units.append(_unit(f"costs of Lanczos, seed {setting.seed}", partial(measure_costs, device=setting.device), 30))
    if setting.scale is Scale.MEDIUM:
        units += _medium(setting)
    return tuple(units)


def _medium(setting: StudySetting) -> list[Unit]:
    """More images a class, and a convolutional network of 895,210 parameters by its own products."""
    runs = setting.runs(RUNS)
    first = runs[0]
    units: list[Unit] = []
    for data in (MNIST, FASHION):
        group = TrainedGroup(data, per_class=500)
        for run in runs:
            measure = partial(measure_ggn, group=group, run=run, first=first)
            units.append(_unit(f"{group.name} run={run}", measure, 60))
    for data in ("mnist", "fashion-mnist"):
        for per_class in (10, 100):
            group = TrainedGroup(data, per_class=per_class)
            name = f"{_CNN} {data} n={per_class}"
            for rate in RATES:
                measure = partial(measure_training, family=_CNN, group=group, run=first, rate=rate)
                units.append(_unit(f"{name} rate={rate:g}", measure, 0.2 * steps_of(group) + 10))
            for run in runs:
                measure = partial(
                    measure_convolutional, family=_CNN, group=group, run=run, first=first, device=setting.device,
                    splits=("train", "test"),
                )  # fmt: skip
                training = 0.2 * steps_of(group) if run != first else 0
                units.append(_unit(f"{name} run={run}", measure, training + (60 if per_class == 10 else 150)))
    return units


def _unit(name: str, measure: partial[None], seconds: float) -> Unit:
    return Unit(name, measure, seconds, definition=_VERSION)
