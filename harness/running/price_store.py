"""Prices of runs that the cache remembers, by machine and problem, and how far off the last predictions were."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeAlias, final

import torch

from hessbench.cells.cell import Cell
from hessbench.files import cache_folder, write_whole
from hessbench.ledger.environment import capture
from hessbench.ledger.typed_fields import built, plain
from hessbench.workers.price_messages import BlockPrice, BuiltPrice, MemoryPassPrice, Rehearsal

_KINDS: Final[Mapping[str, type]] = {
    "built": BuiltPrice,
    "block": BlockPrice,
    "memory-pass": MemoryPassPrice,
    "rehearsal": Rehearsal,
}
_NAMES: Final = {kind: name for name, kind in _KINDS.items()}
_FACTS: Final = ("cpu", "cpus_usable", "memory_bytes", "python", "versions", "device")
"""What of the environment a price depends on."""

START_S: Final = 0.1
"""Seconds of a job beside what it does, where they were not measured."""

_MOST_LINES: Final = 50_000
"""Lines of the file from which its older half is forgotten."""

Priced: TypeAlias = BuiltPrice | BlockPrice | MemoryPassPrice | Rehearsal


@dataclass(frozen=True)
class Place:
    """What prices hold for: a problem under conditions."""

    problem: str
    device: str
    dtype: str
    threads: int

    @classmethod
    def of(cls, cell: Cell) -> Place:
        """That of a cell."""
        return cls(cell.problem, cell.device, cell.dtype, cell.threads)


@dataclass(frozen=True)
class PastPrediction:
    """A prediction of a cell, and what the cell took; null where one of them was not there."""

    predicted_s: float | None = None
    measured_s: float | None = None
    predicted_bytes: int | None = None
    measured_bytes: int | None = None

    @property
    def seconds_ratio(self) -> float | None:
        """Measured over predicted: above 1 the prediction was too low."""
        return None if not self.predicted_s or self.measured_s is None else self.measured_s / self.predicted_s

    @property
    def bytes_ratio(self) -> float | None:
        """As `seconds_ratio`, of the memory."""
        return None if not self.predicted_bytes or self.measured_bytes is None else (
            self.measured_bytes / self.predicted_bytes
        )  # fmt: skip


@dataclass
class PlacePrices:
    """What is known of one problem under its conditions.

    Attributes:
        start_s: Seconds of a job beside what it does.
        built: What its build takes.
        blocks: Prices of products, by kind and width.
        memory_pass: Those under the settings of the memory pass.
        rehearsals: By method, estimand and budget.
        tried: Runs whose rehearsal was asked for, in vain or not.
    """

    start_s: float = START_S
    built: BuiltPrice | None = None
    blocks: dict[str, dict[int, BlockPrice]] = field(default_factory=dict[str, dict[int, BlockPrice]])
    memory_pass: dict[str, dict[int, MemoryPassPrice]] = field(default_factory=dict[str, dict[int, MemoryPassPrice]])
    rehearsals: dict[tuple[str, str, int], Rehearsal] = field(
        default_factory=dict[tuple[str, str, int], Rehearsal]
    )  # fmt: skip

    tried: set[tuple[str, str, int]] = field(default_factory=set[tuple[str, str, int]])

    def add(self, price: Priced) -> None:
        """Take a price; one measured before goes."""
        if isinstance(price, BuiltPrice):
            self.built = price
            self.blocks.clear()  # of another engine, maybe
            self.memory_pass.clear()
        elif isinstance(price, BlockPrice):
            self.blocks.setdefault(price.kind_of_product, {})[price.width] = price
        elif isinstance(price, MemoryPassPrice):
            self.memory_pass.setdefault(price.kind_of_product, {})[price.width] = price
        else:
            self.rehearsals[price.method, price.estimand, price.budget] = price


@final
class PriceStore:
    """One file of JSON lines in the cache for each kind of machine; the latest line counts.

    Args:
        file: The file; that of this machine and these versions in the user's cache by default.
    """

    def __init__(self, file: Path | None = None) -> None:
        self.file = file or cache_folder("prices") / f"{_machine()}.jsonl"
        self.prices: dict[Place, PlacePrices] = {}
        self.misses: dict[str, PastPrediction] = {}
        self._read()

    def of(self, place: Place) -> PlacePrices:
        """What is known of a place."""
        return self.prices.setdefault(place, PlacePrices())

    def add(
        self,
        place: Place,
        found: Iterable[Priced],
        start_s: float | None = None,
        tried: Iterable[tuple[str, str, int]] = (),
    ) -> None:
        """Keep prices; a cache that cannot be written keeps them for this process alone.

        Args:
            place: What they hold for.
            found: The prices.
            start_s: Seconds of a job beside what it does, where it was measured.
            tried: Runs whose rehearsal was asked for.
        """
        known = self.of(place)
        known.start_s = known.start_s if start_s is None else start_s
        known.tried |= set(tried)
        rows: list[dict[str, Any]] = [{"what": "job", "start_s": known.start_s, "tried": sorted(known.tried)}]
        for price in found:
            self.of(place).add(price)
            rows.append({"what": _NAMES[type(price)], "price": plain(price)})
        self._append([{**row, "place": plain(place)} for row in rows])

    def miss(self, key: str, measured: PastPrediction) -> None:
        """Keep what a cell took beside what was predicted."""
        self.misses[key] = measured
        self._append([{"what": "miss", "key": key, "measured": plain(measured)}])

    def _append(self, rows: list[dict[str, Any]]) -> None:
        text = "".join(f"\n{json.dumps(row)}" for row in rows)
        with contextlib.suppress(OSError):
            self.file.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self.file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
            try:
                os.write(descriptor, text.encode())  # one write: two processes do not mix their lines
            finally:
                os.close(descriptor)

    def _read(self) -> None:
        try:
            lines = self.file.read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            return
        if len(lines) > _MOST_LINES:
            lines = self._shortened(lines)
        for line in lines:
            # A torn line, or one of another version, is as if it had not been measured.
            with contextlib.suppress(ValueError, TypeError, KeyError, AttributeError):
                self._take(json.loads(line))

    def _shortened(self, lines: list[str]) -> list[str]:
        """The later half of the lines, which is what the file holds from now on."""
        kept = lines[-_MOST_LINES // 2 :]
        with contextlib.suppress(OSError):
            write_whole(self.file, "\n".join(kept).encode())
        return kept

    def _take(self, row: Mapping[str, Any]) -> None:
        if row["what"] == "miss":
            self.misses[row["key"]] = built(PastPrediction, row["measured"])
            return
        place = self.of(built(Place, row["place"]))
        if row["what"] == "job":
            place.start_s = float(row["start_s"])
            place.tried |= {(method, estimand, budget) for method, estimand, budget in row["tried"]}
        else:
            place.add(built(_KINDS[row["what"]], row["price"]))


def _machine() -> str:
    """Hash of what a price depends on beside its place."""
    facts = capture("cuda" if torch.cuda.is_available() else "cpu")
    return hashlib.sha256(json.dumps({name: facts[name] for name in _FACTS}, sort_keys=True).encode()).hexdigest()[:16]
