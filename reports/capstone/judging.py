"""How the capstone's rules are applied to networks: each net agrees or disagrees, and nine of ten decide.

Numbers in words are medians over the nets, the least and the largest of them in brackets.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from hessbench.reports.claims.claim import ClaimOutcome, ClaimVerdict
from hessbench.reports.claims.rules import usually
from hessbench.reports.writing.median_intervals import median_interval

NOTHING = ClaimVerdict(ClaimOutcome.UNDECIDED, "nothing was measured")


def by_nets(agrees: Sequence[bool], disagrees: Sequence[bool]) -> ClaimOutcome:
    """Judge by networks trained apart: borne out where 9 of 10 (5 of 5) agree, refuted where as many disagree.

    A net may do neither, where its number lies between two bounds.

    Args:
        agrees: Whether each net bears the claim out.
        disagrees: Whether each refutes it.
    """
    if usually(sum(agrees), len(agrees)) is ClaimOutcome.BORNE_OUT:
        return ClaimOutcome.BORNE_OUT
    if usually(sum(disagrees), len(disagrees)) is ClaimOutcome.BORNE_OUT:
        return ClaimOutcome.REFUTED
    return ClaimOutcome.UNDECIDED


def judged(agrees: Sequence[bool], disagrees: Sequence[bool], detail: str, **told: str) -> ClaimVerdict:
    """A verdict by nets, with how many of them say what.

    Args:
        agrees: Whether each net bears the claim out.
        disagrees: Whether each refutes it.
        detail: What was seen.
        told: `subject` and `uncertainty` of the verdict.
    """
    if not agrees:
        return ClaimVerdict(ClaimOutcome.UNDECIDED, "nothing was measured", told.get("subject", ""))
    counted = f"{sum(agrees)} of {len(agrees)} nets agree, {sum(disagrees)} disagree"
    return ClaimVerdict(by_nets(agrees, disagrees), f"{counted}. {detail}", **told)


def seen(values: Mapping[str, float] | Sequence[float]) -> str:
    """Median over the nets, and the least and the largest of them in brackets."""
    numbers = list(values.values()) if isinstance(values, Mapping) else list(values)
    if not numbers:
        return "nothing"
    return f"{np.median(numbers):.3g} [{np.min(numbers):.3g}, {np.max(numbers):.3g}]"


def spread(values: Mapping[str, float] | Sequence[float]) -> str:
    """The 95 % interval of the median over the nets, in words."""
    numbers = list(values.values()) if isinstance(values, Mapping) else list(values)
    if not numbers:
        return ""
    interval = median_interval(numbers)
    return f"median within {interval.low:.3g} to {interval.high:.3g} (95 %, {len(numbers)} nets)"
