"""Cells: one (problem, method, estimand, budgets, repeat) under fixed conditions, with an id made of nothing else."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from typing import Any, Final

from hessbench.seeding import cell_seed

TIME: Final = "time"
MEMORY: Final = "memory"


@dataclass(frozen=True)
class Cell:
    """What one run is.

    Attributes:
        problem: Canonical problem spec.
        method: Canonical method spec.
        estimand: Canonical estimand spec.
        budgets: Grid of total products, ascending; one entry for a one-shot method.
        repeat: Number of the repeat, from 0.
        pass_: `time`, or `memory` for the pass that measures peaks and counts FLOPs.
        device: Device text, such as `cpu` or `cuda`.
        dtype: `float32` or `float64`.
        threads: Threads of the tensor library.
        memory_cap_bytes: Cap on host memory above the fork server's, or None.
        timeout_s: Wall-clock limit of the whole cell, build included, or None.
    """

    problem: str
    method: str
    estimand: str
    budgets: tuple[int, ...]
    repeat: int = 0
    pass_: str = TIME
    device: str = "cpu"
    dtype: str = "float32"
    threads: int = 1
    memory_cap_bytes: int | None = None
    timeout_s: float | None = None

    @property
    def id(self) -> str:
        """First 16 hex digits of the SHA-256 of the canonical description."""
        text = json.dumps(self.to_json(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @property
    def budget(self) -> int:
        """The largest budget."""
        return self.budgets[-1]

    @property
    def seed(self) -> int:
        """Seed of the generator the method is handed; the same for every method."""
        return cell_seed(self.problem, self.estimand, self.repeat)

    def to_json(self) -> dict[str, Any]:
        """The cell as JSON values."""
        # 60 and 60.0 are one limit, and one cell.
        timeout_s = None if self.timeout_s is None else float(self.timeout_s)
        return {**dataclasses.asdict(self), "budgets": list(self.budgets), "timeout_s": timeout_s}
