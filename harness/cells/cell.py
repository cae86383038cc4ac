"""Cells: one (problem, method, estimand, budgets, repeat) under fixed conditions, with an id made of nothing else.

The limits a cell runs under are no part of what it is: raised or lowered, it stays the same cell.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from hessbench.ledger.identity import cell_id
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
        memory_cap_bytes: Limit of host memory above the fork server's, or None; no part of the id.
        timeout_s: Wall-clock limit of the whole cell, build included, or None; no part of the id.
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
        """First 16 hex digits of the SHA-256 of the canonical description, limits left out."""
        return cell_id(
            problem=self.problem,
            method=self.method,
            estimand=self.estimand,
            budgets=self.budgets,
            repeat=self.repeat,
            pass_=self.pass_,
            device=self.device,
            dtype=self.dtype,
            threads=self.threads,
        )

    @property
    def budget(self) -> int:
        """The largest budget."""
        return self.budgets[-1]

    @property
    def seed(self) -> int:
        """Seed of the generator the method is handed; the same for every method."""
        return cell_seed(self.problem, self.estimand, self.repeat)
