"""Blocks too wide for the memory there is, multiplied in parts."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Final, final

import psutil
import torch
from torch import Tensor

from hessbench.exceptions import is_out_of_memory
from hessbench.operators import Matmat

_FREE_SHARE: Final = 0.5
"""Share of the free memory that products may take where nobody says how much."""


def memory_of(device: torch.device) -> int:
    """Bytes that products may take on a device: half of what is free."""
    free = torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else psutil.virtual_memory().available
    return int(_FREE_SHARE * free)


@final
class SplitBlocks:
    """A product that cuts a block where its columns together would pass a cap, and again where memory runs out.

    Args:
        multiply: The product of a block, (n, k) -> (n, k), k at least 1.
        cap_bytes: Bytes that a block's columns may take together.
        measure: Gives the bytes that one more column takes, 0 where columns are multiplied one by one; called once,
            when the first block of two columns or more comes that may not fit.
        most_bytes: Bytes that a column takes at most, where that is known; 0 where it is not.
    """

    def __init__(self, multiply: Matmat, cap_bytes: int, measure: Callable[[], int], most_bytes: int = 0) -> None:
        self._multiply = multiply
        self._cap = cap_bytes
        self._measure = measure
        self._surely = cap_bytes // most_bytes if most_bytes else 1
        self.width: int | None = None
        """Most columns at a time, once that is known."""

    def __call__(self, block: Tensor) -> Tensor:
        """Multiply a block (n, k); k = 0 gives (n, 0).

        Raises:
            RuntimeError: If memory runs out for a single column, or torch cannot make the product.
            MemoryError: If the host's memory runs out for a single column.
        """
        columns = block.shape[1]
        if columns == 0:
            return torch.empty_like(block)
        if columns == 1:
            return self._multiply(block)
        width = columns if self.width is None and columns <= self._surely else self._known_width()
        parts: list[Tensor] = []
        done = 0
        while done < columns:
            part = block[:, done : done + width]
            try:
                parts.append(self._multiply(part))
            except (RuntimeError, MemoryError) as failure:
                if part.shape[1] == 1 or not is_out_of_memory(failure):
                    raise
                self.width = width = part.shape[1] // 2
                continue
            done += part.shape[1]
        return parts[0] if len(parts) == 1 else torch.cat(parts, dim=1)

    def _known_width(self) -> int:
        if self.width is None:
            size = self._measure()
            self.width = max(1, self._cap // size) if size else sys.maxsize
        return self.width
