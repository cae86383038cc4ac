"""Times and sizes as people write them: `10s`, `2h`, `500MiB`, `none`."""

from __future__ import annotations

import re
from typing import Final

_TIMES: Final = {"": 1.0, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}
_SIZES: Final = {"MiB": 2.0**20, "GiB": 2.0**30}
_QUANTITY: Final = re.compile(r"([0-9]+(?:\.[0-9]+)?)([A-Za-z]*)")


def parse_seconds(text: str) -> float | None:
    """Read a time such as `10s`, `5m`, `1.5h`, or a number of seconds; `none` is no limit.

    Raises:
        ValueError: If it is not a positive number, with a unit or without.
    """
    return _parse(text, _TIMES, "a time such as 10s, 5m, 1.5h or none")


def parse_bytes(text: str) -> int | None:
    """Read a size such as `500MiB` or `2GiB`; `none` is no limit.

    Raises:
        ValueError: If it is not a positive number with a unit.
    """
    size = _parse(text, _SIZES, "a size such as 500MiB, 2GiB or none")
    return None if size is None else int(size)


def parse_shard(text: str) -> tuple[int, int]:
    """Read a shard such as `1/4`.

    Raises:
        ValueError: If it is not I/N with 1 <= I <= N.
    """
    match = re.fullmatch(r"([0-9]+)/([0-9]+)", text)
    if not match or not 1 <= int(match[1]) <= int(match[2]):
        raise ValueError(f"shard takes I/N with I from 1 to N, such as 1/4, got {text!r}")
    return int(match[1]), int(match[2])


def _parse(text: str, units: dict[str, float], accepted: str) -> float | None:
    if text == "none":
        return None
    match = _QUANTITY.fullmatch(text.strip())
    number = float(match[1]) if match else 0.0
    if not match or match[2] not in units or not 0 < number < float("inf"):
        raise ValueError(f"{accepted} is accepted, got {text!r}")
    return number * units[match[2]]
