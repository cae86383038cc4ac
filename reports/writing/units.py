"""Numbers with their units, and conditions in words, as a reader of a table wants them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from hessbench.ledger.spreads import Spread

DASH: Final = "\N{EN DASH}"
_YEAR_S: Final = 365.25 * 86400


def conditions(device: str, dtype: str, threads: int) -> str:
    """Where and how something ran."""
    return f"{device}, {dtype}, {threads} thread{'s' * (threads != 1)}"


def median_text(value: Spread | None, write: Callable[[float], str]) -> str:
    """A median with its unit, or a dash where nothing is known."""
    return DASH if value is None else write(value.median)


def seconds(value: float) -> str:
    """Seconds with three significant digits: 12.3 ms, 4.56 s, 1.50 h, 3.00 years."""
    if value == 0:
        return "0 s"
    for limit, scale, unit in (
        (1e-3, 1e6, "\N{MICRO SIGN}s"),
        (1.0, 1e3, "ms"),
        (600.0, 1.0, "s"),
        (7200.0, 1 / 60, "min"),
        (172800.0, 1 / 3600, "h"),
        (2 * _YEAR_S, 1 / 86400, "d"),
    ):
        if value < limit:
            return f"{significant(value * scale)} {unit}"
    return f"{significant(value / _YEAR_S)} years"


def size(value: float) -> str:
    """Bytes in powers of 1024, three significant digits."""
    if value < 1024:
        return f"{value:.0f} B"
    for unit in ("KiB", "MiB", "GiB", "TiB"):
        value /= 1024
        if value < 1024:
            return f"{significant(value)} {unit}"
    return f"{significant(value / 1024)} PiB"


def count(value: float) -> str:
    """A number of products or calls: whole, or with one decimal, thousands grouped."""
    return f"{value:,.0f}" if float(value).is_integer() or value >= 1000 else f"{value:.1f}"


def error(value: float) -> str:
    """An error, two significant digits, in scientific form."""
    return "0" if value == 0 else f"{value:.1e}"


def share(value: float) -> str:
    """An error as a reader compares it with a tolerance: in per cent, or in scientific form where tiny or huge."""
    if value == 0:
        return "0"
    if value >= 1000:
        return f"{value:.1e}"
    percent = value * 100
    if percent >= 0.00095:
        return f"{percent:.2g} %" if percent < 99.5 else f"{percent:,.0f} %"
    return f"{value:.1e}"


def ratio(value: float) -> str:
    """A factor, three significant digits."""
    return f"{significant(value)}\N{MULTIPLICATION SIGN}"


def significant(value: float) -> str:
    """Three significant digits without an exponent between 0.01 and 10^6."""
    if 100 <= value < 1e6:
        return f"{value:,.0f}"
    return f"{value:#.3g}".rstrip(".") if 0.01 <= value < 100 else f"{value:.3g}"
