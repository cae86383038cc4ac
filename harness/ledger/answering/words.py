"""Numbers and lists as the sentences of an answer write them."""

from __future__ import annotations

from collections.abc import Sequence


def percent(share: float) -> str:
    """A share in percent, two significant digits: 0.1 %, 1.2 %, 130 %."""
    value = 100.0 * share
    if value >= 100:
        return f"{value:,.0f} %" if value < 1e4 else f"{value:.1e} %"
    return f"{float(f'{value:.2g}'):g} %"


def listed(names: Sequence[str], most: int = 4) -> str:
    """Names with commas and an `and`; beyond `most` their number."""
    if len(names) > most:
        return f"{', '.join(names[:most])} and {len(names) - most} more"
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def plural(number: int, noun: str) -> str:
    """A number with its noun."""
    return f"{number:,} {noun}{'s' * (number != 1)}"
