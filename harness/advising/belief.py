"""Which methods may be believed about their own error, and from what: numbers of published pages, kept as data.

Tests hold them against the pages, so that a page that changes changes what is promised.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from hessbench.advising.candidates import AdviceCandidate, Knowledge

LEAST_PROBES: Final[Mapping[str, int]] = MappingProxyType(
    {"hutchinson[probe=sphere]": 30, "hutchpp": 10, "adaptive-hutchpp": 10, "xtrace": 2, "xnystrace": 2}
)
"""Probes from which on the interval of a method was believed at every number of probes of the calibration study."""

PRODUCTS_A_PROBE: Final[Mapping[str, int]] = MappingProxyType(
    {"hutchinson[probe=sphere]": 1, "hutchpp": 3, "adaptive-hutchpp": 3, "xtrace": 2, "xnystrace": 1}
)
"""Products that a probe takes."""


@dataclass(frozen=True)
class HeldIntervals:
    """How many of the 99 % intervals of a method held in a study, and of how many."""

    held: int
    number: int


HELD: Final[Mapping[str, HeldIntervals]] = MappingProxyType(
    {
        "sampled-rows": HeldIntervals(297, 297),
        "split-trace": HeldIntervals(291, 291),
        "pruned-lanczos": HeldIntervals(315, 315),
    }
)
"""Intervals of the study few-gradients that were wider than rounding, that of a run which has ended once."""


def is_believed(candidate: AdviceCandidate, budget: int) -> bool:
    """Whether what a method says of its own error may be believed at a budget."""
    if candidate.knows in (Knowledge.EXACT, Knowledge.CERTIFIED):
        return True
    if candidate.knows is not Knowledge.INTERVAL:
        return False
    return candidate.name in HELD or budget >= least_believed(candidate)


def least_believed(candidate: AdviceCandidate) -> int:
    """Products from which on the interval of a method is believed; 1 where the number does not matter."""
    if candidate.spec not in LEAST_PROBES:
        return 1
    return LEAST_PROBES[candidate.spec] * PRODUCTS_A_PROBE[candidate.spec]


def probes_of(candidate: AdviceCandidate, budget: int) -> int | None:
    """Probes that a budget buys; None for a method whose interval was not judged by their number."""
    products = PRODUCTS_A_PROBE.get(candidate.spec)
    return None if products is None else budget // products
