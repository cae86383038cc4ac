"""What `hessbench plan` says of the prices of cells: seconds, memory, what dominates and what does not fit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import psutil
from rich.console import Console

from hessbench.reports.writing import units
from hessbench.reports.writing.terminal import print_table
from hessbench.running.cell_prices import CellPrice, CellPrices
from hessbench.running.plan import PlannedCell

SHOWN: Final = 15
"""Lines of the table of prices; what is cheaper is summed up."""

_LESS: Final = 0.8
_MORE: Final = 1.2
"""Share of the predicted memory that a run takes, at its usual and at its most, by `tests/campaigns/prices.py`."""

_DOMINATES: Final = 0.5
"""Share of the time from which one line is said to dominate."""


@dataclass(frozen=True)
class PriceLine:
    """Cells of one problem, method and estimand.

    Attributes:
        problem: Spec of the problem.
        method: Spec of the method.
        estimand: Spec of the estimand.
        cells: How many.
        seconds: Seconds of the dearest cell; None where one has no price.
        total_s: Of all of them, likewise.
        held_bytes: Most memory that one of them holds; None where nothing is known of it.
        last: Measured over predicted when such a cell last ran, seconds and bytes.
        reasons: What is missing.
    """

    problem: str
    method: str
    estimand: str
    cells: int
    seconds: float | None
    total_s: float | None
    held_bytes: int | None
    last: str
    reasons: tuple[str, ...]


def price_lines(planned: Sequence[PlannedCell], prices: CellPrices) -> list[PriceLine]:
    """One line for each problem, method and estimand that runs, the dearest first; those without a price last."""
    groups: dict[tuple[str, str, str], list[PlannedCell]] = {}
    for entry in planned:
        if not entry.skip_reason:
            cell = entry.cell
            groups.setdefault((cell.problem, cell.method, cell.estimand), []).append(entry)
    lines = [_line(key, group, prices) for key, group in groups.items()]
    return sorted(lines, key=lambda line: (-(line.total_s or 0.0), line.problem, line.method, line.estimand))


def price_text(entry: PlannedCell, prices: CellPrices) -> str:
    """The price of one cell, and how far off the last one was."""
    price = prices.cell_price(entry)
    return f"{_seconds(price.seconds)}, {_size(price.held_bytes)}{_last(prices, entry, ', last time ')}"


def show_prices(
    console: Console, planned: Sequence[PlannedCell], prices: CellPrices, cap_bytes: int | None, told: str
) -> None:
    """Print the table of prices, the sum, and what to look out for.

    Args:
        console: Where to.
        planned: Cells of the plan.
        prices: Their prices.
        cap_bytes: Memory cap of a cell, or None.
        told: Where the prices come from, in a sentence.
    """
    lines = price_lines(planned, prices)
    heads = ("estimand", "problem", "method", "cells", "a cell", "in all", "memory", "last time")
    rows = [
        (line.estimand, line.problem, line.method, str(line.cells), _seconds(line.seconds), _seconds(line.total_s),
         _size(line.held_bytes), line.last)
        for line in lines[:SHOWN]
    ]  # fmt: skip
    print_table(console, heads, rows, numbers=range(3, 8))
    for sentence in sentences(planned, lines, prices, cap_bytes):
        say(console, sentence)
    say(console, told)


def sentences(
    planned: Sequence[PlannedCell], lines: Sequence[PriceLine], prices: CellPrices, cap_bytes: int | None
) -> list[str]:
    """The sum, what dominates it, and what does not fit.

    Args:
        planned: Cells of the plan.
        lines: Their lines, the dearest first.
        prices: Their prices.
        cap_bytes: Memory cap of a cell, or None.
    """
    said: list[str] = []
    if len(lines) > SHOWN:
        rest = lines[SHOWN:]
        total = sum(line.total_s or 0.0 for line in rest)
        said.append(f"and {len(rest)} cheaper lines, {units.seconds(total)} together; --cells shows every cell")
    priced = [line for line in lines if line.total_s is not None]
    total = sum(line.total_s or 0.0 for line in priced)
    if not priced:
        return [*said, "no cell has a price"]
    held = [line.held_bytes for line in priced if line.held_bytes is not None]
    most = f", at most {units.size(max(held))} at a time" if held else ""
    without = sum(line.cells for line in lines) - sum(line.cells for line in priced)
    lacking = f"; {without} cells have no price" if without else ""
    said.append(f"about {units.seconds(total)} in all{most}{lacking}; references, which are made once, come on top")
    first = priced[0]
    share = (first.total_s or 0.0) / total if total else 0.0
    if len(priced) > 1 and share >= _DOMINATES:
        said.append(f"{share:.0%} of it is {first.method} on {first.problem} ({first.estimand}, {first.cells} cells)")
    return [*said, *misfits(planned, prices, cap_bytes)]


def misfits(planned: Sequence[PlannedCell], prices: CellPrices, cap_bytes: int | None) -> list[str]:
    """One warning for each problem, method and estimand with a cell that will not fit."""
    found: dict[tuple[str, str, str], str] = {}
    for entry in planned:
        price = prices.cell_price(entry)
        if entry.skip_reason or price.held_bytes is None:
            continue
        room, what = _room(entry, price, cap_bytes)
        if price.held_bytes * _MORE > room:
            cell = entry.cell
            surely = "will" if price.held_bytes * _LESS > room else "may"
            found[cell.problem, cell.method, cell.estimand] = (
                f"{surely} not fit: {cell.method} on {cell.problem} ({cell.estimand}) takes about "
                f"{units.size(price.held_bytes)}, {_parts(price)}; {what} {units.size(room)}"
            )
    return list(found.values())


def _room(entry: PlannedCell, price: CellPrice, cap_bytes: int | None) -> tuple[int, str]:
    """Memory that a cell may take, and what says so."""
    if entry.cell.device.startswith("cuda"):
        import torch

        return torch.cuda.get_device_properties(torch.device(entry.cell.device)).total_memory, "the device has"
    machine = psutil.virtual_memory().total - (price.base_bytes or 0)
    if cap_bytes is not None and cap_bytes < machine:
        return cap_bytes, "--memory is"
    return machine, "the machine holds"


def _parts(price: CellPrice) -> str:
    parts = (("operator", price.operator_bytes), ("product", price.working_bytes), ("method", price.own_bytes),
             ("peak of the build", price.build_peak_bytes))  # fmt: skip
    return ", ".join(f"{name} {units.size(value)}" for name, value in parts if value)


def _line(key: tuple[str, str, str], group: Sequence[PlannedCell], prices: CellPrices) -> PriceLine:
    found = [prices.cell_price(entry) for entry in group]
    seconds = [price.seconds for price in found if price.seconds is not None]
    held = [price.held_bytes for price in found if price.held_bytes is not None]
    complete = len(seconds) == len(found)
    dearest = max(group, key=lambda entry: prices.cell_price(entry).seconds or 0.0)
    return PriceLine(
        *key,
        cells=len(group),
        seconds=max(seconds) if complete else None,
        total_s=sum(seconds) if complete else None,
        held_bytes=max(held, default=None),
        last=_last(prices, dearest, ""),
        reasons=tuple(dict.fromkeys(reason for price in found for reason in price.reasons)),
    )


def _last(prices: CellPrices, entry: PlannedCell, before: str) -> str:
    """Measured over predicted, when such a cell last ran: seconds, and bytes where they were measured."""
    miss = prices.last_miss(entry)
    if miss is None or miss.seconds_ratio is None:
        return ""
    size = "" if miss.bytes_ratio is None else f", memory {units.ratio(miss.bytes_ratio)}"
    return f"{before}{units.ratio(miss.seconds_ratio)}{size}"


def _seconds(value: float | None) -> str:
    return units.DASH if value is None else units.seconds(value)


def _size(value: int | None) -> str:
    return units.DASH if value is None else units.size(value)


def say(console: Console, text: str) -> None:
    """Print plain text, if there is any."""
    if text:
        console.print(text, markup=False, highlight=False, soft_wrap=True)
