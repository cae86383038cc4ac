"""Rules for what the document says of the complexity of its Lanczos: seconds and memory."""

from __future__ import annotations

import re
from typing import Final

import numpy as np

from hessbench.estimand.base import Array
from hessbench.reports.claims.claim import ClaimOutcome, ClaimVerdict
from hessbench.reports.claims.measured import Measured
from hessbench.reports.claims.rules import at_most, fitted_exponent, typical

STEPS: Final = "M"
IMAGES: Final = "N"
PARAMETERS: Final = "p"
SECONDS: Final = "lanczos-seconds"
ALIVE: Final = "vectors-alive"
LINEAR: Final = 1.1
"""Exponent up to which seconds are linear."""

MORE: Final = 1.5
_ROOM: Final = 8.0
"""Vectors up to which a number that does not grow with the steps is small."""

_NAMED: Final = {STEPS: "steps M", IMAGES: "images N", PARAMETERS: "parameters p"}


def by(what: str, size: int) -> str:
    """How rows name a size of what is varied."""
    return f"{what}={size}"


def linear_time(measured: Measured) -> tuple[ClaimVerdict, ...]:
    """Exponents of the seconds in each of steps, images and parameters."""
    verdicts: list[ClaimVerdict] = []
    for what, words in _NAMED.items():
        sizes, samples = _by_size(measured, what)
        if sizes.size < 2:
            continue
        found = fitted_exponent(sizes, samples, typical)
        seconds = [f"{np.median(each):.3g}" for each in samples]
        detail = (
            f"seconds go with the {words} to the power of {found.value:.2f}: {', '.join(seconds)} s at "
            f"{', '.join(f'{size:,.0f}' for size in sizes)}"
        )
        uncertainty = f"95 % from {found.low:.2f} to {found.high:.2f} over repeats"
        verdicts.append(ClaimVerdict(at_most(found.value, LINEAR, MORE), detail, words, uncertainty=uncertainty))
    return tuple(verdicts) or (ClaimVerdict(ClaimOutcome.UNDECIDED, "no seconds were measured"),)


def few_vectors(measured: Measured) -> tuple[ClaimVerdict, ...]:
    """Whether the vectors that are alive do not grow with the steps."""
    without, whole = _alive(measured, "none"), _alive(measured, "full")
    if len(without) < 2:
        return (ClaimVerdict(ClaimOutcome.UNDECIDED, "no memory was measured"),)
    least, most = min(without), max(without)
    told = ", ".join(f"{without[steps]:.3g} at M = {steps}" for steps in sorted(without))
    beside = ", ".join(f"{whole[steps]:.4g} at M = {steps}" for steps in sorted(whole))
    outcome = ClaimOutcome.UNDECIDED
    if without[most] > without[least]:
        outcome = ClaimOutcome.REFUTED
    elif without[most] <= _ROOM:
        outcome = ClaimOutcome.BORNE_OUT
    detail = (
        f"vectors of length p alive at a product, the start and the product's own vector included: {told}; with full "
        f"reorthogonalisation {beside}"
    )
    return (ClaimVerdict(outcome, detail, uncertainty="none: a count"),)


def _by_size(measured: Measured, what: str) -> tuple[Array, list[Array]]:
    named = [str(it) for it in dict.fromkeys(measured.select(SECONDS)["problem"])]
    sizes = sorted(int(found[1]) for name in named if (found := re.fullmatch(rf"{what}=(\d+)", name)))
    return np.asarray(sizes, dtype=np.float64), [measured.values(SECONDS, by(what, size)) for size in sizes]


def _alive(measured: Measured, reorth: str) -> dict[int, float]:
    rows = measured.select(ALIVE, method=reorth)
    return {
        int(str(name).partition("=")[2]): float(value)
        for name, value in zip(rows["problem"], rows["value"], strict=True)
    }
