"""What a run costs: the one table of its columns, which the message of a run, the row and the report read.

A new column is a field here. `step` in its metadata names the step of a cell whose seconds it holds. One that the
memory pass alone measures stands in `MEMORY_PASS` as well; one that a table of several repeats sums up, in `REPEATED`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final


@dataclass(frozen=True)
class Costs:
    """What had been spent at one moment, or by a whole run; null where nothing was measured.

    Attributes:
        matvecs: Products.
        calls: Block products.
        counts: Products by kind.
        gradient_equivalents: The common unit.
        samples: Data samples touched.
        flops: Floating-point operations, counted in the memory pass.
        wall_s: Seconds of the iteration, and of the evaluation of the estimate.
        operator_s: Seconds inside products.
        load_s: Seconds to read the data and the weights into memory, where they are not there yet: no part of a build,
            as whoever asks about a network of their own has them at hand. Ledgers from before have it in `build_s`.
        build_s: Seconds to build the operator.
        warmup_s: Seconds of the health check and of one product for each declared width.
        overhead_s: Seconds of the harness around the run.
        sealing_s: Seconds that a sealed run took to carry blocks between its two processes; no part of `wall_s`.
        operator_bytes: Bytes that the built operator keeps, problem data, weights and kept activations included: of the
            device where it lives on one. What a run takes is these and the peak above them.
        host_peak_bytes: Host memory at the peak, above the built operator.
        device_peak_bytes: Device memory at the peak, likewise.
        peak_s: Seconds that the memory pass took beside build and warm-up: its run that counts FLOPs and the one whose
            peaks are taken.
    """

    matvecs: int = 0
    calls: int = 0
    counts: Mapping[str, int] = field(default_factory=dict[str, int])
    gradient_equivalents: float = 0.0
    samples: int = 0
    flops: int | None = None
    wall_s: float | None = None
    operator_s: float | None = None
    load_s: float | None = field(default=None, metadata={"step": "load"})
    build_s: float | None = field(default=None, metadata={"step": "build"})
    warmup_s: float | None = field(default=None, metadata={"step": "warm-up"})
    overhead_s: float | None = None
    sealing_s: float | None = None
    operator_bytes: int | None = None
    host_peak_bytes: int | None = None
    device_peak_bytes: int | None = None
    peak_s: float | None = field(default=None, metadata={"step": "memory"})

    def plus(self, after: Costs, before: Costs) -> Costs:
        """These, and what was spent between two moments; the time of the wall stays."""
        counts = {kind: self.counts.get(kind, 0) + now - before.counts.get(kind, 0)
                  for kind, now in after.counts.items()}  # fmt: skip
        return dataclasses.replace(
            self,
            matvecs=self.matvecs + after.matvecs - before.matvecs,
            calls=self.calls + after.calls - before.calls,
            counts={kind: count for kind, count in counts.items() if count},
            gradient_equivalents=self.gradient_equivalents + after.gradient_equivalents - before.gradient_equivalents,
            samples=self.samples + after.samples - before.samples,
            operator_s=(self.operator_s or 0.0) + (after.operator_s or 0.0) - (before.operator_s or 0.0),
        )

    @property
    def below_zero(self) -> str:
        """The first column that holds what no cost can be; empty where none does."""
        numbers = [(name, value) for name, value in columns_of(self).items() if isinstance(value, int | float)]
        return next((name for name, value in [*numbers, *self.counts.items()] if value < 0), "")


COST_COLUMNS: Final = tuple(f.name for f in dataclasses.fields(Costs))
"""Every cost column, in the order of a row."""

MEMORY_PASS: Final = ("host_peak_bytes", "device_peak_bytes", "flops", "peak_s")
"""Those that the memory pass alone measures, in the order of a table."""

REPEATED: Final = ("matvecs", "calls", "gradient_equivalents", "wall_s", "build_s", "operator_s", "operator_bytes")
"""Those that every repeat has, and that a table of several repeats sums up, in its order."""


def columns_of(costs: Costs) -> dict[str, Any]:
    """The columns of a row, and nothing that a row has beside them."""
    return {name: getattr(costs, name) for name in COST_COLUMNS}


def columns_of_steps(seconds: Mapping[str, float]) -> dict[str, float]:
    """The columns that hold the seconds of a step, as far as there are any.

    Args:
        seconds: By the name of the step.
    """
    steps = {f.name: f.metadata["step"] for f in dataclasses.fields(Costs) if "step" in f.metadata}
    return {name: seconds[step] for name, step in steps.items() if step in seconds}
