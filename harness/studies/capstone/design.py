"""What the study measures: a unit for each network, for each width, for each removal and each line of the ledger."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

from hessbench.reports.capstone.measures import LATE, METHODS, STEPS, WIDTHS
from hessbench.studies.capstone.computations import record_hessian
from hessbench.studies.capstone.influence import measure_influence
from hessbench.studies.capstone.kernels import measure_laziness, record_kernels
from hessbench.studies.capstone.kronecker import record_kronecker
from hessbench.studies.capstone.ledger import SIZES, measure_costs
from hessbench.studies.capstone.samples import record_samples
from hessbench.studies.capstone.spectra import exact_step, record_spectrum
from hessbench.studies.scale import Scale, StudySetting
from hessbench.studies.unit import Unit, UnitRecord

NETS: Final = 10
FEWER: Final = 5
"""Networks where one costs more than seconds."""

MOST_UNITS: Final = 32_768
"""Width that the medium scale adds: 1.97 million parameters, whose kernel is asked for."""

_LAZY_SECONDS: Final = {32: 0.2, 512: 2.0, 4096: 12.0, MOST_UNITS: 150.0}
_LEDGER_SECONDS: Final = {"P = 10^5": 0.3, "P = 10^6": 0.7, "P = 10^7": 9.0}


def design(setting: StudySetting) -> Sequence[Unit]:
    """The units of a scale; another seed trains other networks.

    Args:
        setting: Scale, device and seed.
    """
    runs = setting.runs(NETS)
    found = [_unit(f"run={run}", partial(measure_net, run=run, drawn=run == runs[0]), 18.0) for run in runs]
    widths = (*WIDTHS, *((MOST_UNITS,) if setting.scale is Scale.MEDIUM else ()))
    for units in widths:
        found += [
            _unit(f"width={units}, run={run}",
                  partial(measure_laziness, run=run, units=units, device=setting.device), _LAZY_SECONDS[units])
            for run in runs[: NETS if units == WIDTHS[0] else FEWER]
        ]  # fmt: skip
    found += [_unit(f"removals, run={run}", partial(measure_influence, run=run), 5.0) for run in runs[:FEWER]]
    for size in SIZES:
        found += [
            _unit(f"{size}, {method}", partial(measure_costs, size=size, method=method, device=setting.device),
                  _LEDGER_SECONDS[size])
            for method in METHODS
        ]  # fmt: skip
    return found


def measure_net(record: UnitRecord, *, run: int, drawn: bool) -> None:
    """Measure everything of one small network at all of its steps.

    Args:
        record: Of the unit.
        run: Number of the training.
        drawn: Whether what only one net is drawn with is kept.
    """
    for number in (*STEPS, LATE):
        exact = exact_step(run, number)
        record_spectrum(record, exact, drawn=drawn)
        record_kronecker(record, exact)
        if number in STEPS:
            record_hessian(record, exact, drawn=drawn)
        if drawn:
            record_samples(record, run, number)
    record_kernels(record, run, drawn=drawn)


def _unit(name: str, measure: Callable[[UnitRecord], None], seconds: float) -> Unit:
    return Unit(name, measure, seconds)
