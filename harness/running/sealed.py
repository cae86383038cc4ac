"""Which cells of a run are sealed, and which cannot be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from hessbench.catalog import Catalog
from hessbench.code_text import function_of
from hessbench.problem import NETWORK
from hessbench.running.plan import PlannedCell

_SHIPPED: Final = "hessbench.methods."


def sealed(planned: Sequence[PlannedCell], catalog: Catalog, *, forked: bool) -> list[PlannedCell]:
    """Have the cells of a plan run sealed.

    What multiplies by a library's own operator is handed a copy of the network, and nothing made with a copy is counted
    by itself: such a method runs beside the operator where it ships with this package, and not at all elsewhere.

    Args:
        planned: The cells.
        catalog: Where their methods are from.
        forked: Whether methods live only in this process.

    Raises:
        ValueError: If cells of this kind cannot be sealed.
    """
    if forked:
        raise ValueError("a sealed run takes methods from plugin files and installed packages, not from this process")
    devices = sorted({entry.cell.device for entry in planned if not entry.cell.device.startswith("cpu")})
    if devices:
        raise ValueError(f"a sealed run takes device cpu, got {devices[0]}")
    return [_sealed(entry, catalog) for entry in planned]


def _sealed(entry: PlannedCell, catalog: Catalog) -> PlannedCell:
    method = entry.bound.method
    if NETWORK not in method.requires:
        return replace(entry, sealed=True, plugin=catalog.file_of(entry.cell.method))
    is_shipped = not catalog.file_of(entry.cell.method) and str(function_of(method.run).__module__).startswith(_SHIPPED)
    if is_shipped:
        return entry
    says = f"{method.name} requires the trait {NETWORK!r}, a copy of the problem, which a sealed run hands to nobody"
    return replace(entry, skip_reason=entry.skip_reason or says)
