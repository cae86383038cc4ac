"""What a cell will take: from the price of its products, what its method does beside them, and what its operator keeps.

Seconds = start of a process + build + warm-up + sum over blocks of (price of a product of that width) + the method's
own arithmetic; in the memory pass once more, at the prices that products have while FLOPs are counted, and all of it
under the allocator settings of that pass. Where a part has no price, as for methods by rows, what such a cell took when
it last ran.
Bytes = the larger of the peak of the build, and operator + product + the vectors that the method holds.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final, final

from hessbench.cells.cell import MEMORY, Cell
from hessbench.ledger.record import Record
from hessbench.method import Footprint
from hessbench.operators import ProductKind
from hessbench.problem import FACTOR, NETWORK
from hessbench.redact import redact
from hessbench.running.block_prices import counted_seconds_of, memory_pass_factor, seconds_of, working_bytes_of
from hessbench.running.plan import PlannedCell
from hessbench.running.price_store import PastPrediction, Place, PlacePrices, PriceStore
from hessbench.workers.price_messages import Rehearsal
from hessbench.workers.run_prices import LONG_DIM

_ITEMSIZE: Final = {"float64": 8, "float32": 4}
_CHECK_WIDTH: Final = 3
"""Width of the block that every operator is checked with before a run."""

# A guess where nothing is measured: of use as a weight among cells, never shown.
_GUESS_START_S: Final = 0.1
_GUESS_BUILD_S: Final = {True: 0.5, False: 0.01}
_GUESS_COLUMN_S: Final = {True: (2e-4, 1e-6), False: (5e-5, 5e-8)}
_GUESS_COUNTED: Final = 3.0


@dataclass(frozen=True)
class CellPrice:
    """What one cell is predicted to take; null where nothing measured says so.

    Attributes:
        start_s: Seconds of its process beside what it does.
        build_s: Seconds of the build, its data read into memory.
        warmup_s: Seconds of the health check, of the products before the clock starts and of the one after the run.
        products_s: Seconds inside products.
        own_s: Seconds of the method's own arithmetic.
        counted_s: Seconds of the run in which FLOPs are counted, in the memory pass.
        base_bytes: Memory of the process before it does anything, most of it shared with its server.
        build_peak_bytes: Memory at the peak of the build, above the process.
        operator_bytes: Memory that the operator keeps.
        working_bytes: Memory of a product with the widest block.
        own_bytes: Memory of the vectors that the method holds.
        last_s: Seconds that such a cell took when it last ran: its price where a part of it has none, as for methods
            by rows.
        reasons: Why something is missing, or what it rests on.
    """

    start_s: float | None = None
    build_s: float | None = None
    warmup_s: float | None = None
    products_s: float | None = None
    own_s: float | None = None
    counted_s: float | None = 0.0
    base_bytes: int | None = None
    build_peak_bytes: int | None = None
    operator_bytes: int | None = None
    working_bytes: int | None = None
    own_bytes: int | None = None
    last_s: float | None = None
    reasons: tuple[str, ...] = ()

    @property
    def seconds(self) -> float | None:
        """The whole cell, as whoever waits for it sees it."""
        parts = (self.start_s, self.build_s, self.warmup_s, self.products_s, self.own_s, self.counted_s)
        known = [part for part in parts if part is not None]
        return sum(known) if len(known) == len(parts) else self.last_s

    @property
    def run_bytes(self) -> int | None:
        """Memory of the run above the process: what the ledger has as `operator_bytes` and the peak above them."""
        if self.operator_bytes is None or self.working_bytes is None:
            return None
        return self.operator_bytes + self.working_bytes + (self.own_bytes or 0)

    @property
    def held_bytes(self) -> int | None:
        """Most memory that the cell holds above its server, which is what a cap is compared with."""
        run = self.run_bytes
        return None if run is None else max(run, self.build_peak_bytes or 0)


@final
class CellPrices:
    """Prices of the cells of a plan, from what was measured of their problems.

    Args:
        store: What was measured.
    """

    def __init__(self, store: PriceStore) -> None:
        self._store = store
        self._known: dict[str, CellPrice] = {}

    def cell_price(self, entry: PlannedCell) -> CellPrice:
        """What a cell will take."""
        key = entry.cell.id
        if key not in self._known:
            try:
                last = self.last_miss(entry)
                price = price_of(entry, self._store.of(Place.of(entry.cell)))
                self._known[key] = price if last is None else replace(price, last_s=last.measured_s)
            except Exception as failure:  # noqa: BLE001 -- what a method declares of itself may raise anything
                says = redact(f"{type(failure).__name__}: {failure}")
                self._known[key] = CellPrice(reasons=(f"what the method declares of itself raised {says}",))
        return self._known[key]

    def cell_seconds(self, entry: PlannedCell) -> float:
        """Seconds of a cell, a guess where nothing was measured: a weight, always above 0."""
        found = self.cell_price(entry).seconds
        return max(guessed_seconds(entry) if found is None else found, 1e-3)

    def is_measured(self, entry: PlannedCell) -> bool:
        """Whether `cell_seconds` rests on a measurement."""
        return self.cell_price(entry).seconds is not None

    def last_miss(self, entry: PlannedCell) -> PastPrediction | None:
        """The last prediction of this cell that was followed by a run of it, of whatever repeat; None without one."""
        return self._store.misses.get(miss_key(entry.cell))

    def remember(self, entry: PlannedCell, terminal: Record) -> None:
        """Keep what a cell took beside what was predicted of it, for whoever asks next; one that failed says nothing.

        Args:
            entry: The cell.
            terminal: Its row.
        """
        built = None if terminal.build_s is None else terminal.build_s + (terminal.load_s or 0.0)
        steps = (built, terminal.warmup_s, terminal.overhead_s)
        iteration = terminal.peak_s if terminal.pass_ == MEMORY else terminal.wall_s
        if terminal.status.value not in ("ok", "over-budget") or iteration is None or None in steps:
            return
        peak = terminal.device_peak_bytes if terminal.device.startswith("cuda") else terminal.host_peak_bytes
        kept = terminal.operator_bytes
        price = self.cell_price(entry)
        measured = PastPrediction(
            predicted_s=price.seconds,
            measured_s=iteration + sum(step for step in steps if step is not None),
            predicted_bytes=price.run_bytes,
            measured_bytes=None if peak is None or kept is None else peak + kept,
        )
        self._store.miss(miss_key(entry.cell), measured)


def remembered(planned: Iterable[PlannedCell]) -> CellPrices:
    """Prices of cells from what the cache remembers; nothing is measured."""
    del planned
    return CellPrices(PriceStore())


def miss_key(cell: Cell) -> str:
    """What predictions of a cell are kept under: everything but its repeat and its limits."""
    told = [cell.problem, cell.method, cell.estimand, cell.budget, cell.pass_, cell.device, cell.dtype, cell.threads]
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()[:16]


def price_of(entry: PlannedCell, known: PlacePrices) -> CellPrice:
    """What a cell will take, by what is known of its problem."""
    cell, bound = entry.cell, entry.bound
    built = known.built
    if built is None:
        return CellPrice(reasons=("no price was measured",))
    blocks, own_s, counted_own_s, reasons = _asked_for(entry, known)
    products_s = seconds_of(known, blocks)
    if products_s is None:
        reasons.append("no price of some of its products was measured")
    slower, counted_s = 1.0, 0.0
    if cell.pass_ == MEMORY:
        slower = memory_pass_factor(known, built.kind_of_product)
        counted = counted_seconds_of(known, blocks)
        counted_s = None if counted is None or counted_own_s is None else counted + counted_own_s
    widths = bound.block_widths(cell.budget)
    before: dict[tuple[str, int], float] = {(built.kind_of_product, _CHECK_WIDTH): 1}
    for width in (*widths, 1, 1):
        place = built.kind_of_product, min(width, built.dim)
        before[place] = before.get(place, 0) + 1
    if FACTOR in bound.method.requires:
        before[ProductKind.PER_EXAMPLE_SQUARE, 1] = 1
    footprint = _footprint(entry, built.dim, cell.budget)
    if footprint is None:
        reasons.append("the method does not declare the vectors it holds")
    return CellPrice(
        start_s=known.start_s,
        build_s=built.build_s * slower,
        warmup_s=_times(seconds_of(known, before), slower),
        products_s=_times(products_s, slower),
        own_s=own_s,
        counted_s=counted_s,
        base_bytes=built.base_bytes,
        build_peak_bytes=built.build_peak_bytes,
        operator_bytes=built.operator_bytes,
        working_bytes=working_bytes_of(known, {**before, **blocks}),
        own_bytes=None if footprint is None else int(footprint.vectors * built.dim * _ITEMSIZE.get(cell.dtype, 4)),
        reasons=tuple(reasons),
    )


def guessed_seconds(entry: PlannedCell) -> float:
    """Seconds of a cell of whose problem nothing was measured."""
    is_network = NETWORK in entry.problem.traits
    fixed, by_row = _GUESS_COLUMN_S[is_network]
    column_s = fixed + by_row * entry.problem.dim
    runs = 1 + _GUESS_COUNTED if entry.cell.pass_ == MEMORY else 1.0
    return _GUESS_START_S + _GUESS_BUILD_S[is_network] + (entry.cell.budget * runs + 5) * column_s


def _asked_for(
    entry: PlannedCell, known: PlacePrices
) -> tuple[dict[tuple[str, int], float], float | None, float | None, list[str]]:
    """The blocks that a run multiplies, by kind and width, its own seconds plain and counted, and what is missing."""
    cell, bound, built = entry.cell, entry.bound, known.built
    if built is None:
        return {}, None, None, []
    rehearsal = known.rehearsals.get((cell.method, cell.estimand, cell.budget))
    if rehearsal is None:
        width = min(bound.block_widths(cell.budget)[0], built.dim)
        blocks = {(built.kind_of_product, width): cell.budget / width}
        return blocks, None, None, ["its method was not rehearsed"]
    times = max(1.0, cell.budget / rehearsal.allowed)
    blocks: dict[tuple[str, int], float] = {}
    for name, number in rehearsal.blocks.items():
        kind, width = name.split()
        place = built.kind_of_product if kind == ProductKind.PRODUCT else kind, int(width)
        blocks[place] = blocks.get(place, 0) + number * times
    more_s, reasons = _longer_vectors_s(entry, known, rehearsal)
    if more_s is None:
        return blocks, None, None, reasons
    return blocks, rehearsal.own_s * times + more_s, rehearsal.counted_own_s * times + more_s, reasons


def _longer_vectors_s(entry: PlannedCell, known: PlacePrices, rehearsal: Rehearsal) -> tuple[float | None, list[str]]:
    """Seconds that a method's own arithmetic takes beyond its rehearsal, its vectors being longer; why not known."""
    built = known.built
    if built is None or built.dim == rehearsal.dim:
        return 0.0, []
    here = _footprint(entry, built.dim, entry.cell.budget)
    there = _footprint(entry, rehearsal.dim, rehearsal.allowed)
    if here is None or there is None:
        says = ["the method does not declare its passes over vectors"]
        return (None if built.dim > LONG_DIM else 0.0), says
    speed = built.bandwidth or _CACHED_BANDWIDTH
    passed = max(0.0, here.passes * built.dim - there.passes * rehearsal.dim)
    return passed * _ITEMSIZE.get(entry.cell.dtype, 4) / speed, []


_CACHED_BANDWIDTH: Final = 1e10
"""Bytes a second where vectors are short and their bandwidth was not measured."""


def _times(seconds: float | None, factor: float) -> float | None:
    return None if seconds is None else seconds * factor


def _footprint(entry: PlannedCell, dim: int, budget: int) -> Footprint | None:
    try:
        return entry.bound.footprint(dim, budget)
    except Exception:  # noqa: BLE001 -- what a method declares of itself may be wrong; then nothing is known of it
        return None
