"""Names that the units of the study `capstone` write and that its verdicts and figures read."""

from __future__ import annotations

from typing import Final

CLASSES: Final = 10

STEPS: Final = (0, 10, 100, 500)
"""Steps of the training at which the document looks."""

LATE: Final = 10_000
"""A step of the same training at which the loss is low, which at 500 it is not."""

WIDTHS: Final = (32, 512, 4096)
"""Hidden units by which laziness is asked for at the small scale."""

LANCZOS: Final = "lanczos[reorth=selective]"
HUTCHINSON: Final = "hutchinson"
SLQ: Final = "slq[probe=signs,steps=30]"
RANDOMIZED: Final = "randomized-eigh[num_power_iterations=1,oversampling=10]"
METHODS: Final = (LANCZOS, HUTCHINSON, SLQ, RANDOMIZED)
"""The document's four computations."""

IN_WORDS: Final = {
    LANCZOS: "top 10, Lanczos", HUTCHINSON: "trace, Hutchinson", SLQ: "density, SLQ", RANDOMIZED: "kernel, rSVD"
}  # fmt: skip
"""What each computes and how."""

SAID: Final = {LANCZOS: 40, HUTCHINSON: 200, SLQ: 240, RANDOMIZED: 32}
"""Products that the document's ledger names: 40, 200, 8 x 30 and 16 + 1 x 16."""

GRANTED: Final = {**SAID, RANDOMIZED: 48}
"""Products that each is given: the last takes 16 for its sketch, 16 for the power iteration, 16 to compress."""

TOP: Final = 10
EIGENFUNCTIONS: Final = 6
GRID: Final = (-2.0, 5.0, 400)
"""Least and largest eigenvalue and number of points of the document's density."""

SIGMA: Final = 0.06
"""Width of its Gaussian."""

KFAC: Final = "K-FAC"
EKFAC: Final = "EKFAC"
BLOCKS: Final = "block diagonal"
"""The GGN itself without what couples two layers."""

APPROXIMATIONS: Final = (KFAC, EKFAC, BLOCKS)

DAMPING: Final = 0.01
"""Damping of every solve, as a share of the largest eigenvalue of the GGN."""

TEN_MILLION: Final = "P = 10^7"


def step(number: int) -> str:
    """Name of a step of the training, where the problem of a number stands."""
    return f"step={number}"


def width(units: int) -> str:
    """Name of a width, likewise."""
    return f"width={units}"
