"""What is asked of an engine: how many products, how many samples at a time, within what memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import torch

from hessbench.demand import Demand

FEW_PRODUCTS: Final = 40
"""Products up to which no engine is tried that takes seconds to set up."""

MANY_PRODUCTS: Final = 1000
"""Products from which a compiled engine is tried."""


@dataclass(frozen=True)
class Limits:
    """What is asked of an engine.

    Attributes:
        num_products: How many products are going to be made: with few, nothing is tried that is costly to set up.
        micro_batch: Samples that are multiplied at a time, nothing being kept from one micro-batch to the next; by
            default whole batches, or what memory holds where `auto` finds that they do not fit.
        cap_bytes: Memory that an engine and a product may take, for `auto`, and for blocks, which are split where they
            would take more; half of what is free by default.
    """

    num_products: int = FEW_PRODUCTS
    micro_batch: int | None = None
    cap_bytes: int | None = None

    def __post_init__(self) -> None:
        for name in ("num_products", "micro_batch", "cap_bytes"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")


LIMITS: Final = Limits()
"""A short run of products with whole batches."""


CAP_SHARE: Final = 0.5
"""Share of a cell's memory that an engine may take: the rest is its method's and its network's."""


def limits_of(demand: Demand, device: torch.device, micro_batch: int | None = None) -> Limits:
    """What a run asks of an engine; a cap on the memory of the host says nothing of another device's."""
    capped = demand.cap_bytes is not None and device.type == "cpu"
    return Limits(
        LIMITS.num_products if demand.num_products is None else demand.num_products,
        micro_batch,
        max(1, int(CAP_SHARE * demand.cap_bytes)) if capped and demand.cap_bytes is not None else None,
    )
