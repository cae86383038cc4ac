"""How many rows are made at once: a few at first, and where rows are short a share of those made.

A chunk of 16 rows of a small network takes as long as one of 128: most of its time is the start of its operations.
"""

from __future__ import annotations

from typing import Final

SHARE: Final = 8
"""An eighth of the rows made, at most, comes at once: so much may a budget leave unspent, so dense are checkpoints."""

_ENTRIES: Final = 2**22
"""Of the rows that are made at once, 32 MB in float64."""


def next_chunk(chunk: int, made: int, dim: int) -> int:
    """Rows of the next chunk.

    Args:
        chunk: Rows of the first one.
        made: Rows made.
        dim: Length n of a row.
    """
    return max(chunk, min(made // SHARE, _ENTRIES // dim))


def largest_chunk(chunk: int, num_matvecs: int, dim: int) -> int:
    """Most rows of a chunk within a budget; arguments as in `next_chunk`."""
    return min(next_chunk(chunk, num_matvecs, dim), num_matvecs)


def row_widths(num_matvecs: int, *, chunk: int, **_: object) -> tuple[int, ...]:
    """Widths of the blocks of rows within a budget, the first and the last."""
    return tuple(sorted({min(chunk, num_matvecs), largest_chunk(chunk, num_matvecs, 1)}))
