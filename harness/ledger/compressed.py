"""Rows of a ledger compressed, as they are published: written in parts of limited size, read back whole or refused."""

from __future__ import annotations

import lzma
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Final

SUFFIX: Final = ".jsonl.xz"

PART_LIMIT: Final = 1_000_000
"""Bytes that no file of a published ledger passes."""

_MOST_UNPACKED: Final = 1 << 29
"""Bytes of rows in one part, far above what a part of ours holds: a hostile archive unpacks to no more."""


def unpacked(file: Path) -> bytes:
    """The rows in a compressed file.

    Raises:
        ValueError: If it is torn, no such archive, or unpacks to more than any part holds.
    """
    unpacking = lzma.LZMADecompressor(format=lzma.FORMAT_XZ, memlimit=1 << 28)
    try:
        rows = unpacking.decompress(file.read_bytes(), _MOST_UNPACKED)
    except (lzma.LZMAError, EOFError):
        raise ValueError(f"{file.name} is no archive of rows, or damaged") from None
    if not unpacking.eof or unpacking.unused_data:
        raise ValueError(f"{file.name} is torn, or holds more than one archive of rows")
    return rows


def packed(groups: Sequence[str], limit: int = PART_LIMIT) -> list[tuple[bytes, bytes]]:
    """Rows in few compressed parts of limited size, those of one cell in one part.

    Args:
        groups: Rows as text, a line each; what must stay together is one text.
        limit: Bytes below which each part stays.

    Returns:
        The rows of each part, and the part.

    Raises:
        ValueError: If a single group does not fit.
    """
    rows = "".join(f"{group}\n" for group in groups).encode()
    part = lzma.compress(rows, preset=6)
    if len(part) < limit:
        return [(rows, part)] if groups else []
    if len(groups) == 1:
        raise ValueError(
            f"the rows of a cell take {len(part):,} bytes compressed: parts below {limit:,} bytes are published"
        )
    # Equal numbers of groups, a few more parts than the whole would fill: each has a dictionary of its own.
    number = min(len(groups), max(2, round(1.2 * len(part) / limit)))
    bounds = [len(groups) * place // number for place in range(number + 1)]
    return [one for begin, end in pairwise(bounds) for one in packed(groups[begin:end], limit)]
